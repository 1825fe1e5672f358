/** How one line of a conversation looks. */

/** @import {Item, Notice, Said} from "./conversation.js" */
/** @import {Sending} from "./outgoing.js" */
import { ago, dayName, exact, timeOfDay } from "./clock.js";
import { avatar, button, element } from "./dom.js";
import { format, mentions } from "./format.js";
import { isContinued, newDay } from "./grouping.js";

/** What is longer is folded at first. */
const MANY_LINES = 16;
const MANY_LETTERS = 1_200;

/**
 * @typedef {object} Setting
 * @property {() => string} me
 * @property {() => number | null} line the seq behind which the new begin, if they do
 * @property {(sending: Sending) => void} retry
 * @property {(sending: Sending) => void} discard
 * @property {(room: string) => void} join
 * @property {(user: string) => void} write begins a private conversation
 * @property {() => void} resized
 */

export class Rows {
  #setting;

  /** @param {Setting} setting */
  constructor(setting) {
    this.#setting = setting;
  }

  /**
   * @param {Item} item
   * @param {Item | undefined} before
   */
  look(item, before) {
    const state = item.kind === "sending" ? item.state + item.error : "";
    const isOpen = item.kind !== "notice" && item.open;
    return `${newDay(item, before)} ${isContinued(item, before)} ${this.#isFirstNew(item, before)} ${isOpen} ${state}`;
  }

  /**
   * @param {Item} item
   * @param {Item | undefined} before
   */
  row(item, before) {
    const row = element("li", { class: "row", "data-key": item.key });
    if (newDay(item, before)) {
      row.append(element("h2", { class: "day" }, element("span", { "data-at": item.at }, dayName(item.at))));
    }
    const isFirstNew = this.#isFirstNew(item, before);
    if (isFirstNew) {
      row.append(element("p", { class: "new" }, element("span", {}, "New")));
    }
    if (item.kind === "notice") row.append(this.#notice(item));
    else row.append(this.#message(item, isContinued(item, before) && !isFirstNew));
    return row;
  }

  /**
   * @param {Item} item
   * @param {Item | undefined} before
   */
  #isFirstNew(item, before) {
    const line = this.#setting.line();
    return line !== null && item.kind !== "sending" && item.seq > line && (before?.seq ?? 0) <= line;
  }

  /** @param {Notice} notice */
  #notice(notice) {
    if (notice.tone === "help") return help(notice.text);
    const line = element("p", { class: `notice ${notice.tone}` }, element("bdi", {}, notice.text));
    const { room } = notice;
    if (room) line.append(" ", button(`Join ${room}`, () => this.#setting.join(room), { class: "small" }));
    return line;
  }

  /**
   * @param {Said | Sending} item
   * @param {boolean} continued
   */
  #message(item, continued) {
    const me = this.#setting.me();
    const classes = ["message"];
    if (continued) classes.push("continued");
    if (item.sender === me) classes.push("mine");
    else if (mentions(item.text, me)) classes.push("mentioned");
    if (item.kind === "sending") classes.push(item.state);
    const article = element("article", { class: classes.join(" ") });
    if (!continued) article.append(avatar(item.sender));
    article.append(this.#head(item, continued), ...this.#body(item, me));
    if (item.kind === "sending") article.append(this.#state(item));
    return article;
  }

  /**
   * @param {Said | Sending} item
   * @param {boolean} continued
   */
  #head(item, continued) {
    const moment = new Date(item.at).toISOString();
    const shown = continued ? timeOfDay(item.at) : ago(item.at);
    const time = element("time", { datetime: moment, title: exact(item.at) }, shown);
    const isOther = item.sender !== this.#setting.me();
    const name = element("bdi", { class: continued ? "hidden" : "sender" }, item.sender);
    const sender = isOther && !continued
      ? button("", () => this.#setting.write(item.sender), {
        class: "sender-button", title: `Write to ${item.sender}`,
        tabindex: -1, // or every message would be a stop; the members offer the same
      })
      : name;
    if (sender !== name) sender.append(name);
    return element("header", { class: "message-head" }, sender, time);
  }

  /**
   * @param {Said | Sending} item
   * @param {string} me
   */
  #body(item, me) {
    const body = element("div", { class: "text", dir: "auto" }, ...format(item.text, me));
    const isLong = item.text.length > MANY_LETTERS || item.text.split("\n", MANY_LINES + 1).length > MANY_LINES;
    if (!isLong || item.open) return [body];
    body.classList.add("folded");
    const unfold = button("Show all of it", () => {
      item.open = true;
      this.#setting.resized();
    }, { class: "unfold plain small" });
    return [body, unfold];
  }

  /** @param {Sending} sending */
  #state(sending) {
    if (sending.state !== "failed") {
      return element("p", { class: "state" }, sending.state === "sent" ? "Sent" : "Sending …");
    }
    return element(
      "p", { class: "state error" }, `${sending.error} `,
      button("Try again", () => this.#setting.retry(sending), { class: "small" }), " ",
      button("Discard", () => this.#setting.discard(sending), { class: "small plain" }),
    );
  }
}

/** Returns what each line says behind its tab about what is before. @param {string} text */
function help(text) {
  const lines = text.split("\n").map((line) => line.split("\t"));
  return element("dl", { class: "notice help" }, ...lines.flatMap(([what = "", meaning = ""]) => (
    [element("dt", {}, what), element("dd", {}, meaning)]
  )));
}

/** Unfolds what is not cut by its fold: many letters need not take much room. @param {HTMLElement} list */
export function unfoldShort(list) {
  for (const body of list.querySelectorAll(".folded")) {
    if (body.scrollHeight > body.clientHeight) continue;
    body.classList.remove("folded");
    body.parentElement?.querySelector(".unfold")?.remove();
  }
}

/** Brings the names of days and relative times up to date. @param {HTMLElement} list */
export function refreshTimes(list) {
  for (const day of list.querySelectorAll(".day span")) {
    const shown = dayName(Number(day.getAttribute("data-at")));
    if (day.textContent !== shown) day.textContent = shown;
  }
  for (const time of list.querySelectorAll("article:not(.continued) time")) {
    const shown = ago(Date.parse(time.getAttribute("datetime") ?? ""));
    if (time.textContent !== shown) time.textContent = shown;
  }
}
