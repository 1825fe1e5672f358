/** What outlives the page: JSON under names, in a storage that may be missing, full or forbidden. */

const PREFIX = "chat.";

class Keep {
  #storage;

  /** @param {"localStorage" | "sessionStorage"} kind */
  constructor(kind) {
    /** @type {Storage | null} */
    this.#storage = null;
    try {
      this.#storage = window[kind];
    } catch {
      // Forbidden: nothing is kept.
    }
  }

  /**
   * @param {string} name
   * @returns {any} null if there is none
   */
  get(name) {
    try {
      return JSON.parse(this.#storage?.getItem(PREFIX + name) ?? "null");
    } catch {
      return null;
    }
  }

  /**
   * Returns a value, and takes it away.
   * @param {string} name
   * @returns {any} null if there is none
   */
  take(name) {
    const value = this.get(name);
    this.set(name, null);
    return value;
  }

  /**
   * Keeps a value; null takes it away.
   * @param {string} name
   * @param {unknown} value
   */
  set(name, value) {
    try {
      if (value === null) this.#storage?.removeItem(PREFIX + name);
      else this.#storage?.setItem(PREFIX + name, JSON.stringify(value));
    } catch {
      // Full or forbidden: the page goes on without.
    }
  }

  /** Takes away all values whose names begin so. @param {string} beginning */
  forget(beginning) {
    const names = Object.keys(this.#storage ?? {});
    for (const name of names) if (name.startsWith(PREFIX + beginning)) this.#storage?.removeItem(name);
  }
}

/** Shared by the tabs of this browser. */
export const shared = new Keep("localStorage");

/** This tab's own; a duplicated tab begins with a copy of it. */
export const own = new Keep("sessionStorage");

/**
 * Calls back when another tab has changed a shared value.
 * @param {(name: string) => void} listener
 */
export function onSharedChange(listener) {
  window.addEventListener("storage", ({ key, storageArea }) => {
    if (storageArea === localStorage && key?.startsWith(PREFIX)) listener(key.slice(PREFIX.length));
  });
}
