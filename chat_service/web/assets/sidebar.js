/** The conversations at the side, with what is unread in each. */

/** @import {Conversation} from "./conversation.js" */
/** @import {Store} from "./store.js" */
import { normal } from "./commands.js";
import { LOBBY } from "./contract.js";
import { avatar, button, byId, element } from "./dom.js";

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

  /**
   * @param {Store} store
   * @param {Wishes} wishes
   */
  constructor(store, wishes) {
    this.#store = store;
    this.#wishes = wishes;
    adding("room", (name) => wishes.join(`#${normal(name, "#")}`));
    adding("person", (name) => wishes.open(`@${normal(name, "@")}`));
  }

  draw() {
    const focused = document.activeElement?.getAttribute("data-focus");
    const rooms = this.#store.conversations.rooms.sort(byName).map((it) => this.#entry(it));
    const people = this.#store.conversations.people.map((it) => this.#entry(it));
    this.#rooms.replaceChildren(...rooms);
    this.#people.replaceChildren(...people);
    byId("no-people", HTMLElement).hidden = people.length > 0;
    byId("sidebar-unread", HTMLElement).hidden = !this.#store.conversations.anyUnread;
    if (focused) this.#focus(focused);
  }

  /** Gives the focus back to what was drawn anew. @param {string} name */
  #focus(name) {
    const again = document.querySelector(`[data-focus="${CSS.escape(name)}"]`);
    if (again instanceof HTMLElement) again.focus();
  }

  /** @param {Conversation} conversation */
  #entry(conversation) {
    const { address, isRoom } = conversation;
    const open = button("", () => this.#wishes.open(address), {
      class: `entry${conversation.unread > 0 ? " unread" : ""}`,
      "aria-current": address === this.#store.current ? "page" : null,
      "data-address": address,
      "data-focus": `open ${address}`,
    });
    open.append(isRoom ? element("span", { class: "hash", "aria-hidden": "true" }, "#") : this.#picture(conversation));
    open.append(element("bdi", { class: "entry-name" }, conversation.name), ...badge(conversation));
    const entry = element("li", {}, open);
    if (!isRoom) {
      entry.append(button("×", () => this.#wishes.close(address), {
        class: "entry-close", "aria-label": `Close the conversation with ${conversation.name}`,
        "data-focus": `close ${address}`,
      }));
    }
    return entry;
  }

  /** @param {Conversation} conversation */
  #picture({ name }) {
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
  return one.address.localeCompare(other.address);
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
