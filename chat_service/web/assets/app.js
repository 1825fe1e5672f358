/**
 * The session of whoever uses this page, from coming in to going out. Another user is another load
 * of the page: nothing of the one before is left in memory.
 */

/** @import {ChatEvent} from "./contract.js" */
/** @import {Who} from "./identity.js" */
/** @import {Standing} from "./session.js" */
import { logout } from "./accounts.js";
import { addressed, forget } from "./address_bar.js";
import { Changes } from "./changes.js";
import { Identity, onOtherUser, remember, remembered } from "./identity.js";
import { Outgoing } from "./outgoing.js";
import { Session } from "./session.js";
import { SignIn } from "./sign_in.js";
import { onSharedChange, own, shared } from "./storage.js";
import { Store } from "./store.js";
import { claimTab } from "./tab.js";
import { Talk } from "./talk.js";

export class App {
  changes = new Changes();
  /** @type {Session | null} */
  session = null;
  /** @type {Identity | null} */
  identity = null;
  outgoing = new Outgoing(() => this.session, () => this.changes.mark("items"));
  store = new Store(this.changes, this.outgoing);
  talk = new Talk(this.store, this.outgoing, () => this.session);
  signIn = new SignIn((who) => this.#proved(who));
  #tab = { clientId: "", returned: false };

  async start() {
    this.#watchOtherTabs();
    this.#watchTheWorld();
    const who = remembered();
    const told = own.take("farewell") ?? "";
    if (!who) this.signIn.ask("guest", "", told);
    const tab = await claimTab();
    this.#tab = tab;
    if (tab.copied) own.set("outgoing", null);
    if (!tab.returned) own.set("secondary", null);
    if (who) this.#begin(who);
  }

  /** Offers a guest to register the name. */
  register() {
    if (this.identity) this.signIn.offer(this.identity.who.user, () => this.identity?.token ?? "");
  }

  /** Goes, and leaves nothing behind in this browser, even if the server cannot be told. */
  async signOut() {
    const { identity } = this;
    this.#forget();
    remember(null);
    if (identity?.isAccount) own.set("farewell", await farewell(logout(identity.token)));
    location.reload();
  }

  /**
   * Takes the session back from whoever has taken it over. A guest is known by the client_id alone;
   * where there is a better proof, the two need not drive each other out for ever.
   */
  takeBack() {
    this.outgoing.disown();
    if (this.identity?.isAccount) own.set("client_id", null);
    location.reload();
  }

  /** Leaves, and lets nothing of the user's stay in the storages, nor get there any more. */
  #forget() {
    const user = this.identity?.who.user ?? "";
    this.session?.leave();
    this.identity = null;
    this.store.drafts.clear();
    this.store.become("");
    this.outgoing.clear();
    for (const name of [`peers.${user}`, `read.${user}`]) shared.set(name, null);
    own.set("client_id", null);
    forget();
  }

  /** @param {Who} who */
  #proved(who) {
    const wasIn = Boolean(this.session?.welcome);
    this.session?.leave();
    if (!wasIn) {
      this.#begin(who);
      return;
    }
    this.identity = null;
    remember(who);
    location.reload();
  }

  /** @param {Who} who */
  #begin(who) {
    this.identity = new Identity(who, this.#tab.clientId, this.#tab.returned);
    this.session = new Session({
      identity: this.identity,
      onEvents: (events) => this.#happened(events),
      onState: (standing) => this.#stands(standing),
    });
    this.session.start();
    this.changes.mark("standing");
  }

  /** @param {ChatEvent[]} events */
  #happened(events) {
    const isFirst = this.store.user === "";
    this.store.apply(events);
    if (this.session) this.session.rooms = new Set(this.store.conversations.rooms.map((it) => it.address));
    if (!events.some((it) => it.welcome)) return;
    if (isFirst) {
      this.outgoing.restore(this.store.user);
      this.signIn.close();
      this.#reopen();
    }
    this.talk.connected();
  }

  /** Shows what was shown when the page was last loaded, if one is still there. */
  #reopen() {
    const address = addressed();
    if (this.store.conversations.has(address)) this.store.open(address);
    else forget();
  }

  /** @param {Standing} standing */
  #stands({ state, error, code }) {
    this.changes.mark("standing");
    if (state === "connecting") this.signIn.stall(error);
    if (state !== "closed" || code === "GOODBYE_REASON_LEFT" || code === "GOODBYE_REASON_SUPERSEDED") return;
    const user = this.identity?.who.user ?? "";
    const isKnown = this.identity?.isAccount || code === "ERROR_CODE_UNAUTHENTICATED";
    this.signIn.ask(isKnown ? "login" : "guest", user, error || code);
  }

  #watchOtherTabs() {
    onOtherUser((who) => {
      const mine = this.identity?.who;
      if (mine?.user === who?.user && mine?.kind === who?.kind) {
        this.identity?.offerToken();
        return;
      }
      if (!who) this.#forget(); // once more: this tab may have kept a draft meanwhile
      else if (mine && mine.user !== who.user) this.store.become("");
      location.reload();
    });
    onSharedChange((name) => {
      if (name === `read.${this.store.user}`) this.store.readElsewhere();
    });
  }

  #watchTheWorld() {
    const wake = () => {
      this.store.read();
      if (document.visibilityState === "visible") this.session?.wake();
    };
    for (const kind of ["online", "focus", "pageshow"]) window.addEventListener(kind, wake);
    document.addEventListener("visibilitychange", wake);
    window.addEventListener("offline", () => this.session?.wake());
    window.addEventListener("pagehide", () => this.identity?.letGo());
  }
}

/**
 * Returns what to tell who has signed out, if the server could not be told; null if it was.
 * @param {Promise<void>} telling
 */
async function farewell(telling) {
  const error = await telling.then(() => null, (it) => it);
  if (!error) return null;
  return `You are signed out here, but not on the server (${error.message}). To end it there, sign in again and see your sign-ins.`;
}
