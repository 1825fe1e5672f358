/** What stands above the conversation, in the title of the window, and in the banner. */

/** @import {Standing} from "./session.js" */
/** @import {Store} from "./store.js" */
import { LOBBY } from "./contract.js";
import { byId, hue, initial } from "./dom.js";

/** Milliseconds without a connection before it is worth telling. */
const GRACE = 700;

/** @param {Store} store */
export function drawHeader(store) {
  const { conversation } = store;
  byId("title-name", HTMLElement).textContent = conversation.isRoom ? conversation.address : conversation.name;
  byId("subtitle", HTMLElement).textContent = subtitle(store);
  const leave = byId("leave", HTMLButtonElement);
  leave.hidden = conversation.address === LOBBY;
  leave.textContent = conversation.isRoom ? "Leave" : "Close";
  byId("members-toggle", HTMLButtonElement).hidden = !conversation.isRoom;
  document.body.classList.toggle("in-private", !conversation.isRoom);
}

/** @param {Store} store */
function subtitle({ conversation }) {
  return conversation.isRoom ? roomSubtitle(conversation.members) : "Private conversation";
}

/** @param {Map<string, import("./contract.js").Member>} members */
function roomSubtitle(members) {
  const online = [...members.values()].filter((it) => it.online).length;
  return online > 0 ? `${online} online` : "";
}

/** @param {Store} store */
export function drawTitle(store) {
  const { conversation, conversations } = store;
  const count = conversations.unread > 0 ? `(${conversations.unread}) ` : conversations.anyUnread ? "• " : "";
  const title = `${count}${conversation.isRoom ? conversation.address : conversation.name} · Chat`;
  if (document.title !== title) document.title = title;
}

/**
 * @param {string} user
 * @param {boolean} isAccount
 */
export function drawMe(user, isAccount) {
  const avatar = byId("me-avatar", HTMLElement);
  avatar.textContent = user ? initial(user) : "";
  avatar.className = `avatar small hue-${hue(user)}`;
  byId("me-name", HTMLElement).textContent = user || "…";
  byId("me-kind", HTMLElement).textContent = user ? (isAccount ? "account" : "guest") : "";
}

/** Tells while there is no connection, but not of hiccups. */
export class Banner {
  #banner = byId("banner", HTMLElement);
  #text = byId("banner-text", HTMLElement);
  #retry = byId("banner-retry", HTMLButtonElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => void} retry */
  constructor(retry) {
    this.#retry.addEventListener("click", retry);
  }

  /** @param {Standing | null} standing null: there is no session, and none is wanted */
  draw(standing) {
    const told = standing ? trouble(standing) : "";
    this.#text.textContent = told;
    this.#retry.textContent = standing?.state === "closed" ? "Go on here" : "Try now";
    if (!told) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#banner.hidden = true;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#banner.hidden = false;
    }, GRACE);
  }
}

/** @param {Standing} standing */
function trouble({ state, error, code }) {
  const why = error ? ` (${error})` : "";
  if (state === "connecting") return `Connecting …${why}`;
  if (state === "slow") return "The server is slow to answer …";
  if (state === "reconnecting") return `Connection lost, reconnecting …${why}`;
  return code === "GOODBYE_REASON_SUPERSEDED" ? "Another window goes on in this one’s place" : "";
}
