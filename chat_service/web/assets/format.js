/**
 * What somebody wrote, as nodes: text, code in backticks, links and mentions. Text becomes text
 * nodes and nothing else, so there is no markup to escape from.
 */

import { element } from "./dom.js";

const CODE_BLOCK = /```(?:[a-z0-9+-]*\n)?([^]*?)```/;
const CODE = /`([^`\n]+)`/;
const LINK = /https?:\/\/[^\s<>"'`]+/i;
const MENTION = /(?<![\p{L}\p{M}\p{N}_@./-])@([\p{L}\p{N}][\p{L}\p{M}\p{N}_.-]{0,31})/u;
const TOKEN = new RegExp([CODE_BLOCK, CODE, LINK, MENTION].map((it) => it.source).join("|"), "giu");
/** Punctuation behind a link belongs to the sentence. */
const TRAILING = /[.,:;!?)\]}'"*]+$/;

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
  const balanced = whole.endsWith(")") && whole.includes("(") ? whole : whole.replace(TRAILING, "");
  let url;
  try {
    url = new URL(balanced);
  } catch {
    return [whole];
  }
  if (!["http:", "https:"].includes(url.protocol)) return [whole];
  const attributes = { href: url.href, target: "_blank", rel: "noopener noreferrer", dir: "ltr" };
  return [element("a", attributes, balanced), whole.slice(balanced.length)];
}
