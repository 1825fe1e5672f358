/** What the page knows, as a fold over the events of the session. */

/** @import {Announcement, ChatEvent, ConversationsPage, Gap, HistoryPage, Message, Moderated, Passage, Presence, Roster, Welcome} from "./contract.js" */
/** @import {Changes} from "./changes.js" */
/** @import {Notice, Said} from "./conversation.js" */
/** @import {Outgoing} from "./outgoing.js" */
import { LOBBY, integer } from "./contract.js";
import { Conversation, NOWHERE, asItem } from "./conversation.js";
import { Conversations } from "./conversations.js";
import { deed } from "./deeds.js";
import { Drafts } from "./drafts.js";
import { mentions } from "./format.js";
import { Reading } from "./reading.js";
import { shared } from "./storage.js";

/** Private conversations that are remembered over a reload: no fewer than the server lists. */
const MAX_PEERS = 200;
const LOST = "Some messages cannot be shown any more";

/** @typedef {{conversation: Conversation, item: Said, mentioned: boolean}} Heard */
export class Store {
  user = "";
  drafts = new Drafts(() => this.user);
  conversations = new Conversations();
  /** The address that is shown. */
  current = LOBBY;
  limits = { maxTextBytes: 4096, maxHistory: 200, presenceLimit: 500 };
  /** Told of each message of others that comes in, but not of history. @type {(heard: Heard) => void} */
  onHeard = () => {};
  /** Told of what concerns the user beside messages: errors, answers, what others did. @type {(text: string) => void} */
  onTold = () => {};
  /** Whether the user looks at the page. */
  attentive = () => document.visibilityState === "visible" && document.hasFocus();
  /** Whether the end of what is shown is seen. Set by what shows it. */
  isEndSeen = () => false;

  #changes;
  #outgoing;
  #reading = new Reading();
  #epoch = "";
  #notes = 0;
  /** Rooms that one was not in any more on coming back, since the server has lost its log. @type {Set<string>} */
  #lost = new Set();
  /** The one of them that was shown. */
  #left = "";

  /**
   * @param {Changes} changes
   * @param {Outgoing} outgoing
   */
  constructor(changes, outgoing) {
    this.#changes = changes;
    this.#outgoing = outgoing;
    this.drafts.onChange(() => changes.mark("list"));
    outgoing.isHere = (to, seq) => this.conversations.get(to)?.has(seq) ?? false;
  }

  get conversation() {
    return this.of(this.current);
  }

  /** @param {ChatEvent[]} events */
  apply(events) {
    for (const event of events) {
      for (const [kind, it] of Object.entries(event)) this.#folds[kind]?.(it, integer(event.seq));
    }
  }

  /** Returns a conversation, which begins if there is none. @param {string} address */
  of(address) {
    let found = this.conversations.get(address);
    if (!found) {
      found = new Conversation(address);
      found.read = this.#reading.last(address);
      this.conversations.set(address, found);
      this.#changes.mark("list");
    }
    return found;
  }

  /** @param {string} address */
  open(address) {
    this.current = address;
    this.#left = "";
    this.#reading.mark(this.of(address));
    this.#changes.mark("current", "list", "items", "members");
  }

  /** Takes a conversation off the list. @param {string} address */
  close(address) {
    const conversation = this.conversations.get(address);
    if (conversation && !conversation.isRoom) this.#dismiss(conversation);
    this.conversations.delete(address);
    this.#changes.mark("list");
    this.#keepPeers();
    if (this.current === address) this.open(LOBBY);
  }

