/** The dialog about oneself: colours, sign-ins, the password, and the way out. */

/** @import {SignIn} from "./accounts.js" */
/** @import {Identity} from "./identity.js" */
import { changePassword, listSessions, revokeSession } from "./accounts.js";
import { button, byId, element } from "./dom.js";
import { shared } from "./storage.js";

const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export class AccountDialog {
  #dialog = byId("account", HTMLDialogElement);
  #told = byId("account-told", HTMLElement);
  #identity;

  /**
   * @param {() => Identity | null} identity
   * @param {() => void} register
   * @param {() => void} signOut
   */
  constructor(identity, register, signOut) {
    this.#identity = identity;
    byId("me", HTMLButtonElement).addEventListener("click", () => this.#open());
    byId("account-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#leading("keep-name", register);
    this.#leading("sign-out", signOut);
    byId("password-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#changePassword();
    });
    byId("theme", HTMLElement).addEventListener("change", (event) => {
      if (event.target instanceof HTMLInputElement) setTheme(event.target.value);
    });
  }

  /**
   * Lets a button close the dialog and lead elsewhere.
   * @param {string} id
   * @param {() => void} act
   */
  #leading(id, act) {
    byId(id, HTMLButtonElement).addEventListener("click", () => {
      this.#dialog.close();
      act();
    });
  }

  #open() {
    const identity = this.#identity();
    if (!identity) return;
    const { isAccount } = identity;
    byId("account-title", HTMLElement).textContent = identity.who.user;
    byId("account-who", HTMLElement).textContent = isAccount
      ? "You are signed in with your account."
      : "You are a guest: your name and rooms are yours as long as you are here.";
    byId("for-accounts", HTMLElement).hidden = !isAccount;
    byId("keep-name", HTMLButtonElement).hidden = isAccount;
    byId("sign-out", HTMLButtonElement).textContent = isAccount ? "Sign out" : "Leave";
    const chosen = shared.get("theme") ?? "auto";
    for (const radio of this.#dialog.querySelectorAll("input[name=theme]")) {
      if (radio instanceof HTMLInputElement) radio.checked = radio.value === chosen;
    }
    this.#told.textContent = "";
    this.#dialog.showModal();
    if (isAccount) void this.#try(() => this.#list());
  }

  async #list() {
    const token = this.#identity()?.token ?? "";
    const signIns = await listSessions(token);
    byId("sign-ins", HTMLElement).replaceChildren(...signIns.map((it) => this.#row(it, token)));
  }

  /**
   * @param {SignIn} signIn
   * @param {string} token
   */
  #row({ id, label, createdAt, current, streams = 0 }, token) {
    const since = createdAt ? `since ${date.format(Date.parse(createdAt))}` : "";
    const use = streams > 0 ? `, ${streams} connected` : "";
    const told = element(
      "span", {}, element("bdi", {}, label || "unnamed"), " ",
      element("small", {}, `${since}${use}${current ? ", this one" : ""}`),
    );
    const row = element("li", {}, told);
    if (!current) {
      const revoke = () => void this.#try(async () => {
        await revokeSession(id, token);
        await this.#list();
        this.#told.textContent = "Signed out there.";
      });
      row.append(button("Sign out", revoke, { class: "small", "aria-label": `Sign out ${label || "unnamed"}` }));
    }
    return row;
  }

  async #changePassword() {
    const old = byId("old-password", HTMLInputElement);
    const fresh = byId("new-password", HTMLInputElement);
    await this.#try(async () => {
      await changePassword(old.value, fresh.value, this.#identity()?.token ?? "");
      byId("password-form", HTMLFormElement).reset();
      this.#told.textContent = "The password is another one now.";
      await this.#list();
    });
  }

  /** @param {() => Promise<void>} act */
  async #try(act) {
    try {
      await act();
    } catch (error) {
      this.#told.textContent = error instanceof Error ? error.message : String(error);
    }
  }
}

/** @param {string} theme */
function setTheme(theme) {
  shared.set("theme", theme === "auto" ? null : theme);
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}
