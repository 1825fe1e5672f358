/**
 * What a screen reader says, politely: what comes in where the user is, if it is not much; and
 * wherever it happens, what concerns the user.
 */

/** @import {Heard} from "./store.js" */
import { byId, element } from "./dom.js";

/** Milliseconds between two announcements of what others say; what the user waits for comes sooner. */
const PAUSE = 1_500;
const SOON = 100;
const MOST = 2;
const MOST_LETTERS = 200;
/** Help and lists of members are read out. */
const MOST_OF_A_REMARK = 2_000;

export class Live {
  #region = byId("live", HTMLElement);
  /** What is said however much there is. @type {Set<string>} */
  #remarks = new Set();
  /** @type {string[]} */
  #messages = [];
  #count = 0;
  #mentions = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {Heard} heard
   * @param {boolean} isShown whether its conversation is
   */
  hear({ conversation, item, mentioned }, isShown) {
    if (isShown) {
      this.#count += 1;
      if (mentioned) this.#mentions += 1;
      if (this.#messages.length < MOST) this.#messages.push(`${item.sender}: ${item.text.slice(0, MOST_LETTERS)}`);
    } else if (!conversation.isRoom) {
      this.#remarks.add(`Private message from ${item.sender}`);
    } else if (mentioned) {
      this.#remarks.add(`${item.sender} mentions you in ${conversation.address}`);
    } else {
      return;
    }
    this.#timer ??= setTimeout(() => this.#say(), PAUSE);
  }

  /** @param {string} text */
  tell(text) {
    this.#remarks.add(text.slice(0, MOST_OF_A_REMARK));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#say(), SOON);
  }

  #say() {
    this.#timer = undefined;
    const said = [...this.#remarks, ...this.#heard()].join(". ");
    // Another element, since one that changes to the same text is not said again.
    this.#region.replaceChildren(element("p", {}, said));
    this.#remarks.clear();
    this.#messages = [];
    this.#count = this.#mentions = 0;
  }

  #heard() {
    if (this.#count <= MOST) return this.#messages;
    return [`${this.#count} new messages${this.#mentions > 0 ? `, ${this.#mentions} for you` : ""}`];
  }
}
