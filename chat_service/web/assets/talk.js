/** What the user wants, done: lines, commands, and the questions that opening a conversation asks. */

/** @import {Command} from "./contract.js" */
/** @import {Intent} from "./commands.js" */
/** @import {Conversation} from "./conversation.js" */
/** @import {Outgoing} from "./outgoing.js" */
/** @import {Session} from "./session.js" */
/** @import {Store} from "./store.js" */
import { UsageError, VERBS, parse } from "./commands.js";
import { Ended, LOBBY, Refused } from "./contract.js";

const NOBODY = "ERROR_CODE_NO_SUCH_USER";
/** Messages to ask for at a time. */
const PAGE = 100;
/** Private conversations to ask for at the start. */
const PEERS = 20;
/** Pages of members to ask for. */
const ROSTER_PAGES = 3;
/** Milliseconds in which several reasons to ask for the members become one. */
const SOON = 300;
/** Milliseconds in which what has come is drawn. */
const DRAWN = 50;

export class Talk {
  #store;
  #outgoing;
  #session;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #asking;

  /**
   * @param {Store} store
   * @param {Outgoing} outgoing
   * @param {() => Session | null} session
   */
  constructor(store, outgoing, session) {
    this.#store = store;
    this.#outgoing = outgoing;
    this.#session = session;
  }

  /** Does what a line asks; returns whether it may go from the field. @param {string} line */
  enter(line) {
    const place = this.#store.current;
    try {
      this.#do(parse(line, place), place);
      return true;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.#store.note(place, error.message, "error");
      return false;
    }
  }

  /** Shows a conversation, and asks for what is not known of it. @param {string} address */
  open(address) {
    this.#store.open(address);
    this.#learn();
  }

