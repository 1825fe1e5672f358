/**
 * What somebody wrote, as nodes: text, code in backticks, links and mentions. Text becomes text
 * nodes and nothing else, so there is no markup to escape from.
 */

import { element } from "./dom.js";

/** A block ends its line, so the end of the line behind it is a part of it. */
const CODE_BLOCK = /```(?:[a-z0-9+-]*\n)?([^]*?)```\n?/;
const CODE = /`([^`\n]+)`/;
const LINK = /https?:\/\/[^\s<>"'`]+/i;
const MENTION = /(?<![\p{L}\p{M}\p{N}_@./-])@([\p{L}\p{N}][\p{L}\p{M}\p{N}_.-]{0,31})/u;
const TOKEN = new RegExp([CODE_BLOCK, CODE, LINK, MENTION].map((it) => it.source).join("|"), "giu");
/** Punctuation behind a link belongs to the sentence, and so does a bracket that opens before it. */
const PUNCTUATION = ".,:;!?*";
const BRACKETS = ["()", "[]", "{}"];

/**
 * Returns the nodes that show a text to a user.
 * @param {string} text
 * @param {string} me whose mentions stand out
 * @returns {(Node | string)[]}
 */
export function format(text, me) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [whole, block, code, name] = match;
    nodes.push(text.slice(end, match.index));
    end = match.index + whole.length;
    if (block !== undefined) nodes.push(element("pre", {}, element("code", {}, block.replace(/\n$/, ""))));
    else if (code !== undefined) nodes.push(element("code", {}, code));
    else if (name !== undefined) nodes.push(...mention(whole, name, me));
    else nodes.push(...link(whole));
  }
  nodes.push(text.slice(end));
  return nodes.filter((it) => it !== "");
}

/**
 * Tells whether a text mentions a user.
 * @param {string} text
 * @param {string} user
 */
export function mentions(text, user) {
  if (!text.includes("@")) return false;
  for (const match of text.matchAll(TOKEN)) {
    if (match[3] !== undefined && named(match[3]) === user) return true;
  }
  return false;
}

/** A name at the end of a sentence takes no full stop along. @param {string} name */
function named(name) {
  return name.replace(/[.-]+$/, "").normalize("NFC").toLowerCase();
}

/**
 * @param {string} whole
 * @param {string} name
 * @param {string} me
 */
function mention(whole, name, me) {
  const user = named(name);
  const shown = whole.slice(0, 1 + name.replace(/[.-]+$/, "").length);
  const kind = user === me ? "mention me" : "mention";
  return [element("bdi", { class: kind }, shown), whole.slice(shown.length)];
}

/** @param {string} whole */
function link(whole) {
  const address = unpunctuated(whole);
  let url;
  try {
    url = new URL(address);
  } catch {
    return [whole];
  }
  if (!["http:", "https:"].includes(url.protocol)) return [whole];
  const attributes = { href: url.href, target: "_blank", rel: "noopener noreferrer", dir: "ltr" };
  return [element("a", attributes, address), whole.slice(address.length)];
}

/** Returns a link without what the sentence has put behind it. @param {string} link */
function unpunctuated(link) {
  const surplus = new Map(BRACKETS.map((pair) => [pair.charAt(1), surplusOf(link, pair)]));
  let end = link.length;
  while (end > 0) {
    const last = link.charAt(end - 1);
    const left = surplus.get(last) ?? 0;
    if (left <= 0 && !PUNCTUATION.includes(last)) break;
    surplus.set(last, left - 1);
    end -= 1;
  }
  return link.slice(0, end);
}

/**
 * Returns how many more brackets close than open.
 * @param {string} text
 * @param {string} pair
 */
function surplusOf(text, pair) {
  return text.split(pair.charAt(1)).length - text.split(pair.charAt(0)).length;
}
