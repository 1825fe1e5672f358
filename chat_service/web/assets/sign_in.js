/** The dialog by which somebody comes in: as a guest, with an account, or with a new one. */

/** @import {Who} from "./identity.js" */
import { login, register } from "./accounts.js";
import { byId } from "./dom.js";

/** @typedef {"guest" | "login" | "register"} How */

const CONNECTING = "Connecting …";

/** @type {Record<How, {title: string, hint: string, submit: string}>} */
const WAYS = {
  guest: { title: "Welcome", hint: "No password needed. The name is yours as long as you are here.", submit: "Come in" },
  login: { title: "Welcome back", hint: "With the name and password of your account.", submit: "Sign in" },
  register: { title: "A name of your own", hint: "8 characters at least for the password. Nobody else can use the name.", submit: "Register" },
};

export class SignIn {
  #dialog = byId("sign-in", HTMLDialogElement);
  #form = byId("sign-in-form", HTMLFormElement);
  #user = byId("user", HTMLInputElement);
  #password = byId("password", HTMLInputElement);
  #error = byId("sign-in-error", HTMLElement);
  #cancel = byId("sign-in-cancel", HTMLButtonElement);
  #submit = byId("sign-in-submit", HTMLButtonElement);
  #done;
  #obligatory = false;
  /** Whether an answer is awaited: another try meanwhile would be another session. */
  #busy = false;
  #token = () => "";

  /** @param {(who: Who) => void} done */
  constructor(done) {
    this.#done = done;
    // Only these: were the error taken away as a field is left, the button would move under the
    // pointer that leaves it, and not be pressed.
    this.#form.addEventListener("change", ({ target }) => {
      if (target instanceof HTMLInputElement && target.type === "radio") this.#draw();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#enter();
    });
    this.#cancel.addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("cancel", (event) => {
      if (this.#obligatory) event.preventDefault();
    });
    // Browsers that do not know `closedby` let nobody be held by a dialog: they ask once whether it
    // may be cancelled, if at all.
    this.#dialog.addEventListener("close", () => {
      if (this.#obligatory) this.#open();
    });
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /**
   * Asks who the user is, and does not go away without an answer: there is nothing behind it.
   * @param {How} how
   * @param {string} user
   * @param {string} error why it is asked (again)
   */
  ask(how, user, error) {
    this.#show(how, user, error, false);
  }

  /**
   * Offers a guest to register the name.
   * @param {string} user
   * @param {() => string} token the guest's, which is another one after each reconnect
   */
  offer(user, token) {
    this.#token = token;
    this.#show("register", user, "", true);
  }

  /**
   * There is no connection yet; it is tried again, unless the user tries something else.
   * @param {string} error why, if it is known
   */
  stall(error) {
    this.#await(false);
    this.#error.textContent = `No connection yet${error ? ` (${error})` : ""}. It is tried again.`;
  }

  /** Who asked is in. */
  close() {
    this.#obligatory = false;
    this.#await(false);
    this.#dialog.close();
  }

  /**
   * @param {How} how
   * @param {string} user
   * @param {string} error
   * @param {boolean} optional
   */
  #show(how, user, error, optional) {
    const radio = this.#form.elements.namedItem("how");
    if (radio instanceof RadioNodeList) radio.value = how;
    this.#obligatory = !optional;
    this.#cancel.hidden = !optional;
    // Opened again would be too late for a key pressed meanwhile.
    this.#dialog.setAttribute("closedby", optional ? "closerequest" : "none");
    this.#user.value = user;
    this.#password.value = "";
    this.#busy = false;
    this.#draw();
    this.#fail(error);
    this.#open();
  }

  #open() {
    if (!this.#dialog.open) this.#dialog.showModal();
    (this.#user.value && this.#how !== "guest" ? this.#password : this.#user).focus();
  }

  get #how() {
    return /** @type {How} */ (new FormData(this.#form).get("how"));
  }

  #draw() {
    const how = this.#how;
    const { title, hint } = WAYS[how];
    byId("sign-in-title", HTMLElement).textContent = title;
    byId("sign-in-hint", HTMLElement).textContent = hint;
    byId("password-field", HTMLElement).hidden = how === "guest";
    this.#password.autocomplete = how === "register" ? "new-password" : "current-password";
    this.#await(this.#busy);
    this.#fail("");
  }

  /** @param {boolean} busy */
  #await(busy) {
    this.#busy = busy;
    this.#submit.disabled = busy;
    this.#submit.textContent = busy ? CONNECTING : WAYS[this.#how].submit;
  }

  async #enter() {
    if (this.#busy) return;
    const user = this.#user.value.trim();
    if (!user) {
      this.#fail("Which name?");
      this.#user.focus();
      return;
    }
    this.#fail("");
    this.#await(true);
    try {
      this.#done(await this.#proved(user)); // and what comes of it is told by close, stall or ask
      this.#password.value = "";
    } catch (error) {
      this.#await(false);
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  /**
   * @param {string} user
   * @returns {Promise<Who>}
   */
  async #proved(user) {
    const how = this.#how;
    if (how === "guest") return { user, kind: "guest", token: "" };
    const password = this.#password.value;
    const signing = how === "login" ? login(user, password) : register(user, password, this.#token());
    const session = await signing;
    return { user: session.user, kind: "account", token: session.token };
  }

  /** @param {string} error */
  #fail(error) {
    this.#error.textContent = error;
    this.#user.setAttribute("aria-invalid", String(error !== ""));
  }
}