  /** @param {string} room */
  async join(room) {
    if (this.#store.conversations.has(room)) this.open(room);
    else if (await this.#ask({ join: { room } })) this.open(room);
  }

  /** @param {string} room */
  async leave(room) {
    if (!room.startsWith("#")) this.#store.close(room);
    else if (await this.#ask({ leave: { room } })) this.#store.close(room);
    this.#learn();
  }

  /** Asks for older messages of the conversation that is shown. @param {number} [count] */
  async older(count = PAGE) {
    const conversation = this.#store.conversation;
    if (!this.#session()?.welcome) return; // the first Welcome asks for what is not known then
    if (conversation.loading || (conversation.loaded && !conversation.more)) return;
    await this.#history(conversation.address, count);
  }

  /** The connection is there (again): asks for what is told only to who asks. */
  connected() {
    void this.#people();
    if (this.#store.current !== LOBBY) void this.#roster(LOBBY);
    this.#learn();
  }

  /** Messages have gone that were shown: asks for all that is left. */
  stale() {
    for (const it of this.#store.conversations.values()) {
      if (!it.loaded) void this.#history(it.address, PAGE);
    }
  }

  /** The members may have changed in a way that was not told. */
  refreshRoster() {
    this.#asking ??= setTimeout(() => {
      this.#asking = undefined;
      void this.#roster(this.#store.current);
    }, SOON);
  }

  #learn() {
    const { address, isRoom, loaded } = this.#store.conversation;
    if (!this.#session()?.welcome) return;
    if (!loaded) void this.#history(address, PAGE);
    if (isRoom) void this.#roster(address);
  }

  /**
   * @param {Intent} intent
   * @param {string} place
   */
  #do(intent, place) {
    switch (intent.kind) {
      case "say": return this.#say(intent.to, intent.text);
      case "private":
        this.open(intent.to);
        return this.#say(intent.to, intent.text);
      case "ask": return void this.#ask(intent.command);
      case "join": return void this.join(intent.room);
      case "leave": return void this.leave(intent.room);
      case "history": return void this.older(intent.count);
      case "who": return void this.#tellWho(place);
      case "help": return this.#help(place);
    }
  }

  /**
   * @param {string} to
   * @param {string} text
   */
  #say(to, text) {
    this.#outgoing.send(to, text, this.#store.user);
  }

  /** @param {string} place */
  async #tellWho(place) {
    if (!place.startsWith("#") || !(await this.#roster(place))) return;
    const members = [...this.#store.of(place).members.values()];
    const names = members.map((it) => it.user + (it.online ? "" : " (away)"));
    this.#store.note(place, `In ${place}: ${names.join(", ")}`);
  }

  /** @param {string} place */
  #help(place) {
    const lines = VERBS.map((it) => `${it.usage}\t${it.meaning}`);
    lines.push("//text\tsays a line that begins with a slash");
    lines.push("Alt+Up, Alt+Down\tgoes to the conversation before, or behind");
    this.#store.note(place, lines.join("\n"), "help");
  }

  /** Asks whom the user has written with, and what was said with the latest of them. */
  async #people() {
    try {
      const event = await this.#submit({ conversations: {} });
      if (event?.conversations) this.#store.listed(event.conversations);
    } catch (error) {
      // Meanwhile those are shown that this browser remembers.
      if (error instanceof Refused && error.isOfTheMoment) setTimeout(() => void this.#people(), error.pause);
    }
    const unknown = this.#store.conversations.people.filter((it) => !it.loaded).slice(0, PEERS);
    for (const { address } of unknown) void this.#history(address, PAGE);
  }

  /**
   * Asks for a page of history, and if it is refused for the moment, again until it is not.
   * @param {string} address
   * @param {number} limit
   */
  async #history(address, limit) {
    const conversation = this.#store.of(address);
    if (conversation.loading) return;
    conversation.loading = true;
    const beforeSeq = String(conversation.loaded ? conversation.firstSeq : 0);
    const capped = Math.min(limit, this.#store.limits.maxHistory);
    try {
      const event = await this.#submit({ history: { to: address, beforeSeq, limit: capped } });
      if (event?.history) this.#store.page({ ...event.history, to: address });
      this.#historyAnswered(conversation);
    } catch (error) {
      this.#historyRefused(conversation, limit, error);
    }
  }

  /** @param {Conversation} conversation */
  #historyAnswered(conversation) {
    // Not before it was drawn: until then the list still stands at its start, and asks for more.
    setTimeout(() => {
      conversation.loading = false;
      this.#store.touch(); // it may stand there again
    }, DRAWN);
  }

  /**
   * @param {Conversation} conversation
   * @param {number} limit
   * @param {unknown} error
   */
  #historyRefused(conversation, limit, error) {
    if (error instanceof Ended) {
      conversation.loading = false; // for the next session to ask
    } else if (error instanceof Refused && error.isOfTheMoment) {
      setTimeout(() => this.#historyAgain(conversation, limit), error.pause);
    } else {
      this.#store.untold(conversation);
      const isNobody = error instanceof Refused && error.code === NOBODY; // who writes to them is told
      if (!isNobody) this.#complain(conversation.address, error);
      this.#historyAnswered(conversation);
    }
  }

  /**
   * @param {Conversation} conversation
   * @param {number} limit
   */
  #historyAgain(conversation, limit) {
    const { address } = conversation;
    conversation.loading = false;
    if (this.#store.conversations.get(address) === conversation) void this.#history(address, limit);
  }

  /**
   * Asks who is in a room; tells whether it is known.
   * @param {string} address
   */
  async #roster(address) {
    if (!address.startsWith("#")) return false;
    let after = "";
    for (let page = 0; page < ROSTER_PAGES; page += 1) {
      const event = await this.#submit({ who: { to: address, after } }).catch(() => null);
      if (!event?.roster) return false;
      this.#store.roster({ ...event.roster, to: address }, after);
      after = event.roster.members?.at(-1)?.user ?? "";
      if (!event.roster.more) break;
    }
    return true;
  }

  /**
   * Asks for something; tells whether it was done, and tells the user if not.
   * @param {Command} command
   */
  async #ask(command) {
    const place = this.#store.current;
    try {
      return (await this.#submit(command)) !== null;
    } catch (error) {
      this.#complain(place, error);
      return false;
    }
  }

  /** @param {Command} command */
  async #submit(command) {
    return (await this.#session()?.submit(command)) ?? null;
  }

  /**
   * @param {string} place
   * @param {unknown} error
   */
  #complain(place, error) {
    if (error instanceof Ended) return;
    this.#store.note(place, error instanceof Error ? error.message : String(error), "error");
  }
}
