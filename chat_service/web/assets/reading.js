/** What was read, kept for each conversation and shared by the tabs of a user. */

/** @import {Conversation, Said} from "./conversation.js" */
import { mentions } from "./format.js";
import { shared } from "./storage.js";

/** Milliseconds after which what was read is kept. */
const SOON = 500;

export class Reading {
  #user = "";
  #epoch = "";
  /** @type {Record<string, number>} the last seq read, by address */
  #last = {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #keeping;

  /** @param {string} user */
  recall(user) {
    this.#user = user;
    this.#last = this.#kept().last;
  }

  /**
   * Counts in another log from here on; tells whether what was read before still means anything.
   * @param {string} epoch
   */
  enter(epoch) {
    const same = epoch === this.#epoch || (this.#epoch === "" && this.#kept().epoch === epoch);
    this.#epoch = epoch;
    if (!same) this.#last = {};
    return same;
  }

  /** @param {string} address */
  last(address) {
    return this.#last[address] ?? 0;
  }

  /** Takes a conversation as read to its end. @param {Conversation} conversation */
  read(conversation) {
    conversation.lastRead = Math.max(conversation.lastRead, conversation.lastSeq);
    conversation.unread = 0;
    conversation.mentions = 0;
    this.#last[conversation.address] = conversation.lastRead;
    this.#keeping ??= setTimeout(() => this.#keep(), SOON);
  }

  /** Takes over what another tab has read. @param {Iterable<Conversation>} conversations */
  readElsewhere(conversations) {
    const kept = this.#kept();
    if (kept.epoch !== this.#epoch) return;
    for (const conversation of conversations) {
      const last = Math.max(conversation.lastRead, kept.last[conversation.address] ?? 0);
      this.#last[conversation.address] = conversation.lastRead = last;
      if (conversation.unread > 0) this.count(conversation);
    }
  }

  /** The seq of the first message that is unread; 0 if there is none here. @param {Conversation} conversation */
  firstUnread(conversation) {
    return conversation.items.find((it) => this.#isUnread(conversation, it))?.seq ?? 0;
  }

  /** Counts what is unread anew. @param {Conversation} conversation */
  count(conversation) {
    const unread = conversation.items.filter((it) => this.#isUnread(conversation, it));
    conversation.unread = unread.length;
    conversation.mentions = unread.filter((it) => mentions(it.text, this.#user)).length;
  }

  /**
   * Counts one more.
   * @param {Conversation} conversation
   * @param {boolean} mentioned
   */
  add(conversation, mentioned) {
    conversation.unread += 1;
    if (mentioned) conversation.mentions += 1;
  }

  /**
   * @param {Conversation} conversation
   * @param {Conversation["items"][number]} item
   * @returns {item is Said}
   */
  #isUnread(conversation, item) {
    return item.kind === "message" && item.seq > conversation.lastRead && item.sender !== this.#user;
  }

  /** @returns {{epoch: string, last: Record<string, number>}} */
  #kept() {
    const kept = shared.get(`read.${this.#user}`);
    return { epoch: kept?.epoch ?? "", last: kept?.last ?? {} };
  }

  #keep() {
    this.#keeping = undefined;
    if (this.#user) shared.set(`read.${this.#user}`, { epoch: this.#epoch, last: this.#last });
  }
}
