/**
 * What a typed line means. The commands are those of the line protocol and of `chat-client`: what a
 * verb takes is said by its usage, and the last argument is the rest of the line.
 */

/** @import {Command} from "./contract.js" */

/**
 * @typedef {{kind: "say", to: string, text: string} | {kind: "ask", command: Command} |
 *   {kind: "private", to: string, text: string} | {kind: "join", room: string} | {kind: "leave", room: string} |
 *   {kind: "who"} | {kind: "history", count: number} | {kind: "help"}} Intent
 * @typedef {{usage: string, meaning: string, least: number, most: number,
 *   read: (args: string[], place: string) => Intent}} Verb
 */

/** A line that begins with a slash makes no sense. */
export class UsageError extends Error {}

/** @type {Record<string, number>} in seconds */
const UNITS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const DURATION = /^([0-9]{1,6})([smhdw])$/;
const LIKE_A_DURATION = /^[0-9]+[a-z]*$/i;

/**
 * @param {string} usage
 * @param {string} meaning
 * @param {Verb["read"]} read
 * @returns {Verb}
 */
function verb(usage, meaning, read) {
  const words = usage.split(" ").slice(1);
  const most = words.filter((word) => word !== "[DURATION]").length;
  const least = words.filter((word) => !word.startsWith("[")).length;
  return { usage, meaning, least, most, read };
}

/**
 * @param {string} action
 * @param {string} usage
 * @param {string} meaning
 */
function deed(action, usage, meaning) {
  return verb(usage, meaning, ([name = "", rest = ""], room) => {
    if (!room.startsWith("#")) throw new UsageError("that is for rooms: open one first");
    const timed = usage.includes("DURATION") ? takeDuration(rest) : { reason: rest };
    const user = name.replace(/^@/, "");
    const moderate = { room, action: `MODERATION_ACTION_${action}`, user, ...timed };
    return { kind: "ask", command: { moderate } };
  });
}

/** In the order of /help. */
export const VERBS = [
  verb("/msg NAME text", "says something to one user", ([name = "", text = ""]) => (
    { kind: "private", to: `@${normal(name, "@")}`, text })),
  verb("/join #room", "enters a room, or opens it", ([room = ""]) => (
    { kind: "join", room: `#${normal(room, "#")}` })),
  verb("/leave [#room]", "leaves a room", ([room], place) => (
    { kind: "leave", room: room ? `#${normal(room, "#")}` : place })),
  verb("/who", "lists who is here", () => ({ kind: "who" })),
  verb("/history [N]", "shows N older messages (50)", ([count = "50"]) => {
    if (!/^[1-9][0-9]{0,3}$/.test(count)) throw new UsageError("usage: /history [N], with N from 1 on");
    return { kind: "history", count: Number(count) };
  }),
  deed("KICK", "/kick NAME [reason]", "takes somebody out of the room"),
  deed("BAN", "/ban NAME [DURATION] [reason]", "takes somebody out, for 10m, 2h, 7d or good"),
  deed("UNBAN", "/unban NAME", "takes a ban back"),
  deed("MUTE", "/mute NAME [DURATION] [reason]", "lets somebody only read"),
  deed("UNMUTE", "/unmute NAME", "takes a mute back"),
  deed("INVITE", "/invite NAME", "lets somebody into a private room"),
  deed("MAKE_PRIVATE", "/private", "lets only those in who are invited"),
  deed("MAKE_PUBLIC", "/public", "lets everybody in again"),
  deed("APPOINT", "/op NAME", "makes somebody a moderator"),
  deed("DISMISS", "/deop NAME", "takes that back"),
  deed("HAND_OVER", "/handover NAME", "makes somebody the owner in your place"),
  verb("/help", "shows this", () => ({ kind: "help" })),
];

/** @type {Map<string, Verb>} */
const BY_NAME = new Map(VERBS.map((it) => [name(it), it]));

/** @param {Verb} it */
export function name(it) {
  return it.usage.split(" ")[0] ?? "";
}

/** Tells whether a verb's first argument is a user's name. @param {string} word such as "/kick" */
export function wantsName(word) {
  return BY_NAME.get(word.toLowerCase())?.usage.split(" ")[1] === "NAME";
}

/**
 * Returns what a line asks for in a place ("#room" or "@user"); raises UsageError.
 * @param {string} line
 * @param {string} place
 * @returns {Intent}
 */
export function parse(line, place) {
  if (!line.startsWith("/")) return { kind: "say", to: place, text: line };
  if (line.startsWith("//")) return { kind: "say", to: place, text: line.slice(1) };
  const word = line.split(/\s/, 1)[0] ?? "";
  const found = BY_NAME.get(word.toLowerCase());
  if (!found) throw new UsageError(`no such command: ${word.slice(0, 32)} (/help lists them)`);
  const args = split(line.slice(word.length).trim(), found.most);
  if (args.length < found.least || args.length > found.most) {
    throw new UsageError(`usage: ${found.usage}`);
  }
  return found.read(args, place);
}

/**
 * Splits at white space into so many parts at most, the last being the rest. One that takes none
 * shows that there is something.
 * @param {string} rest
 * @param {number} most
 */
function split(rest, most) {
  const args = [];
  let left = rest;
  while (left && args.length < most - 1) {
    const [word = ""] = left.split(/\s/, 1);
    args.push(word);
    left = left.slice(word.length).trim();
  }
  if (left) args.push(left);
  return args;
}

/** @param {string} rest */
function takeDuration(rest) {
  const [first = ""] = rest.split(" ", 1);
  const given = DURATION.exec(first);
  if (given) {
    const length = Number(given[1]) * (UNITS[given[2] ?? ""] ?? 0);
    return { duration: `${length}s`, reason: rest.slice(first.length).trim() };
  }
  if (LIKE_A_DURATION.test(first)) { // taken for a reason, it would be for good
    throw new UsageError(`${first.slice(0, 32)} is no duration: say 10m, 2h or 7d`);
  }
  return { reason: rest };
}

/**
 * Returns a name nearly as the server spells it: the rest is the server's to say.
 * @param {string} raw
 * @param {string} sign
 */
export function normal(raw, sign) {
  const bare = raw.trim();
  return (bare.startsWith(sign) ? bare.slice(1) : bare).normalize("NFC").toLowerCase();
}
