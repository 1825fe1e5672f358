/**
 * What has changed since the page was last drawn, told once a frame however much it was, so that
 * 500 messages a second cost 60 drawings. A hidden page gets no frames: it is told by a timer.
 */

/** Milliseconds between two looks while the page is hidden. */
const HIDDEN = 250;

/** @typedef {(topics: Set<string>) => void} Listener */

export class Changes {
  /** @type {Set<string>} */
  #topics = new Set();
  /** @type {Listener[]} */
  #listeners = [];
  #waiting = false;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#flush());
  }

  /** @param {Listener} listener */
  listen(listener) {
    this.#listeners.push(listener);
  }

  /** @param {string[]} topics */
  mark(...topics) {
    for (const topic of topics) this.#topics.add(topic);
    if (this.#waiting) return;
    this.#waiting = true;
    if (document.hidden) setTimeout(() => this.#flush(), HIDDEN);
    else requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.#waiting = false;
    if (this.#topics.size === 0) return;
    const topics = this.#topics;
    this.#topics = new Set();
    for (const listener of this.#listeners) listener(topics);
  }
}
