/**
 * The commands that await their reply, and the numbering that makes each send happen once.
 *
 * The server drops a send whose nonce is not above the last one that it accepted. Hence:
 * - A nonce is given when a send is first written, so numbers rise in the order of writing.
 * - After a reconnect, everything unanswered is written again, first and in the old order: what had
 *   arrived is acknowledged as a duplicate, what had not happens now.
 * - A refused send is never written again with its nonce: another try is another send.
 * - Unless it was written before and the refusal is about the moment: it is about this copy, and an
 *   earlier one may have happened. So it is written again until the answer is about the send itself.
 *   Until then nothing else is written, since what is accepted meanwhile would pass it.
 */

/** @import {ChatEvent, Command, Welcome} from "./contract.js" */
import { DEFAULT_LIMITS, Refused, integer, utf8Size } from "./contract.js";

/** Commands written and not yet answered, at most: the server remembers 256 refused nonces. */
const WINDOW = 64;

/** Bytes that a command grows by once it is in a frame. */
const HEADROOM = 64;

/**
 * @typedef {object} Pending
 * @property {Command} command
 * @property {number} size bytes
 * @property {number} timesWritten
 * @property {boolean} due whether it has to be written, for the first time or again
 * @property {(event: ChatEvent) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {(nonce: string) => void} numbered
 */

export class InFlight {
  #refs = 0;
  #nextNonce = 1;
  #maxFrameBytes = DEFAULT_LIMITS.maxFrameBytes;
  /** @type {Map<string, Pending>} in the order of the calls, and so of the nonces */
  #byRef = new Map();
  /** @type {Pending[]} */
  #unwritten = [];
  /** Until when nothing is written. @type {ReturnType<typeof setTimeout> | undefined} */
  #held;
  #onDue;

  /** @param {() => void} onDue called when some may be written again that were held back */
  constructor(onDue) {
    this.#onDue = onDue;
  }

  /** Whether something was written and is not answered yet. */
  get isAwaited() {
    for (const { due } of this.#byRef.values()) if (!due) return true;
    return false;
  }

  /**
   * Takes a command; the promise is that of its reply, and rejects with Refused or Ended.
   * A send that has a nonce already was written by this tab before it was loaded again.
   * @param {Command} command
   * @param {(nonce: string) => void} [numbered] told of the nonce before the send is written
   * @returns {Promise<ChatEvent>}
   */
  add(command, numbered = () => {}) {
    const ref = String(++this.#refs);
    const owned = { ...command, ref };
    const size = utf8Size(JSON.stringify(owned)) + HEADROOM;
    if (size > this.#maxFrameBytes) {
      return Promise.reject(new Refused({ code: "ERROR_CODE_TOO_LARGE", message: "too long" }));
    }
    const nonce = integer(owned.send?.nonce);
    this.#nextNonce = Math.max(this.#nextNonce, nonce + 1);
    return new Promise((resolve, reject) => {
      const timesWritten = nonce ? 1 : 0;
      const pending = { command: owned, size, timesWritten, due: true, resolve, reject, numbered };
      this.#byRef.set(ref, pending);
      this.#unwritten.push(pending);
    });
  }

  /**
   * Prepares for a fresh stream: all that is unanswered has to be written (again).
   * @param {Welcome} welcome
   */
  reopen(welcome) {
    this.#nextNonce = Math.max(this.#nextNonce, integer(welcome.lastNonce) + 1);
    this.#maxFrameBytes = welcome.limits?.maxFrameBytes || DEFAULT_LIMITS.maxFrameBytes;
    for (const pending of this.#byRef.values()) pending.due = true;
    this.#release();
  }

  /** Returns as many of the waiting commands as one frame and the window hold, if any may be written. */
  nextCommands() {
    if (this.#held !== undefined) return [];
    /** @type {Command[]} */
    const commands = [];
    let room = this.#maxFrameBytes;
    let open = this.#byRef.size - this.#unwritten.length;
    while (this.#unwritten.length > 0 && open < WINDOW) {
      const [pending] = this.#unwritten;
      if (pending === undefined || (commands.length > 0 && pending.size > room)) break;
      this.#unwritten.shift();
      this.#number(pending);
      commands.push(pending.command);
      room -= pending.size;
      open += 1;
    }
    return commands;
  }

  /**
   * Hands a reply to whoever waits for it.
   * @param {ChatEvent} event
   */
  resolve(event) {
    const pending = this.#byRef.get(event.ref ?? "");
    if (!pending) return;
    const refused = event.error && new Refused(event.error);
    if (refused?.isOfTheMoment && pending.command.send && pending.timesWritten > 1) {
      pending.due = true;
      this.#hold(refused.pause);
      return;
    }
    this.#byRef.delete(event.ref ?? "");
    if (refused) {
      pending.reject(refused);
    } else if (pending.command.send && event.ack?.duplicate && pending.timesWritten === 1) {
      // Written once and yet a repeat: the nonce was somebody else's, and this was not said.
      pending.reject(new Refused({ message: "another tab sends in this one's name" }));
    } else {
      pending.resolve(event);
    }
  }

  /**
   * Tells everyone who waits that no reply will come.
   * @param {Error} error
   */
  fail(error) {
    const all = [...this.#byRef.values()];
    this.#byRef.clear();
    this.#release();
    for (const { reject } of all) reject(error);
  }

  /**
   * Writes nothing for a while; an earlier end of it is forgotten.
   * @param {number} milliseconds
   */
  #hold(milliseconds) {
    clearTimeout(this.#held);
    this.#held = setTimeout(() => {
      this.#release();
      this.#onDue();
    }, milliseconds);
  }

  /** Lets everything be written that is due, in the order of the calls. */
  #release() {
    clearTimeout(this.#held);
    this.#held = undefined;
    this.#unwritten = [...this.#byRef.values()].filter(({ due }) => due);
  }

  /** @param {Pending} pending */
  #number(pending) {
    const { send } = pending.command;
    if (send && !send.nonce) {
      const nonce = String(this.#nextNonce++);
      pending.command = { ...pending.command, send: { ...send, nonce } };
      pending.numbered(nonce);
    }
    pending.timesWritten += 1;
    pending.due = false;
  }
}
