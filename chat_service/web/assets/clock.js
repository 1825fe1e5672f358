/** Times for people, in the language and zone of the browser. */

const MINUTE = 60_000;
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/**
 * Returns how long ago, within the hour; the time of day before that.
 * @param {number} at milliseconds since 1970
 * @param {number} [now]
 */
export function ago(at, now = Date.now()) {
  const minutes = Math.floor((now - at) / MINUTE);
  if (minutes < 1) return "just now";
  return minutes < 60 ? relative.format(-minutes, "minute") : time.format(at);
}

/** @param {number} at milliseconds since 1970 */
export function timeOfDay(at) {
  return time.format(at);
}

/** @param {number} at milliseconds since 1970 */
export function exact(at) {
  return exactly.format(at);
}

/** Returns a number that is the same for all moments of a day. @param {number} at milliseconds since 1970 */
export function dayOf(at) {
  const date = new Date(at);
  return Math.floor((at - date.getTimezoneOffset() * MINUTE) / 86_400_000);
}

/**
 * @param {number} at milliseconds since 1970
 * @param {number} [now]
 */
export function dayName(at, now = Date.now()) {
  const days = dayOf(now) - dayOf(at);
  if (days < 2 && days >= 0) return capital(relative.format(-days, "day"));
  return (days < 300 ? day : dayOfYear).format(at);
}

/** @param {string} word */
function capital(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
