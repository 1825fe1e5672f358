/**
 * The conversation that is shown, in the address of the page: `#/room` or `#/@user`. So a reload lands
 * where one was, the browser's buttons go back and forth, and a bookmark is of a conversation. (What has
 * no slash is the id of an element.)
 */

/** Returns the address ("#room" or "@user") that the page's own names; empty if there is none. */
export function addressed() {
  const name = decoded(/^#\/(.+)$/.exec(location.hash)?.[1] ?? "");
  return name === "" || name.startsWith("@") ? name : `#${name}`;
}

/** Lets the page's address name another conversation, one step further. @param {string} address */
export function note(address) {
  const before = addressed();
  if (before === "") correct(address);
  else if (before !== address) history.pushState(null, "", hash(address));
}

/** Lets the page's address name this conversation instead. @param {string} address */
export function correct(address) {
  history.replaceState(null, "", hash(address));
}

/** Lets the page's address name no conversation. */
export function forget() {
  history.replaceState(null, "", location.pathname + location.search);
}

/** @param {string} address */
function hash(address) {
  const sign = address.startsWith("@") ? "@" : "";
  return `#/${sign}${encodeURIComponent(address.slice(1))}`;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // it was made by hand
  }
}
