/** Desktop notifications for private messages and mentions, once the user has asked for them. */

/** @import {Heard} from "./store.js" */
import { byId } from "./dom.js";
import { shared } from "./storage.js";
import { toast } from "./toasts.js";

const MOST_LETTERS = 200;
/** Milliseconds in which another tab tells that it was read there: twice what that takes. */
const AGREE = 1_000;

export class Notifications {
  #bell = byId("bell", HTMLButtonElement);
  #open;

  /** @param {(address: string) => void} open */
  constructor(open) {
    this.#open = open;
    this.#bell.hidden = !("Notification" in window);
    this.#bell.addEventListener("click", () => this.#toggle());
    this.#draw();
  }

  get on() {
    return "Notification" in window && Notification.permission === "granted" && shared.get("notify") === true;
  }

  /** Notifies of what concerns the user, unless it is read in another tab. @param {Heard} heard */
  tell(heard) {
    if (!this.on || (heard.conversation.isRoom && !heard.mentioned)) return;
    setTimeout(() => this.#show(heard), AGREE);
  }

  /** @param {Heard} heard */
  #show({ conversation, item }) {
    if (item.seq <= conversation.read.seq) return;
    const title = conversation.isRoom ? `${item.sender} in ${conversation.address}` : item.sender;
    // One a conversation, however many tabs and messages there are.
    const options = { body: item.text.slice(0, MOST_LETTERS), tag: conversation.address };
    try {
      const notification = new Notification(title, options);
      notification.onclick = () => {
        window.focus();
        this.#open(conversation.address);
        notification.close();
      };
    } catch {
      // Android's browsers want a service worker for it.
    }
  }

  async #toggle() {
    if (this.on) {
      shared.set("notify", null);
    } else if ((await Notification.requestPermission()) === "granted") {
      shared.set("notify", true);
    } else {
      toast("The browser does not allow notifications from this page: its settings say why.");
    }
    this.#draw();
  }

  #draw() {
    this.#bell.setAttribute("aria-pressed", String(this.on));
    this.#bell.title = this.on ? "Notifications are on" : "Notify me of mentions and private messages";
  }
}
