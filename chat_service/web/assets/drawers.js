/** The side parts, which on narrow screens slide over the conversation. */

import { byId, isDialogOpen } from "./dom.js";
import { shared } from "./storage.js";

/** Widths below which a part is a drawer; the style sheet has the same. */
const NARROW = matchMedia("(max-width: 47.5em)");
const MEDIUM = matchMedia("(max-width: 66.25em)");

export class Drawers {
  #sidebar = new Drawer("sidebar", "sidebar-open", "sidebar-close", NARROW);
  #members = new Drawer("members", "members-toggle", "members-close", MEDIUM);

  constructor() {
    const all = [this.#sidebar, this.#members];
    for (const id of ["scrim", "skip-to-field", "skip-to-messages"]) {
      byId(id, HTMLElement).addEventListener("click", () => this.close());
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented && !isDialogOpen()) this.close();
    });
    for (const drawer of all) {
      drawer.onChange = () => {
        const covered = all.some((it) => it.covers);
        document.body.classList.toggle("covered", covered);
        byId("main", HTMLElement).inert = covered;
      };
      drawer.settle();
    }
  }

  /** Shows the conversations, wherever there is room for them. */
  showConversations() {
    this.#sidebar.show();
  }

  /** Closes what covers the conversation. */
  close() {
    this.#sidebar.uncover();
    this.#members.uncover();
  }
}

class Drawer {
  onChange = () => {};
  #part;
  #opener;
  #narrow;
  #name;
  #open = false;

  /**
   * @param {string} part
   * @param {string} opener
   * @param {string} closer
   * @param {MediaQueryList} narrow
   */
  constructor(part, opener, closer, narrow) {
    this.#name = part;
    this.#part = byId(part, HTMLElement);
    this.#opener = byId(opener, HTMLButtonElement);
    this.#narrow = narrow;
    this.#opener.addEventListener("click", () => this.#set(!this.#open, true));
    byId(closer, HTMLButtonElement).addEventListener("click", () => this.#set(false, true));
    narrow.addEventListener("change", () => this.settle());
  }

  /** Whether it lies over the conversation. */
  get covers() {
    return this.#open && this.#narrow.matches;
  }

  /** Opens where there is room beside the conversation, unless the user has closed it. */
  settle() {
    this.#set(!this.#narrow.matches && shared.get(`closed.${this.#name}`) !== true, false);
  }

  show() {
    if (!this.#open) this.#set(true, true);
  }

  uncover() {
    if (this.covers) this.#set(false, true);
  }

  /**
   * @param {boolean} open
   * @param {boolean} byUser
   */
  #set(open, byUser) {
    this.#open = open;
    this.#part.classList.toggle("open", open);
    this.#part.inert = !open;
    this.#opener.setAttribute("aria-expanded", String(open));
    document.body.classList.toggle(`${this.#name}-open`, open);
    this.onChange();
    if (!byUser) return;
    if (!this.#narrow.matches) shared.set(`closed.${this.#name}`, open ? null : true);
    if (open && this.#narrow.matches) this.#part.querySelector("button")?.focus();
    if (!open) this.#opener.focus();
  }
}