  /** Takes what is shown as read, if somebody sees its end. */
  read() {
    const conversation = this.conversation;
    if (!this.#isSeen(conversation) || conversation.read.seq >= conversation.lastSeq) return;
    if (conversation.unread > 0) this.#changes.mark("list");
    this.#reading.read(conversation);
  }

  /** The first message that is shown and unread. */
  get firstUnread() {
    return this.#reading.firstUnread(this.conversation);
  }

  /**
   * @param {string} address
   * @param {string} text
   */
  keepDraft(address, text) {
    this.drafts.set(address, text);
    this.#changes.mark("list");
  }

  /** Has the conversation drawn, though nothing in it has changed. */
  touch() {
    this.#changes.mark("items");
  }

  /** Takes over what another tab of this user has read. */
  readElsewhere() {
    this.#reading.readElsewhere(this.conversations.values());
    this.#changes.mark("list");
  }

  /**
   * Adds a line that the server has not sent.
   * @param {string} address
   * @param {string} text
   * @param {Notice["tone"]} [tone]
   */
  note(address, text, tone = "") {
    const conversation = this.of(address);
    this.#notice(conversation, conversation.lastSeq, text, tone);
    this.onTold(text);
  }

  /** Merges a page of history. @param {HistoryPage} page */
  page({ to, events = [], more = false }) {
    const conversation = this.of(to);
    const said = events.flatMap((it) => (it.message ? [asItem(it.message, integer(it.seq))] : []));
    const oldest = conversation.firstSeq;
    const first = said[0]?.seq ?? 0;
    for (const it of conversation.merge(said)) {
      if (it.sender !== this.user) continue;
      this.#outgoing.arrived(it.seq);
      const { seq, number } = it;
      this.#reading.readTo(conversation, { seq, number }); // who says something has read what was before
    }
    if (oldest === 0 || first <= oldest) conversation.more = more;
    if (said.length > 0) this.#exchanged(conversation);
    if (!conversation.loaded) this.#begin(conversation);
    else if (conversation.unread > 0) this.#reading.count(conversation);
    this.#changes.mark("items", "list");
    if (to === this.current) this.read();
  }

  /** The server does not tell what was said in a conversation. @param {Conversation} conversation */
  untold(conversation) {
    conversation.loaded = true;
    conversation.more = false;
    this.#changes.mark("current");
  }

  /** Takes over whom the user has written with. @param {ConversationsPage} page */
  listed({ conversations = [] }) {
    for (const { to, lastSeq, lastNumber } of conversations) {
      const seq = integer(lastSeq);
      // What was read here and is not shown any more, the user has closed.
      if (!this.conversations.has(to) && this.#reading.last(to).seq >= seq) continue;
      const conversation = this.of(to);
      conversation.told = { seq, number: integer(lastNumber) };
      if (this.#isCountedByNumber(conversation)) this.#reading.count(conversation);
    }
    this.#changes.mark("list");
  }

  /**
   * Takes over who is in a room.
   * @param {Roster} roster
   * @param {string} after the name behind which it begins
   */
  roster({ to = "", members = [], more = false }, after) {
    const conversation = this.of(to);
    if (!after) conversation.members.clear();
    for (const member of members) conversation.members.set(member.user, member);
    conversation.moreMembers = more;
    this.#changes.mark("members", "list");
  }

  /** @param {string} user */
  isOnline(user) {
    return this.conversations.get(LOBBY)?.members.get(user)?.online ?? false;
  }

  /** Every name that was heard of, for completion. */
  get names() {
    const names = new Set(this.conversations.people.map((it) => it.name));
    for (const name of this.conversation.members.keys()) names.add(name);
    for (const item of this.conversation.items.slice(-200)) {
      if (item.kind === "message") names.add(item.sender);
    }
    names.delete(this.user);
    return [...names].sort();
  }

  /** @type {Record<string, (it: any, seq: number) => void>} by the event's kind */
  #folds = {
    welcome: (/** @type {Welcome} */ it) => this.#welcomed(it),
    message: (/** @type {Message} */ it, seq) => this.#message(it, seq),
    joined: (/** @type {Passage} */ it, seq) => this.#passage(it, seq, true),
    left: (/** @type {Passage} */ it, seq) => this.#passage(it, seq, false),
    presence: (/** @type {Presence} */ it) => this.#presence(it.user, Boolean(it.online)),
    history: (/** @type {HistoryPage} */ it) => this.page(it),
    gap: (/** @type {Gap} */ it) => this.#gap(it),
    moderated: (/** @type {Moderated} */ it, seq) => this.#moderated(it, seq),
    announcement: (/** @type {Announcement} */ it, seq) => this.#announced(it, seq),
    error: (it) => this.note(this.current, it.message ?? "", "error"),
  };

  /** @param {Welcome} welcome */
  #welcomed({ user, cursor, limits, rooms = [LOBBY] }) {
    if (user !== this.user) this.become(user);
    if (cursor?.epoch !== this.#epoch) this.#enterLog(cursor?.epoch ?? "");
    this.limits = { ...this.limits, ...limits };
    for (const { address } of this.conversations.rooms) {
      if (!rooms.includes(address) && this.conversations.delete(address)) this.#lost.add(address);
    }
    for (const room of rooms) this.of(room);
    if (!this.conversations.has(this.current)) {
      this.#left = this.current;
      this.current = LOBBY;
    }
    this.#changes.mark("me", "list", "current", "members", "items");
  }

  /** Goes on for a user, whose things are kept; nobody's ("") are not. @param {string} user */
  become(user) {
    this.user = user;
    this.#reading.recall(user);
    for (const peer of shared.get(`peers.${user}`) ?? []) this.of(`@${peer}`).exchanged = true;
  }

  /** Takes a conversation as read to its end, so that it is not listed again before there is more. @param {Conversation} conversation */
  #dismiss(conversation) {
    this.#reading.readTo(conversation, conversation.told);
    this.#reading.read(conversation);
  }

  /** @param {string} epoch */
  #enterLog(epoch) {
    const same = this.#reading.enter(epoch);
    const isFirst = this.#epoch === "";
    this.#epoch = epoch;
    for (const conversation of this.conversations.values()) {
      if (!isFirst) conversation.clear();
      conversation.read = same ? this.#reading.last(conversation.address) : NOWHERE;
    }
  }

