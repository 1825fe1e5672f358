/** Who is in the room that is shown: who is here first, with what each is in it. */

/** @import {Member} from "./contract.js" */
/** @import {Store} from "./store.js" */
import { avatar, button, byId, compareNames, element } from "./dom.js";
import { KeyedRows, arrange, keepingFocus } from "./keyed.js";

/** Rows that are drawn at most; more could not be read. */
const MOST = 300;

/** @type {Record<string, string>} */
const ROLES = { ROLE_OWNER: "owner", ROLE_MODERATOR: "moderator" };

export class Members {
  #store;
  #rows;
  #list = byId("members-list", HTMLElement);
  #online = new Group("Online");
  #away = new Group("Away");

  /**
   * @param {Store} store
   * @param {(user: string) => void} write begins a private conversation
   */
  constructor(store, write) {
    this.#store = store;
    /** @type {KeyedRows<Member>} */
    this.#rows = new KeyedRows((it) => it.user, ({ user }) => (
      user === store.user ? new Person(element("span"), "you") : new Person(writing(user, write))
    ));
  }

  draw() {
    const { members, moreMembers } = this.#store.conversation;
    const all = [...members.values()].sort((one, other) => compareNames(one.user, other.user));
    const here = all.filter((it) => it.online);
    const away = all.filter((it) => !it.online);
    const rows = this.#rows.draw([...here, ...away].slice(0, MOST));
    keepingFocus(() => {
      const groups = [...this.#online.draw(rows.slice(0, here.length)), ...this.#away.draw(rows.slice(here.length))];
      arrange(this.#list, [...groups, ...more(all.length - MOST, moreMembers)]);
    });
  }
}

/** Some of the members, under a heading. */
class Group {
  #title;
  #heading = element("h3");
  #list = element("ul");

  /** @param {string} title */
  constructor(title) {
    this.#title = title;
  }

  /** Returns what there is to show. @param {HTMLElement[]} rows */
  draw(rows) {
    this.#heading.textContent = `${this.#title} — ${rows.length}`;
    arrange(this.#list, rows);
    return rows.length > 0 ? [this.#heading, this.#list] : [];
  }
}

/** The row of a member. */
class Person {
  node = element("li");
  #entry;
  #remark;

  /**
   * @param {HTMLElement} entry
   * @param {string} [remark]
   */
  constructor(entry, remark = "") {
    this.#entry = entry;
    this.#remark = remark;
    entry.className = "entry";
    this.node.append(entry);
  }

  /** @param {Member} member */
  draw({ user, online, role = "" }) {
    const picture = element("span", { class: `person${online ? " online" : ""}` }, avatar(user, "small"));
    const told = [ROLES[role], this.#remark].filter(Boolean);
    this.#entry.replaceChildren(
      picture, element("bdi", { class: "entry-name" }, user),
      ...told.map((it) => element("small", { class: "role" }, it ?? "")),
    );
  }
}

/**
 * @param {string} user
 * @param {(user: string) => void} write
 */
function writing(user, write) {
  return button("", () => write(user), { title: `Write to ${user}` });
}

/**
 * @param {number} count of those that are known and not drawn
 * @param {boolean} unknown whether there are others
 */
function more(count, unknown) {
  if (count > 0) return [element("p", { class: "hint" }, `and ${count} more`)];
  return unknown ? [element("p", { class: "hint" }, "and more")] : [];
}
