/**
 * What this tab's user has said and the server has not yet acknowledged. It is kept with its nonces
 * in the session storage, beside the client_id that they count for, so that it survives a reload
 * and happens once all the same.
 */

/** @import {Session} from "./session.js" */
import { Ended, Refused, integer } from "./contract.js";
import { own } from "./storage.js";

/**
 * @typedef {object} Sending
 * @property {"sending"} kind
 * @property {string} key
 * @property {number} at milliseconds since 1970
 * @property {string} sender
 * @property {string} to
 * @property {string} text
 * @property {string} nonce empty until it was first written
 * @property {"sending" | "sent" | "failed"} state "sent": acknowledged, and its event is yet to come
 * @property {number} seq of its Ack, or 0
 * @property {string} error why it failed, for people
 * @property {number} [height]
 * @property {boolean} [open] whether a long text is shown whole
 */

/** Codes that say "later": worth another try without asking the user. */
const LATER = "ERROR_CODE_UNAVAILABLE";

export class Outgoing {
  /** @type {Sending[]} in the order of their sending */
  list = [];
  #session;
  #onChange;
  #count = 0;

  /**
   * @param {() => Session | null} session
   * @param {() => void} onChange
   */
  constructor(session, onChange) {
    this.#session = session;
    this.#onChange = onChange;
  }

  /**
   * Takes up what was under way when the page was last loaded.
   * @param {string} user
   */
  restore(user) {
    const kept = own.get("outgoing");
    if (kept?.user !== user) return;
    for (const sending of kept.list) {
      const taken = { ...sending, key: this.#nextKey() };
      this.list.push(taken);
      if (taken.state === "sending") this.#submit(taken);
    }
  }

  /**
   * @param {string} to
   * @param {string} text
   * @param {string} sender
   */
  send(to, text, sender) {
    /** @type {Sending} */
    const sending = {
      kind: "sending", key: this.#nextKey(), at: Date.now(), sender, to, text,
      nonce: "", state: "sending", seq: 0, error: "",
    };
    this.list.push(sending);
    this.#changed();
    this.#submit(sending);
  }

  /**
   * Gives up the nonces, since somebody else has the client_id that they count for. Whether what was
   * written with one was said, nobody but the user can find out.
   */
  disown() {
    for (const sending of this.list) {
      if (sending.state !== "sending" || !sending.nonce) continue;
      this.#fail(sending, "No answer has come, so it may have been said.");
    }
    this.#changed();
  }

  /** Forgets all of it. */
  clear() {
    this.list = [];
    this.#changed();
  }

  /** Tries what has failed once more, as another send. @param {Sending} sending */
  retry(sending) {
    this.discard(sending);
    this.send(sending.to, sending.text, sending.sender);
  }

  /** @param {Sending} sending */
  discard(sending) {
    this.list = this.list.filter((it) => it !== sending);
    this.#changed();
  }

  /** What is on its way to an address. @param {string} to */
  to(to) {
    return this.list.filter((it) => it.to === to);
  }

  /** Something of this user's own has come. @param {number} seq */
  arrived(seq) {
    const sending = this.list.find((it) => it.seq === seq);
    if (sending) this.discard(sending);
  }

  /** @param {Sending} sending */
  #submit(sending) {
    const send = { to: sending.to, text: sending.text };
    const numbered = (/** @type {string} */ nonce) => {
      sending.nonce = nonce;
      this.#keep();
    };
    const command = { send: sending.nonce ? { ...send, nonce: sending.nonce } : send };
    this.#session()?.submit(command, numbered).then(
      (event) => this.#acknowledged(sending, integer(event.ack?.seq)),
      (error) => this.#failed(sending, error),
    );
  }

  /**
   * @param {Sending} sending
   * @param {number} seq 0 for a repeat of one that is long known
   */
  #acknowledged(sending, seq) {
    if (seq === 0 || this.isHere(sending.to, seq)) {
      this.discard(sending);
      return;
    }
    sending.state = "sent";
    sending.seq = seq;
    this.#changed();
  }

  /** Tells whether a message is shown already. Set by the store. @type {(to: string, seq: number) => boolean} */
  isHere = () => false;

  /** Told of what was refused for good. @type {(sending: Sending) => void} */
  onFailed = () => {};

  /**
   * @param {Sending} sending
   * @param {Error} error
   */
  #failed(sending, error) {
    if (error instanceof Ended) return; // it waits for the next session of this user
    if (error instanceof Refused && error.code === LATER) {
      sending.nonce = "";
      this.#keep(); // or the next load of the page would say it with a nonce that may be passed
      setTimeout(() => this.#submit(sending), error.pause);
      return;
    }
    this.#fail(sending, `Not sent: ${error.message}`);
    this.#changed();
    this.onFailed(sending);
  }

  /**
   * @param {Sending} sending
   * @param {string} error
   */
  #fail(sending, error) {
    Object.assign(sending, { nonce: "", state: "failed", error });
  }

  #nextKey() {
    return `o${++this.#count}`;
  }

  #changed() {
    this.#keep();
    this.#onChange();
  }

  #keep() {
    const list = this.list.filter((it) => it.state !== "sent");
    own.set("outgoing", list.length > 0 ? { user: list[0]?.sender, list } : null);
  }
}
