/** The field to write in: grows with its text, keeps a draft for each conversation, completes. */

/** @import {Store} from "./store.js" */
import { Completion } from "./completion.js";
import { utf8Size } from "./contract.js";
import { byId } from "./dom.js";
import { shared } from "./storage.js";

/** Milliseconds after which a draft is kept. */
const SOON = 200;
/** Bytes left from which on it is told how many. */
const NEAR_LIMIT = 200;

export class Composer {
  #store;
  #submit;
  #field = byId("text", HTMLTextAreaElement);
  #tooLong = byId("too-long", HTMLElement);
  #completion;
  #address = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #keeping;

  /**
   * @param {Store} store
   * @param {(line: string) => boolean} submit tells whether the line is dealt with
   */
  constructor(store, submit) {
    this.#store = store;
    this.#submit = submit;
    const rooms = () => store.conversations.rooms.map((it) => it.address);
    const box = byId("suggestions", HTMLElement);
    this.#completion = new Completion(this.#field, box, () => store.names, rooms);
    const form = byId("composer", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#enter();
    });
    this.#field.addEventListener("keydown", (event) => this.#keyed(event));
    this.#field.addEventListener("input", () => this.#edited());
    window.addEventListener("pagehide", () => this.#keep());
  }

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  /**
   * Shows the draft of a conversation; but what was typed before the first one was known stays.
   * @param {string} address
   */
  open(address) {
    this.#keep();
    const isTyped = !this.#address && this.#field.value !== "";
    this.#address = address;
    const label = address.startsWith("#") ? `Message ${address}` : `Message ${address.slice(1)}`;
    this.#field.placeholder = label;
    this.#fill(isTyped ? this.#field.value : shared.get(this.#draft(address)) ?? "");
  }

  /** Begins a line, for the user to go on. @param {string} text */
  begin(text) {
    this.#fill(text);
    this.#keep();
    this.focus();
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    if (this.#completion.handles(event)) {
      event.preventDefault();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#enter();
    }
  }

  #enter() {
    if (!this.#store.user) return; // nobody is there yet to say it: it stays in the field
    const line = this.#field.value;
    if (!line.trim() || this.#left() < 0) return;
    this.#completion.close();
    if (!this.#submit(line)) return;
    this.#fill("");
    this.#keep();
  }

  #edited() {
    this.#grow();
    this.#keeping ??= setTimeout(() => this.#keep(), SOON);
    const left = this.#left();
    this.#tooLong.textContent = left < NEAR_LIMIT ? `${left} bytes left` : "";
    this.#field.setAttribute("aria-invalid", String(left < 0));
  }

  #left() {
    return this.#store.limits.maxTextBytes - utf8Size(this.#field.value);
  }

  /** @param {string} text */
  #fill(text) {
    this.#field.value = text;
    this.#edited();
  }

  #grow() {
    const { style } = this.#field;
    style.height = "auto";
    style.height = `${this.#field.scrollHeight}px`;
  }

  #keep() {
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    if (this.#address && this.#store.user) shared.set(this.#draft(this.#address), this.#field.value || null);
  }

  /** @param {string} address */
  #draft(address) {
    return `draft.${this.#store.user}.${address}`;
  }
}
