/**
 * Who the page's user is, and what proves it.
 *
 * An account is proved by its session token. A guest is proved by the `client_id` of the tab that
 * the guest first came in by (the primary), or, for every other tab, by a token that one of the
 * guest's tabs was given: tabs share the latest by the local storage.
 */

/** @import {Hello, Welcome} from "./contract.js" */
import { onSharedChange, own, shared } from "./storage.js";

/** Seconds to wait for the primary to be back, and for its token. */
const FOR_PRIMARY = 1;
const TRIES_FOR_PRIMARY = 3;

/** @typedef {{user: string, kind: "guest" | "account", token: string}} Who */

/** Returns who this browser's user is; null if nobody is signed in. @returns {Who | null} */
export function remembered() {
  const who = shared.get("who");
  return typeof who?.user === "string" && ["guest", "account"].includes(who.kind) ? who : null;
}

/** Remembers who this browser's user is. @param {Who | null} who */
export function remember(who) {
  shared.set("who", who);
  if (who === null) own.set("secondary", null);
}

/**
 * Calls back when another tab has signed in or out.
 * @param {(who: Who | null) => void} listener
 */
export function onOtherUser(listener) {
  onSharedChange((name) => {
    if (name === "who") listener(remembered());
  });
}

export class Identity {
  #clientId;
  #secondary;
  #token = "";
  #tried = "";
  #tries = TRIES_FOR_PRIMARY; // at first nobody is known to come back

  /**
   * @param {Who} who
   * @param {string} clientId
   * @param {boolean} returned whether the tab was here before, under the same client_id
   */
  constructor(who, clientId, returned) {
    this.who = who;
    this.#clientId = clientId;
    const wasSecondary = Boolean(own.get("secondary"));
    this.#secondary = who.kind === "guest" && who.token !== "" && (!returned || wasSecondary);
    this.#token = who.token;
  }

  get isAccount() {
    return this.who.kind === "account";
  }

  /** The token to make calls of Accounts with. */
  get token() {
    return this.#token;
  }

  /** @returns {Hello} */
  hello() {
    const hello = { user: this.who.user, clientId: this.#clientId };
    this.#tried = this.isAccount || this.#secondary ? this.#token : "";
    return this.#tried ? { ...hello, token: this.#tried } : hello;
  }

  /**
   * Takes note of what a Welcome tells of the user.
   * @param {Welcome} welcome
   */
  welcomed(welcome) {
    this.#tries = 0;
    if (!this.isAccount) this.#token = welcome.token ?? "";
    this.who = { ...this.who, user: welcome.user, token: this.#token };
    own.set("secondary", this.#secondary || null);
    remember(this.who);
  }

  /**
   * Returns the seconds after which there is something else to try, or null if there is not.
   * @param {string} code of the refusal
   * @returns {number | null}
   */
  refused(code) {
    const unproved = code === "ERROR_CODE_UNAUTHENTICATED" && this.#tried !== "";
    if (this.isAccount || !(unproved || code === "ERROR_CODE_NAME_TAKEN")) return null;
    const newest = remembered()?.token ?? "";
    if (newest && newest !== this.#token) return this.#takeToken(newest);
    if (unproved && this.#tries < TRIES_FOR_PRIMARY) {
      this.#tries += 1;
      return FOR_PRIMARY;
    }
    if (!unproved) return null;
    this.#secondary = false;
    return 0;
  }

  /** The tab goes: the next one must not come with a token that ends with it. */
  letGo() {
    if (!this.isAccount && remembered()?.token === this.#token) remember({ ...this.who, token: "" });
  }

  /** Another tab that goes has taken its token along: ours is good. */
  offerToken() {
    const who = remembered();
    if (!this.isAccount && this.#token && who?.user === this.who.user && !who.token) {
      remember(this.who);
    }
  }

  /** @param {string} token */
  #takeToken(token) {
    this.#token = token;
    this.#secondary = true;
    return 0;
  }
}