  /** What to count as unread, once the latest messages are here. @param {Conversation} conversation */
  #begin(conversation) {
    conversation.loaded = true;
    const isNew = conversation.isRoom && conversation.read.seq === 0;
    if (isNew) this.#reading.read(conversation); // what was said before one came
    else this.#reading.count(conversation);
    this.#changes.mark("current");
  }

  /** Tells whether numbers say what is unread, before it is here: something was read here before. @param {Conversation} conversation */
  #isCountedByNumber({ loaded, read }) {
    return !loaded && read.seq > 0;
  }

  /** Tells whether somebody sees what comes in there. @param {Conversation} conversation */
  #isSeen(conversation) {
    return conversation.address === this.current && this.attentive() && this.isEndSeen();
  }

  /**
   * @param {Message} message
   * @param {number} seq
   */
  #message(message, seq) {
    const mine = message.sender === this.user;
    const address = message.to.startsWith("@") && !mine ? `@${message.sender}` : message.to;
    const conversation = this.of(address);
    const item = asItem(message, seq);
    if (!conversation.append(item)) return;
    this.#exchanged(conversation);
    this.#changes.mark("items");
    if (mine) this.#said(conversation, seq);
    else this.#heard(conversation, item);
    if (!conversation.isRoom) this.#changes.mark("list");
  }

  /**
   * @param {Conversation} conversation
   * @param {number} seq
   */
  #said(conversation, seq) {
    this.#outgoing.arrived(seq);
    this.#reading.read(conversation);
    this.#reading.mark(conversation);
  }

  /**
   * @param {Conversation} conversation
   * @param {Said} item
   */
  #heard(conversation, item) {
    const mentioned = mentions(item.text, this.user);
    if (this.#isSeen(conversation)) {
      this.#reading.read(conversation);
    } else if (item.seq > conversation.read.seq) {
      if (this.#isCountedByNumber(conversation)) this.#reading.count(conversation);
      else this.#reading.add(conversation, mentioned);
      this.#changes.mark("list");
    }
    this.onHeard({ conversation, item, mentioned });
  }

  /**
   * @param {Passage} passage
   * @param {number} seq
   * @param {boolean} came
   */
  #passage({ room, user }, seq, came) {
    if (user === this.user) {
      if (came) this.#entered(room);
      else this.close(room);
      return;
    }
    const conversation = this.of(room);
    if (came) conversation.members.set(user, { user, online: true, role: "ROLE_MEMBER" });
    else conversation.members.delete(user);
    this.#notice(conversation, seq, `${user} ${came ? "joined" : "left"}`);
    this.#changes.mark("members");
  }

  /** @param {string} room */
  #entered(room) {
    this.of(room);
    if (!this.#lost.delete(room)) return;
    this.note(room, LOST, "gap");
    if (room === this.#left && this.current === LOBBY) this.open(room);
    this.#changes.mark("stale", "roster");
  }

  /**
   * @param {string} user
   * @param {boolean} online
   */
  #presence(user, online) {
    for (const { members } of this.conversations.values()) {
      const member = members.get(user);
      if (member) members.set(user, { ...member, online });
    }
    const lobby = this.of(LOBBY).members;
    if (!online) lobby.delete(user); // of whom only those who are online are told
    else if (!lobby.has(user)) lobby.set(user, { user, online, role: "ROLE_MEMBER" });
    this.#changes.mark("members", "list");
  }

  /** @param {Gap} gap */
  #gap({ to, beforeSeq }) {
    for (const address of to ? [to] : this.conversations.keys()) {
      const conversation = this.of(address);
      const behind = integer(beforeSeq) || conversation.lastSeq;
      this.#notice(conversation, behind, LOST, "gap");
    }
    this.onTold(LOST);
    this.#changes.mark("stale");
  }

  /**
   * @param {Moderated} moderated
   * @param {number} seq
   */
  #moderated(moderated, seq) {
    const { room, action, user = "", by = "" } = moderated;
    const text = deed(moderated, this.user);
    if (!text) return;
    if ([user, by].includes(this.user)) this.onTold(text);
    if (action === "MODERATION_ACTION_INVITE") {
      this.#invited(by === this.user ? user : by, by === this.user ? "" : room, text, seq);
    } else if (["MODERATION_ACTION_KICK", "MODERATION_ACTION_BAN"].includes(action)) {
      this.#expelled(room, user, text, seq);
    } else {
      this.#notice(this.of(room), seq, text);
    }
    this.#changes.mark("members", "roster");
  }

  /**
   * @param {string} other
   * @param {string} room what this user may join; empty if the other may
   * @param {string} text
   * @param {number} seq
   */
  #invited(other, room, text, seq) {
    const conversation = this.of(`@${other}`);
    this.#notice(conversation, seq, text).room = room;
    this.#exchanged(conversation);
    if (!room || this.#isSeen(conversation)) return;
    this.#reading.add(conversation, false);
    this.#changes.mark("list");
  }

  /**
   * @param {string} room
   * @param {string} user
   * @param {string} text
   * @param {number} seq
   */
  #expelled(room, user, text, seq) {
    if (user === this.user) {
      this.close(room);
      this.note(this.current, text, "error");
      return;
    }
    const conversation = this.of(room);
    conversation.members.delete(user);
    this.#notice(conversation, seq, text);
  }

  /**
   * @param {Announcement} announcement
   * @param {number} seq
   */
  #announced({ by, text }, seq) {
    const told = `Announcement${by ? ` from ${by}` : ""}: ${text}`;
    for (const address of new Set([LOBBY, this.current])) {
      this.#notice(this.of(address), seq, told, "announcement");
    }
    this.onTold(told);
  }

  /**
   * @param {Conversation} conversation
   * @param {number} seq
   * @param {string} text
   * @param {Notice["tone"]} [tone]
   * @returns {Notice}
   */
  #notice(conversation, seq, text, tone = "") {
    /** @type {Notice} */
    const notice = { kind: "notice", key: `n${++this.#notes}`, seq, at: 0, text, tone };
    conversation.append(notice);
    this.#changes.mark("items");
    return notice;
  }

  /** Something has come from there: who it is, is remembered from now on. @param {Conversation} conversation */
  #exchanged(conversation) {
    if (conversation.isRoom || conversation.exchanged) return;
    conversation.exchanged = true;
    this.#keepPeers();
  }

  #keepPeers() {
    if (!this.user) return;
    const known = this.conversations.people.filter((it) => it.exchanged);
    const peers = known.slice(0, MAX_PEERS).map((it) => it.name);
    shared.set(`peers.${this.user}`, peers.length > 0 ? peers : null);
  }
}
