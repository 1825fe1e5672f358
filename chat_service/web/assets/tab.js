/**
 * The `client_id` of this tab: random, kept over reloads, and never that of two tabs at once. A
 * duplicated tab starts with a copy of the other's session storage, so the id alone does not tell.
 */

import { own, shared } from "./storage.js";

/** Milliseconds that a tab which is being loaded again needs, at most, to let go of its id. */
const RELEASE = 600;

/**
 * Returns this tab's client_id; whether the tab had it before; and whether it had one that is another
 * tab's: what else lies in the session storage is a copy of that tab's then.
 * @returns {Promise<{clientId: string, returned: boolean, copied: boolean}>}
 */
export async function claimTab() {
  const kept = own.get("client_id");
  const hadOne = typeof kept === "string";
  if (hadOne && (await hold(kept, RELEASE))) return { clientId: kept, returned: true, copied: false };
  const clientId = randomId();
  own.set("client_id", clientId);
  await hold(clientId, RELEASE);
  return { clientId, returned: false, copied: hadOne };
}

/**
 * Returns the secret of this browser, by which the server knows it again when somebody signs in, and
 * lets nobody else's wrong passwords hold it up. It stays when somebody signs out.
 */
export function browserId() {
  const kept = shared.get("browser");
  if (typeof kept === "string") return kept;
  const made = randomId();
  shared.set("browser", made);
  return made;
}

/** 192 random bits; `crypto.randomUUID` is missing where the page came over plain HTTP. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

/**
 * Holds an id for as long as this page lives; tells whether nobody else does.
 * @param {string} id
 * @param {number} patience milliseconds
 * @returns {Promise<boolean>}
 */
function hold(id, patience) {
  if (!("locks" in navigator)) return ask(id, patience);
  return new Promise((resolve) => {
    const forPage = () => {
      resolve(true);
      return new Promise(() => {});
    };
    const options = { signal: AbortSignal.timeout(patience) };
    navigator.locks.request(`chat.${id}`, options, forPage).catch(() => resolve(false));
  });
}

/**
 * The same by asking around, where locks are missing (plain HTTP from another host).
 * @param {string} id
 * @param {number} patience milliseconds
 * @returns {Promise<boolean>}
 */
function ask(id, patience) {
  const channel = new BroadcastChannel("chat.tabs");
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      channel.onmessage = ({ data }) => {
        if (data.ask === id) channel.postMessage({ taken: id });
      };
      resolve(true);
    }, patience / 3);
    channel.onmessage = ({ data }) => {
      if (data.taken !== id) return;
      clearTimeout(timer);
      channel.close();
      resolve(false);
    };
    channel.postMessage({ ask: id });
  });
}
