/** The calls about accounts: `chat.v1.Accounts` as HTTP POST (the Connect protocol's unary form). */

import { Refused } from "./contract.js";
import { browserId } from "./tab.js";

/** Milliseconds that a call may take. */
const TIMEOUT = 20_000;

/**
 * @typedef {{user: string, token: string, expiresAt?: string}} SessionToken
 * @typedef {{id: string, label?: string, createdAt?: string, expiresAt?: string, current?: boolean,
 *   streams?: number}} SignIn
 */

/**
 * Makes an account and signs in. A guest who sends a token along keeps rooms and conversations.
 * @param {string} user
 * @param {string} password
 * @param {string} token
 * @returns {Promise<SessionToken>}
 */
export async function register(user, password, token) {
  return (await call("Register", { user, password, label: label() }, token)).session;
}

/**
 * @param {string} user
 * @param {string} password
 * @returns {Promise<SessionToken>}
 */
export async function login(user, password) {
  return (await call("Login", { user, password, label: label(), clientId: browserId() })).session;
}

/** @param {string} token */
export async function logout(token) {
  await call("Logout", {}, token);
}

/**
 * @param {string} oldPassword
 * @param {string} newPassword
 * @param {string} token
 */
export async function changePassword(oldPassword, newPassword, token) {
  await call("ChangePassword", { oldPassword, newPassword, clientId: browserId() }, token);
}

/**
 * @param {string} token
 * @returns {Promise<SignIn[]>}
 */
export async function listSessions(token) {
  return (await call("ListSessions", {}, token)).sessions ?? [];
}

/**
 * @param {string} id
 * @param {string} token
 */
export async function revokeSession(id, token) {
  await call("RevokeSession", { id }, token);
}

/**
 * Returns the response; raises Refused.
 * @param {string} method
 * @param {object} request
 * @param {string} [token]
 * @returns {Promise<any>}
 */
async function call(method, request, token) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json", "Connect-Protocol-Version": "1" };
  if (token) headers["Authorization"] = `Bearer ${token}`;
  const body = JSON.stringify(request);
  const signal = AbortSignal.timeout(TIMEOUT);
  const response = await fetch(`/chat.v1.Accounts/${method}`, {
    method: "POST", headers, body, signal, credentials: "omit", cache: "no-store",
  }).catch(() => null);
  if (!response) throw new Refused({ message: "the server cannot be reached" });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const wait = response.headers.get("Retry-After");
  const later = wait ? `; try again in ${wait} s` : "";
  throw new Refused({ ...answer, message: `${answer.message ?? `error ${response.status}`}${later}` });
}

/** What the list of sign-ins calls this one. */
function label() {
  const agent = navigator.userAgent;
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(agent)?.[1] ?? "a browser";
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent)?.[1] ?? "";
  return `${browser === "Edg" ? "Edge" : browser}${system ? ` on ${system}` : ""}`;
}
