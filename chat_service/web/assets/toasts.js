/** Short remarks that go away by themselves. */

import { byId, element } from "./dom.js";

const SECONDS = 6;

/** @param {string} text */
export function toast(text) {
  const shown = element("p", { class: "toast" }, text);
  byId("toasts", HTMLElement).append(shown);
  setTimeout(() => shown.remove(), SECONDS * 1000);
}
