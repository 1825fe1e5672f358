/** What the composer suggests while a command or a mention is typed; a listbox at the caret's field. */

import { VERBS, name, wantsName } from "./commands.js";
import { element } from "./dom.js";

/** Suggestions that are shown at a time, if there is room; the others come as one goes down. */
const SHOWN = 8;

/** @typedef {{value: string, label: string, hint: string, start: number}} Suggestion */

export class Completion {
  #field;
  #box;
  #names;
  #rooms;
  /** @type {Suggestion[]} */
  #suggestions = [];
  /** -1: none, since what is typed may be meant as it stands. */
  #chosen = 0;

  /**
   * @param {HTMLTextAreaElement} field
   * @param {HTMLElement} box
   * @param {() => string[]} names
   * @param {() => string[]} rooms
   */
  constructor(field, box, names, rooms) {
    this.#field = field;
    this.#box = box;
    this.#names = names;
    this.#rooms = rooms;
    field.addEventListener("input", () => this.#suggest());
    field.addEventListener("blur", () => this.close());
    // The field keeps the focus.
    box.addEventListener("mousedown", (event) => event.preventDefault());
  }

  get isOpen() {
    return this.#suggestions.length > 0;
  }

  close() {
    this.#suggestions = [];
    this.#show();
  }

  /** Tells whether a key was meant for the suggestions. @param {KeyboardEvent} event */
  handles(event) {
    if (!this.isOpen || event.isComposing || event.altKey) return false;
    const count = this.#suggestions.length;
    switch (event.key) {
      case "ArrowDown": this.#choose((this.#chosen + 1) % count); return true;
      case "ArrowUp": this.#choose((Math.max(this.#chosen, 0) + count - 1) % count); return true;
      case "Escape": this.close(); return true;
      case "Tab": this.#accept(); return true;
      case "Enter": return this.#isMeant() ? false : (this.#accept(), true);
      default: return false;
    }
  }

  /** What is typed in full already, or may be, needs no completion: Enter sends it. */
  #isMeant() {
    const { selectionStart, value } = this.#field;
    const chosen = this.#suggestions[this.#chosen];
    return chosen === undefined || value.slice(chosen.start, selectionStart) === chosen.value.trim();
  }

  #suggest() {
    const { selectionStart, selectionEnd, value } = this.#field;
    this.#suggestions = selectionStart === selectionEnd ? this.#matching(value.slice(0, selectionStart)) : [];
    this.#chosen = /^\/join\s/i.test(value) ? -1 : 0; // a room to join may be a new one
    this.#show();
  }

  /** @param {string} typed what is before the caret */
  #matching(typed) {
    if (/^\/[a-z]*$/i.test(typed)) return verbs(typed.toLowerCase());
    const word = /(?:^|\s)(\S*)$/.exec(typed)?.[1] ?? "";
    const start = typed.length - word.length;
    const command = /^(\/\w+)\s+\S*$/.exec(typed)?.[1];
    if (command && wantsName(command)) return found(this.#names(), word.replace(/^@/, ""), "", start);
    if (command && /^\/(join|leave)$/i.test(command)) return found(this.#rooms(), word, "", start);
    if (word.startsWith("@")) return found(this.#names(), word.slice(1), "@", start);
    return [];
  }

  #accept() {
    const chosen = this.#suggestions[Math.max(this.#chosen, 0)];
    if (!chosen) return;
    this.#field.setRangeText(chosen.value, chosen.start, this.#field.selectionStart, "end");
    this.close();
    this.#field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** @param {number} index */
  #choose(index) {
    this.#chosen = index;
    this.#show();
  }

  #show() {
    this.#box.hidden = !this.isOpen;
    let most = SHOWN;
    this.#list(most);
    while (most > 1 && this.#box.scrollHeight > this.#box.clientHeight) this.#list(--most);
    if (this.isOpen && this.#chosen >= 0) this.#field.setAttribute("aria-activedescendant", `suggestion-${this.#chosen}`);
    else this.#field.removeAttribute("aria-activedescendant");
  }

  /** Has so many of them in the box, with the chosen one. @param {number} most */
  #list(most) {
    const first = Math.max(0, this.#chosen - most + 1);
    const shown = this.#suggestions.slice(first, first + most);
    const rest = this.#suggestions.length - first - shown.length;
    this.#box.replaceChildren(...shown.map((it, index) => this.#option(it, first + index)));
    if (rest > 0) this.#box.append(element("p", { class: "more", "aria-hidden": "true" }, `${rest} more`));
  }

  /**
   * @param {Suggestion} suggestion
   * @param {number} index
   */
  #option({ label, hint }, index) {
    const option = element(
      "div",
      {
        role: "option",
        id: `suggestion-${index}`,
        "aria-selected": String(index === this.#chosen),
        "aria-posinset": String(index + 1),
        "aria-setsize": String(this.#suggestions.length),
      },
      element("bdi", {}, label), " ", element("small", {}, hint),
    );
    option.addEventListener("click", () => {
      this.#chosen = index;
      this.#accept();
    });
    return option;
  }
}

/** @param {string} typed */
function verbs(typed) {
  return VERBS.filter((it) => name(it).startsWith(typed))
    .map((it) => ({ value: it.most > 0 ? `${name(it)} ` : name(it), label: it.usage, hint: it.meaning, start: 0 }));
}

/**
 * @param {string[]} all
 * @param {string} typed
 * @param {string} sign
 * @param {number} start
 * @returns {Suggestion[]}
 */
function found(all, typed, sign, start) {
  const wanted = typed.toLowerCase();
  return all.filter((it) => it.startsWith(wanted) || it.slice(1).startsWith(wanted))
    .map((it) => ({ value: `${sign}${it} `, label: `${sign}${it}`, hint: "", start }));
}
