/** Tells the eye of unread conversations that lie beyond the edges of the list, and leads there. */

import { byId } from "./dom.js";

export class Beyond {
  #list = byId("sidebar-lists", HTMLElement);
  #above = byId("unread-above", HTMLButtonElement);
  #below = byId("unread-below", HTMLButtonElement);

  constructor() {
    this.#list.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.#list);
    this.#above.addEventListener("click", () => lead(this.#unread().above.at(-1)));
    this.#below.addEventListener("click", () => lead(this.#unread().below[0]));
  }

  draw() {
    const { above, below } = this.#unread();
    show(this.#above, above);
    show(this.#below, below);
  }

  /** The entries whose middle is not seen. */
  #unread() {
    const { top, bottom } = this.#list.getBoundingClientRect();
    const all = [...this.#list.querySelectorAll(".entry.unread")];
    return {
      above: all.filter((it) => middle(it) < top),
      below: all.filter((it) => middle(it) > bottom),
    };
  }
}

/** @param {Element} entry */
function middle(entry) {
  const { top, bottom } = entry.getBoundingClientRect();
  return (top + bottom) / 2;
}

/** @param {Element | undefined} entry */
function lead(entry) {
  entry?.scrollIntoView({ block: "center" });
}

/**
 * @param {HTMLElement} button
 * @param {Element[]} entries those that it leads to
 */
function show(button, entries) {
  button.hidden = entries.length === 0;
  button.classList.toggle("urgent", entries.some((it) => it.querySelector(".badge.urgent")));
}
