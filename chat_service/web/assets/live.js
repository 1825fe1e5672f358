/** What a screen reader says of what comes in: politely, of the room that is shown, and not much. */

/** @import {Heard} from "./store.js" */
import { byId } from "./dom.js";

/** Milliseconds between two announcements. */
const PAUSE = 1_500;
const MOST = 2;
const MOST_LETTERS = 200;

export class Live {
  #region = byId("live", HTMLElement);
  /** @type {string[]} */
  #waiting = [];
  #count = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Heard} heard */
  tell({ item }) {
    this.#count += 1;
    if (this.#waiting.length < MOST) {
      this.#waiting.push(`${item.sender}: ${item.text.slice(0, MOST_LETTERS)}`);
    }
    this.#timer ??= setTimeout(() => this.#say(), PAUSE);
  }

  #say() {
    this.#timer = undefined;
    const few = this.#count <= MOST;
    this.#region.textContent = few ? this.#waiting.join(". ") : `${this.#count} new messages`;
    this.#waiting = [];
    this.#count = 0;
  }
}
