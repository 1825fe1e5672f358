/**
 * The contract `chat.v1` in its canonical proto3 JSON, as far as this page uses it.
 *
 * 64-bit integers come as strings, and what has its default does not come at all.
 *
 * @typedef {{epoch?: string, seq?: string}} Cursor
 * @typedef {{user?: string, clientId?: string, resume?: Cursor, backlog?: number,
 *   password?: string, token?: string}} Hello
 * @typedef {{to: string, text: string, nonce?: string, replyTo?: string}} Send
 * @typedef {{room: string, action: string, user?: string, reason?: string, duration?: string}} Moderate
 * @typedef {{ref?: string, hello?: Hello, send?: Send, join?: {room: string}, leave?: {room: string},
 *   who?: {to?: string, after?: string}, history?: {to: string, beforeSeq?: string, limit?: number},
 *   conversations?: {beforeSeq?: string, limit?: number}, ping?: {}, moderate?: Moderate}} Command
 *
 * @typedef {{maxTextBytes?: number, maxFrameBytes?: number, maxBacklog?: number, maxHistory?: number,
 *   maxRoster?: number, maxRooms?: number, presenceLimit?: number}} Limits
 * @typedef {{user: string, sessionId?: string, cursor?: Cursor, resumed?: boolean,
 *   lastNonce?: string, rooms?: string[], limits?: Limits, version?: string, token?: string}} Welcome
 * @typedef {{seq?: string, number?: string, nonce?: string, duplicate?: boolean, sentAt?: string}} Ack
 * @typedef {{code?: string, message?: string, retryAfter?: string}} Refusal
 * @typedef {{to: string, sender: string, number?: string, text: string, sentAt: string}} Message
 * @typedef {{room: string, user: string}} Passage
 * @typedef {{user: string, online?: boolean}} Presence
 * @typedef {{user: string, online?: boolean, role?: string}} Member
 * @typedef {{to?: string, members?: Member[], more?: boolean}} Roster
 * @typedef {{to: string, events?: ChatEvent[], more?: boolean}} HistoryPage
 * @typedef {{conversations?: {to: string, lastSeq: string, lastNumber: string}[], more?: boolean}} ConversationsPage
 * @typedef {{to?: string, afterSeq?: string, beforeSeq?: string, reason?: string}} Gap
 * @typedef {{reason?: string, message?: string, reconnect?: boolean, retryAfter?: string}} Goodbye
 * @typedef {{room: string, action: string, user?: string, by?: string, reason?: string,
 *   until?: string}} Moderated
 * @typedef {{text: string, by?: string, sentAt?: string}} Announcement
 *
 * @typedef {{ref?: string, seq?: string, welcome?: Welcome, ack?: Ack, error?: Refusal,
 *   message?: Message, joined?: Passage, left?: Passage, presence?: Presence, roster?: Roster,
 *   history?: HistoryPage, gap?: Gap, goodbye?: Goodbye, pong?: {}, moderated?: Moderated,
 *   announcement?: Announcement, conversations?: ConversationsPage}} ChatEvent
 */

export const SUBPROTOCOL = "chat.v1.json";
export const LOBBY = "#lobby";

/** What is assumed until a Welcome says otherwise. */
export const DEFAULT_LIMITS = { maxTextBytes: 4096, maxFrameBytes: 64 * 1024, maxHistory: 200 };

/**
 * Returns a 64-bit integer as a number: exact up to 2^53, and no server will count that far.
 * @param {string | number | undefined} text
 */
export function integer(text) {
  return Number(text ?? 0);
}

/**
 * Returns the seconds of a duration such as "1.500s"; 0 if there is none.
 * @param {string | undefined} duration
 */
export function seconds(duration) {
  return Number.parseFloat(duration ?? "0") || 0;
}

/**
 * Returns the milliseconds since 1970 of an RFC 3339 time; now if there is none.
 * @param {string | undefined} time
 */
export function milliseconds(time) {
  const parsed = time ? Date.parse(time) : Number.NaN;
  return Number.isNaN(parsed) ? Date.now() : parsed;
}

const encoder = new TextEncoder();

/**
 * Returns how many bytes a text has in UTF-8.
 * @param {string} text
 */
export function utf8Size(text) {
  return encoder.encode(text).length;
}

/** Codes that are about the moment, not about what was asked. */
const OF_THE_MOMENT = new Set(["ERROR_CODE_UNAVAILABLE", "ERROR_CODE_RATE_LIMITED"]);
/** Seconds to wait before another try, where the server does not say. */
const AGAIN_AFTER = 1;

/** The server said no to a command or a call; `code` is for programs, the message for people. */
export class Refused extends Error {
  /** @param {Refusal} refusal */
  constructor(refusal) {
    super(refusal.message || refusal.code || "refused");
    this.code = refusal.code ?? "";
    /** Seconds after which another try may help; undefined: not unless something changes. */
    this.retryAfter = refusal.retryAfter === undefined ? undefined : seconds(refusal.retryAfter);
  }

  get isOfTheMoment() {
    return OF_THE_MOMENT.has(this.code);
  }

  /** Milliseconds to wait before another try. */
  get pause() {
    return 1000 * (this.retryAfter || AGAIN_AFTER);
  }
}

/** Nothing more can be asked: the session has ended. */
export class Ended extends Error {}
