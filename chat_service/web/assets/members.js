/** Who is in the room that is shown: who is here first, with what each is in it. */

/** @import {Member} from "./contract.js" */
/** @import {Store} from "./store.js" */
import { avatar, button, byId, element } from "./dom.js";

/** Rows that are drawn at most; more could not be read. */
const MOST = 300;

/** @type {Record<string, string>} */
const ROLES = { ROLE_OWNER: "owner", ROLE_MODERATOR: "moderator" };

export class Members {
  #store;
  #write;
  #list = byId("members-list", HTMLElement);

  /**
   * @param {Store} store
   * @param {(user: string) => void} write begins a private conversation
   */
  constructor(store, write) {
    this.#store = store;
    this.#write = write;
  }

  draw() {
    const { conversation } = this.#store;
    const all = [...conversation.members.values()].sort((one, other) => one.user.localeCompare(other.user));
    const here = all.filter((it) => it.online);
    const away = all.filter((it) => !it.online);
    const rest = here.length + away.length - MOST;
    this.#list.replaceChildren(
      ...this.#group("Online", here.slice(0, MOST)),
      ...this.#group("Away", away.slice(0, Math.max(0, MOST - here.length))),
    );
    if (rest > 0 || conversation.moreMembers) {
      this.#list.append(element("p", { class: "hint" }, rest > 0 ? `and ${rest} more` : "and more"));
    }
  }

  /**
   * @param {string} title
   * @param {Member[]} members
   */
  #group(title, members) {
    if (members.length === 0) return [];
    const list = element("ul", {}, ...members.map((it) => this.#row(it)));
    return [element("h3", {}, `${title} — ${members.length}`), list];
  }

  /** @param {Member} member */
  #row({ user, online, role = "" }) {
    const picture = element("span", { class: `person${online ? " online" : ""}` }, avatar(user, "small"));
    const told = [picture, element("bdi", { class: "entry-name" }, user)];
    const title = ROLES[role];
    if (title) told.push(element("small", { class: "role" }, title));
    if (user === this.#store.user) {
      return element("li", {}, element("span", { class: "entry" }, ...told, element("small", { class: "role" }, "you")));
    }
    const entry = button("", () => this.#write(user), { class: "entry", title: `Write to ${user}` });
    entry.append(...told);
    return element("li", {}, entry);
  }
}
