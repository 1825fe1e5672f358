/** What is written and not yet said: kept for each conversation, and shared by the tabs of a user. */

import { onSharedChange, shared } from "./storage.js";

export class Drafts {
  #user;

  /** @param {() => string} user */
  constructor(user) {
    this.#user = user;
  }

  /** @param {string} address */
  get(address) {
    return shared.get(this.#name(address)) ?? "";
  }

  /**
   * @param {string} address
   * @param {string} text empty: there is none any more
   */
  set(address, text) {
    shared.set(this.#name(address), text || null);
  }

  /** Lets none of a user's stay behind. */
  clear() {
    for (const sign of ["#", "@"]) shared.forget(this.#name(sign));
  }

  /**
   * Calls back when another tab has changed one.
   * @param {(address: string) => void} listener
   */
  onChange(listener) {
    onSharedChange((name) => {
      const beginning = this.#name("");
      if (this.#user() && name.startsWith(beginning)) listener(name.slice(beginning.length));
    });
  }

  /** @param {string} address */
  #name(address) {
    return `draft.${this.#user()}.${address}`;
  }
}
