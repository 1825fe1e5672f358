/**
 * The session of whoever uses this page, from coming in to going out. Another user is another load
 * of the page: nothing of the one before is left in memory.
 */

/** @import {ChatEvent} from "./contract.js" */
/** @import {Who} from "./identity.js" */
/** @import {Standing} from "./session.js" */
import { logout } from "./accounts.js";
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
    if (!who) this.signIn.ask("guest", "", "");
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

  /** Goes, and leaves nothing behind in this browser. */
  async signOut() {
    const { identity } = this;
    this.session?.leave();
    if (identity?.isAccount) await logout(identity.token).catch(() => null);
    this.outgoing.clear();
    const user = identity?.who.user ?? "";
    for (const kept of [`draft.${user}.`, `peers.${user}`, `read.${user}`]) shared.forget(kept);
    own.set("client_id", null);
    remember(null);
    this.store.user = "";
    this.identity = null;
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

  /** @param {Who} who */
  #proved(who) {
    if (!this.session?.welcome) {
      this.#begin(who);
      return;
    }
    this.session.leave();
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
    }
    this.talk.connected();
  }

  /** @param {Standing} standing */
  #stands({ state, error, code }) {
    this.changes.mark("standing");
    if (state !== "closed" || code === "GOODBYE_REASON_LEFT" || code === "GOODBYE_REASON_SUPERSEDED") return;
    const user = this.identity?.who.user ?? "";
    const isKnown = this.identity?.isAccount || code === "ERROR_CODE_UNAUTHENTICATED";
    this.signIn.ask(isKnown ? "login" : "guest", user, error || code);
  }

  #watchOtherTabs() {
    onOtherUser((who) => {
      const mine = this.identity?.who;
      if (!mine ? who : who?.user !== mine.user || who.kind !== mine.kind) location.reload();
      else this.identity?.offerToken();
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
