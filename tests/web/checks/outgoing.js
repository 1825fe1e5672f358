/** What is kept of what was said and not acknowledged. */

import { Outgoing, Refused, own } from "./modules.js";
import { same, turn } from "./fakes.js";

/** @typedef {import("../../../chat_service/web/assets/session.js").Session} Session */

/**
 * Something that says things over a session which gives out nonces and then refuses.
 * @param {string} code
 */
function begin(code) {
  sessionStorage.clear();
  let nonce = 0;
  const submit = (/** @type {unknown} */ _, /** @type {(nonce: string) => void} */ numbered) => {
    numbered(String(++nonce));
    return Promise.reject(new Refused({ code, message: "not now", retryAfter: "60s" }));
  };
  const session = /** @type {Session} */ (/** @type {unknown} */ ({ submit }));
  return new Outgoing(() => session, () => {});
}

/** What the next load of the page would find. */
function kept() {
  const list = own.get("outgoing")?.list ?? [];
  return list.map((/** @type {any} */ it) => [it.text, it.nonce, it.state, it.error]);
}

export async function whatWasRefusedForTheMomentIsAnotherSendAfterAReload() {
  begin("ERROR_CODE_UNAVAILABLE").send("#lobby", "one", "ann");
  same(kept(), [["one", "1", "sending", ""]]);
  await turn();
  same(kept(), [["one", "", "sending", ""]]);
}

export async function whatWasRefusedForGoodWaitsForTheUser() {
  begin("ERROR_CODE_NOT_A_MEMBER").send("#lobby", "one", "ann");
  await turn();
  same(kept(), [["one", "", "failed", "Not sent: not now"]]);
}
