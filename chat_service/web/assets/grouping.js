/** What of a conversation stands together: under the name of a day, and under that of a sender. */

/** @import {Item, Notice, Said} from "./conversation.js" */
import { dayOf } from "./clock.js";

/** Milliseconds that a group of messages of one sender lasts at most. */
const TOGETHER = 5 * 60_000;

/**
 * Tells whether a day begins with an item. No notice begins one: few of their events carry a time.
 * @param {Item} item
 * @param {Item | undefined} before
 */
export function newDay(item, before) {
  return item.kind !== "notice" && (before === undefined || dayOf(item.at) !== dayOf(before.at));
}

/**
 * Tells whether an item goes on with the group of the one before it.
 * @param {Item} item
 * @param {Item | undefined} before
 */
export function isContinued(item, before) {
  return (
    item.kind !== "notice" && before !== undefined && before.kind !== "notice" &&
    item.sender === before.sender && item.at - begin(before) < TOGETHER && !newDay(item, before)
  );
}

/**
 * Notes in an item how it stands behind another; tells whether that is anything new.
 * @param {Said | Notice} item
 * @param {Said | Notice | undefined} before
 */
export function stand(item, before) {
  const known = item.kind === "notice" ? item.at : item.begin;
  const now = item.kind === "notice" ? before?.at ?? 0 : groupOf(item, before);
  if (item.kind === "notice") item.at = now;
  else item.begin = now;
  return now !== known;
}

/**
 * @param {Said} item
 * @param {Said | Notice | undefined} before
 */
function groupOf(item, before) {
  return before && isContinued(item, before) ? begin(before) : item.at;
}

/** When the group of an item began. @param {Item} item */
function begin(item) {
  return item.kind === "message" ? item.begin : item.at;
}
