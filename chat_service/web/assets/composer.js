/** The field to write in: grows with its text, keeps a draft for each conversation, completes. */

/** @import {Store} from "./store.js" */
import { Completion } from "./completion.js";
import { utf8Size } from "./contract.js";
import { byId } from "./dom.js";
import { toast } from "./toasts.js";

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
  /** Whether the field holds what is not kept: else what is kept is another tab's to change. */
  #edited = false;
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
    this.#field.addEventListener("input", () => this.#edit());
    window.addEventListener("pagehide", () => this.#keep());
    store.drafts.onChange((address) => {
      if (address === this.#address && !this.#edited) this.#fill(store.drafts.get(address));
    });
  }

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  /**
   * Shows the draft of a conversation; but what was typed before the first one was known stays.
   * @param {string} address
   */
  open(address) {
    if (address === this.#address) return;
    this.#keep();
    const isFirst = this.#address === "";
    this.#address = address;
    const label = address.startsWith("#") ? `Message ${address}` : `Message ${address.slice(1)}`;
    this.#field.placeholder = label;
    if (isFirst && this.#field.value) this.#edit();
    else this.#fill(this.#store.drafts.get(address));
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
    if (!line.trim()) return;
    if (this.#left() < 0) {
      toast(`Not sent: ${this.#space()}`);
      return;
    }
    this.#completion.close();
    if (!this.#submit(line)) return;
    this.#field.value = "";
    this.#edit();
    this.#keep();
  }

  /** The user has changed what is in the field. */
  #edit() {
    this.#edited = true;
    this.#keeping ??= setTimeout(() => this.#keep(), SOON);
    this.#draw();
  }

  #draw() {
    this.#grow();
    const left = this.#left();
    this.#tooLong.textContent = left < NEAR_LIMIT ? this.#space() : "";
    this.#field.setAttribute("aria-invalid", String(left < 0));
  }

  #space() {
    const left = this.#left();
    return left < 0 ? `${-left} bytes too long` : `${left} bytes left`;
  }

  #left() {
    return this.#store.limits.maxTextBytes - utf8Size(this.#field.value);
  }

  /** @param {string} text */
  #fill(text) {
    this.#field.value = text;
    this.#edited = false;
    this.#draw();
  }

  #grow() {
    const { style } = this.#field;
    style.height = "auto";
    style.height = `${this.#field.scrollHeight}px`;
  }

  #keep() {
    clearTimeout(this.#keeping);
    this.#keeping = undefined;
    if (!this.#edited || !this.#address || !this.#store.user) return;
    this.#edited = false;
    this.#store.keepDraft(this.#address, this.#field.value);
  }
}
