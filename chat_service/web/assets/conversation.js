/** A room or a private conversation: what was said there, who is there, what is unread. */

/** @import {Member, Message} from "./contract.js" */
/** @import {Sending} from "./outgoing.js" */
import { integer, milliseconds } from "./contract.js";
import { stand } from "./grouping.js";

/** Items that are kept in memory; older ones are the server's to tell again. */
const MAX_ITEMS = 200_000;
const MARGIN = 10_000;

/**
 * @typedef {{seq: number, number: number}} Place how far a conversation was read: to a seq, and to the
 *   number of the last message up to there, since numbers tell how many messages are not here
 *
 * @typedef {object} Said
 * @property {"message"} kind
 * @property {string} key unique in its conversation
 * @property {number} seq
 * @property {number} number
 * @property {number} at milliseconds since 1970
 * @property {number} begin that of the first message of its group
 * @property {string} sender
 * @property {string} text
 * @property {number} [height] pixels, once it was shown
 * @property {boolean} [open] whether a long text is shown whole
 *
 * @typedef {object} Notice
 * @property {"notice"} kind
 * @property {string} key
 * @property {number} seq that of its event, or of what it came behind
 * @property {number} at that of what it stands behind; 0 if there is nothing
 * @property {string} text
 * @property {"" | "error" | "announcement" | "gap" | "help"} tone
 * @property {string} [room] one to join by a click
 * @property {number} [height]
 *
 * @typedef {Said | Notice | Sending} Item
 */

/** Nothing was read. @type {Place} */
export const NOWHERE = { seq: 0, number: 0 };

export class Conversation {
  /** @type {(Said | Notice)[]} in the order of seq */
  items = [];
  /** Whether the server has older messages. */
  more = true;
  /** Whether a page of history is on its way. */
  loading = false;
  /** Whether the latest messages were asked for. */
  loaded = false;
  /** Whether anything was ever exchanged there: with whom nothing was may not even exist. */
  exchanged = false;
  unread = 0;
  mentions = 0;
  /** How far it was read. */
  read = NOWHERE;
  /** Where it ends as far as the server has told of it, though what was said there may not be here. */
  told = NOWHERE;
  /** Behind which place there was something new when it came into view. @type {Place | null} */
  marker = null;
  /** @type {Map<string, Member>} */
  members = new Map();
  /** Whether there are more members than were told. */
  moreMembers = false;
  /** @type {Set<number>} */
  #seqs = new Set();

  /** @param {string} address "#room" or "@user" */
  constructor(address) {
    this.address = address;
  }

  get isRoom() {
    return this.address.startsWith("#");
  }

  get name() {
    return this.address.slice(1);
  }

  get lastSeq() {
    return this.items.at(-1)?.seq ?? 0;
  }

  /** When something happened last, whether that is here or not. */
  get latestSeq() {
    return Math.max(this.lastSeq, this.told.seq);
  }

  /** The seq of the oldest message, to ask for what came before; 0 if there is none. */
  get firstSeq() {
    return this.#oldest?.seq ?? 0;
  }

  /** Where it ends. @type {Place} */
  get end() {
    const latest = this.items.findLast((item) => item.kind === "message");
    return { seq: this.lastSeq, number: latest?.number ?? this.read.number };
  }

  /** The seq behind which the new begin; null if there is none, or history does not reach it yet. */
  get line() {
    const { marker } = this;
    return marker === null || this.missing(marker) > 0 ? null : marker.seq;
  }

  /** How many messages behind a place are not here, but the server's to tell. @param {Place} place */
  missing(place) {
    const oldest = this.#oldest;
    if (!this.more || (oldest && oldest.seq <= place.seq)) return 0;
    return Math.max(0, (oldest ? oldest.number - 1 : this.told.number) - place.number);
  }

  get #oldest() {
    return this.items.find((item) => item.kind === "message");
  }

  /** Tells whether a message is here. @param {number} seq */
  has(seq) {
    return this.#seqs.has(seq);
  }

  /**
   * Adds what has just happened; returns false if it is here already.
   * @param {Said | Notice} item
   */
  append(item) {
    if (item.kind === "message") {
      if (this.#seqs.has(item.seq)) return false;
      this.#seqs.add(item.seq);
    }
    stand(item, this.items.at(-1));
    this.items.push(item);
    if (this.items.length > MAX_ITEMS + MARGIN) this.#forget();
    return true;
  }

  /**
   * Merges a page of history, oldest first; returns those that were not here.
   * @param {Said[]} page
   */
  merge(page) {
    const fresh = page.filter((item) => !this.#seqs.has(item.seq));
    if (fresh.length === 0) return fresh;
    for (const { seq } of fresh) this.#seqs.add(seq);
    const isOlder = (fresh.at(-1)?.seq ?? 0) <= (this.items[0]?.seq ?? Infinity);
    this.items = [...fresh, ...this.items];
    if (!isOlder) this.items.sort((one, other) => one.seq - other.seq);
    this.#standFirst(isOlder ? fresh.length : this.items.length);
    return fresh;
  }

  /** Notes how so many items stand, and those behind them as far as it matters. @param {number} count */
  #standFirst(count) {
    for (const [index, item] of this.items.entries()) {
      const isNews = stand(item, this.items[index - 1]);
      if (index >= count && !isNews) return;
    }
  }

  /** Forgets everything that was said: another log counts from here. */
  clear() {
    this.items = [];
    this.#seqs.clear();
    this.more = true;
    this.loaded = false;
    this.marker = null;
    this.read = NOWHERE;
    this.told = NOWHERE;
  }

  #forget() {
    for (const { seq } of this.items.splice(0, this.items.length - MAX_ITEMS)) {
      this.#seqs.delete(seq);
    }
    this.more = true;
  }
}

/**
 * Returns a message as it is shown.
 * @param {Message} message
 * @param {number} seq
 * @returns {Said}
 */
export function asItem({ sender, number, text, sentAt }, seq) {
  const at = milliseconds(sentAt);
  return { kind: "message", key: `m${seq}`, seq, number: integer(number), at, begin: at, sender, text };
}
