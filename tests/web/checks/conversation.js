/** How what was said stands together, in whatever order it came. */

import { Conversation, asItem, isContinued, newDay } from "./modules.js";
import { same } from "./fakes.js";

/**
 * @param {number} seq
 * @param {string} sentAt
 * @param {string} [sender]
 */
function said(seq, sentAt, sender = "ann") {
  return asItem({ to: "#a", sender, number: String(seq), text: "", sentAt }, seq);
}

/** @param {number} seq @returns {import("../../../chat_service/web/assets/conversation.js").Notice} */
function notice(seq) {
  return { kind: "notice", key: `n${seq}`, seq, at: 0, text: "", tone: "" };
}

/** What each line begins: a day, a group, or nothing. @param {Conversation} conversation */
function beginnings({ items }) {
  return items.map((item, index) => {
    const before = items[index - 1];
    if (newDay(item, before)) return "day";
    return item.kind === "notice" || isContinued(item, before) ? "" : "group";
  });
}

/** @param {...(ReturnType<typeof said> | ReturnType<typeof notice>)} items */
function conversation(...items) {
  const made = new Conversation("#a");
  for (const item of items) made.append(item);
  return made;
}

export function aNoticeIsOfTheDayOfWhatItStandsBehind() {
  const resumed = conversation(
    notice(1), said(2, "2026-03-01T12:00:00"), notice(3), said(4, "2026-03-01T12:01:00"),
    notice(5), said(6, "2026-03-02T12:00:00"), notice(7),
  );
  same(beginnings(resumed), ["", "day", "", "group", "", "day", ""]);
  resumed.merge([said(0, "2026-03-01T11:00:00")]);
  same(beginnings(resumed), ["day", "", "group", "", "group", "", "day", ""]);
}

export function aGroupEndsFiveMinutesAfterItsFirst() {
  const minutes = [0, 2, 4, 6, 8, 10, 12].map((it) => said(it + 1, `2026-03-01T12:${String(it).padStart(2, "0")}:00`));
  const wanted = ["day", "", "", "group", "", "", "group"];
  same(beginnings(conversation(...minutes)), wanted);
  const merged = conversation(...minutes.slice(3).map((it) => ({ ...it })));
  merged.merge(minutes.slice(2, 3));
  same(beginnings(merged), ["day", "", "", "group", ""]);
  merged.merge(minutes.slice(0, 2));
  same(beginnings(merged), wanted);
}

export function anotherSenderOrANoticeBeginsAGroup() {
  const at = "2026-03-01T12:00:00";
  const items = [said(1, at), said(2, at, "bob"), said(3, at, "bob"), notice(4), said(5, at, "bob")];
  same(beginnings(conversation(...items)), ["day", "group", "", "", "group"]);
}

export function messagesThatAreNotHereAreCountedByTheirNumbers() {
  const room = conversation(said(900, "2026-03-01T12:00:00"));
  room.merge([said(800, "2026-03-01T11:00:00")]);
  same(room.missing({ seq: 500, number: 500 }), 299);
  same(room.missing({ seq: 799, number: 799 }), 0);
  same(room.missing({ seq: 850, number: 799 }), 0);
  room.marker = { seq: 500, number: 500 };
  same(room.line, null);
  room.more = false; // the others are gone for good
  same([room.missing(room.marker), room.line], [0, 500]);
}
