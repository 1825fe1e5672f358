/** The conversations at the side, with what is unread in each. */

/** @import {Conversation} from "./conversation.js" */
/** @import {Store} from "./store.js" */
import { Beyond } from "./beyond.js";
import { normal } from "./commands.js";
import { LOBBY } from "./contract.js";
import { avatar, button, byId, compareNames, element, isDialogOpen } from "./dom.js";
import { KeyedRows, arrange, keepingFocus } from "./keyed.js";

/** @type {Record<string, number>} */
const STEPS = { ArrowDown: 1, ArrowUp: -1 };

/**
 * @typedef {object} Wishes
 * @property {(address: string) => void} open
 * @property {(room: string) => void} join
 * @property {(address: string) => void} close
 */

export class Sidebar {
  #store;
  #wishes;
  #rooms = byId("rooms", HTMLElement);
  #people = byId("people", HTMLElement);
  #roomRows;
  #peopleRows;
  #beyond = new Beyond();
  /** The address that was current when it was last drawn. */
  #shown = "";

  /**
   * @param {Store} store
   * @param {Wishes} wishes
   */
  constructor(store, wishes) {
    this.#store = store;
    this.#wishes = wishes;
    this.#roomRows = this.#rows();
    this.#peopleRows = this.#rows();
    adding("room", (name) => wishes.join(`#${normal(name, "#")}`));
    adding("person", (name) => wishes.open(`@${normal(name, "@")}`));
    document.addEventListener("keydown", (event) => this.#keyed(event));
  }

  /** Leads the keyboard to the conversation that is shown. */
  focus() {
    this.#current?.focus();
  }

  /** @returns {HTMLElement | null} */
  get #current() {
    return byId("sidebar", HTMLElement).querySelector("[aria-current]");
  }

  draw() {
    const { people, anyUnread } = this.#store.conversations;
    keepingFocus(() => {
      arrange(this.#rooms, this.#roomRows.draw(this.#sortedRooms));
      arrange(this.#people, this.#peopleRows.draw(people));
    });
    byId("no-people", HTMLElement).hidden = people.length > 0;
    byId("sidebar-unread", HTMLElement).hidden = !anyUnread;
    if (this.#shown !== this.#store.current) this.#current?.scrollIntoView({ block: "nearest" });
    this.#shown = this.#store.current;
    this.#beyond.draw();
  }

  get #sortedRooms() {
    return this.#store.conversations.rooms.sort(byName);
  }

  /** Opens the conversation before or behind the one that is shown. @param {KeyboardEvent} event */
  #keyed(event) {
    const step = STEPS[event.key];
    if (!step || !event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || isDialogOpen()) return;
    event.preventDefault();
    const all = [...this.#sortedRooms, ...this.#store.conversations.people];
    const here = all.findIndex((it) => it.address === this.#store.current);
    const next = all[(here + step + all.length) % all.length];
    if (next) this.#wishes.open(next.address);
  }

  /** @returns {KeyedRows<Conversation>} */
  #rows() {
    return new KeyedRows((it) => it.address, (it) => new Entry(it, this.#store, this.#wishes));
  }
}

/** The row of a conversation. */
class Entry {
  node = element("li");
  #store;
  #open;

  /**
   * @param {Conversation} conversation
   * @param {Store} store
   * @param {Wishes} wishes
   */
  constructor({ address, name, isRoom }, store, wishes) {
    this.#store = store;
    this.#open = button("", () => wishes.open(address), { class: "entry", "data-address": address });
    this.node.append(this.#open);
    if (isRoom) return;
    this.node.append(button("×", () => wishes.close(address), {
      class: "entry-close", "aria-label": `Close the conversation with ${name}`,
    }));
  }

  /** @param {Conversation} conversation */
  draw(conversation) {
    const { address, name, isRoom, unread } = conversation;
    this.#open.classList.toggle("unread", unread > 0);
    if (address === this.#store.current) this.#open.setAttribute("aria-current", "page");
    else this.#open.removeAttribute("aria-current");
    const mark = isRoom ? element("span", { class: "hash", "aria-hidden": "true" }, "#") : this.#picture(name);
    const parts = [...this.#draft(address), ...badge(conversation)];
    this.#open.replaceChildren(mark, element("bdi", { class: "entry-name" }, name), ...parts);
  }

  /** What tells that something was begun there. @param {string} address */
  #draft(address) {
    if (address === this.#store.current || !this.#store.drafts.get(address)) return [];
    return [element("span", { class: "draft" }, "draft")];
  }

  /** @param {string} name */
  #picture(name) {
    const online = this.#store.isOnline(name);
    const picture = element("span", { class: `person${online ? " online" : ""}` }, avatar(name, "small"));
    if (online) picture.append(element("span", { class: "hidden" }, "online"));
    return picture;
  }
}

/** @param {Conversation} conversation */
function badge({ unread, mentions, isRoom }) {
  if (unread === 0) return [];
  const kind = mentions > 0 || !isRoom ? "badge urgent" : "badge";
  const words = mentions > 0 ? `unread, ${mentions} for you` : "unread";
  return [element("span", { class: kind }, unread > 999 ? "999+" : String(unread), element("span", { class: "hidden" }, ` ${words}`))];
}

/**
 * @param {Conversation} one
 * @param {Conversation} other
 */
function byName(one, other) {
  if (one.address === LOBBY || other.address === LOBBY) return one.address === LOBBY ? -1 : 1;
  return compareNames(one.address, other.address);
}

/**
 * Lets the small form beneath a heading be opened, filled in and left.
 * @param {"room" | "person"} what
 * @param {(name: string) => void} act
 */
function adding(what, act) {
  const form = byId(`${what}-form`, HTMLFormElement);
  const input = byId(`${what}-name`, HTMLInputElement);
  const opener = byId(`${what}-add`, HTMLButtonElement);
  const show = (/** @type {boolean} */ shown) => {
    form.hidden = !shown;
    opener.setAttribute("aria-expanded", String(shown));
    if (shown) input.focus();
  };
  opener.setAttribute("aria-expanded", "false");
  opener.addEventListener("click", () => show(form.hidden === true));
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    show(false);
    opener.focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = input.value.trim();
    input.value = "";
    show(false);
    if (name) act(name);
  });
}
