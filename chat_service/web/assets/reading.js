/** What was read, kept for each conversation and shared by the tabs of a user. */

/** @import {Conversation, Place, Said} from "./conversation.js" */
import { NOWHERE } from "./conversation.js";
import { mentions } from "./format.js";
import { shared } from "./storage.js";

/** Milliseconds after which what was read is kept. */
const SOON = 500;

export class Reading {
  #user = "";
  #epoch = "";
  /** @type {Record<string, Place>} how far was read, by address */
  #places = {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #keeping;

  /** @param {string} user */
  recall(user) {
    this.#user = user;
    this.#places = this.#kept().places;
  }

  /**
   * Counts in another log from here on; tells whether what was read before still means anything.
   * @param {string} epoch
   */
  enter(epoch) {
    const same = epoch === this.#epoch || (this.#epoch === "" && this.#kept().epoch === epoch);
    this.#epoch = epoch;
    if (!same) this.#places = {};
    return same;
  }

  /** @param {string} address */
  last(address) {
    return this.#places[address] ?? NOWHERE;
  }

  /** Takes a conversation as read to its end. @param {Conversation} conversation */
  read(conversation) {
    this.readTo(conversation, conversation.end);
    conversation.unread = 0;
    conversation.mentions = 0;
  }

  /**
   * Takes a conversation as read up to a place; what is unread then is not counted yet.
   * @param {Conversation} conversation
   * @param {Place} place
   */
  readTo(conversation, place) {
    if (place.seq > conversation.read.seq) conversation.read = place;
    this.#places[conversation.address] = conversation.read;
    this.#keeping ??= setTimeout(() => this.#keep(), SOON);
  }

  /** Takes over what another tab has read. @param {Iterable<Conversation>} conversations */
  readElsewhere(conversations) {
    const kept = this.#kept();
    if (kept.epoch !== this.#epoch) return;
    for (const conversation of conversations) {
      const place = kept.places[conversation.address] ?? NOWHERE;
      if (place.seq > conversation.read.seq) conversation.read = place;
      this.#places[conversation.address] = conversation.read;
      if (conversation.unread > 0) this.count(conversation);
    }
  }

  /** The first message here that is unread. @param {Conversation} conversation */
  firstUnread(conversation) {
    return conversation.items.find((it) => this.#isUnread(conversation, it));
  }

  /** Counts what is unread anew; who is mentioned in what is not here, nobody knows. @param {Conversation} conversation */
  count(conversation) {
    const unread = conversation.items.filter((it) => this.#isUnread(conversation, it));
    conversation.unread = unread.length + conversation.missing(conversation.read);
    conversation.mentions = unread.filter((it) => mentions(it.text, this.#user)).length;
    this.mark(conversation);
  }

  /** Lets the new begin behind what was read. @param {Conversation} conversation */
  mark(conversation) {
    conversation.marker = conversation.unread > 0 ? conversation.read : null;
  }

  /**
   * Counts one more.
   * @param {Conversation} conversation
   * @param {boolean} mentioned
   */
  add(conversation, mentioned) {
    if (conversation.unread === 0) conversation.marker = conversation.read;
    conversation.unread += 1;
    if (mentioned) conversation.mentions += 1;
  }

  /**
   * @param {Conversation} conversation
   * @param {Conversation["items"][number]} item
   * @returns {item is Said}
   */
  #isUnread(conversation, item) {
    return item.kind === "message" && item.seq > conversation.read.seq && item.sender !== this.#user;
  }

  /** @returns {{epoch: string, places: Record<string, Place>}} */
  #kept() {
    const kept = shared.get(`read.${this.#user}`);
    return { epoch: kept?.epoch ?? "", places: kept?.places ?? {} };
  }

  #keep() {
    this.#keeping = undefined;
    if (this.#user) shared.set(`read.${this.#user}`, { epoch: this.#epoch, places: this.#places });
  }
}
