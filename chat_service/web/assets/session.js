/**
 * One session, kept going over as many WebSockets as it takes: the same rules as those of the
 * Python client (chat_client/connection.py). What must outlive a socket is here and in InFlight: the
 * cursor, and the commands without a reply.
 */

/** @import {ChatEvent, Command, Goodbye, Refusal, Welcome} from "./contract.js" */
/** @import {Identity} from "./identity.js" */
import { Backoff } from "./backoff.js";
import { Ended, SUBPROTOCOL, integer, seconds } from "./contract.js";
import { InFlight } from "./in_flight.js";

/** Milliseconds that a stream must last to count as a success. */
const STABLE = 5_000;
/**
 * Milliseconds in which a Hello that was given up may still arrive: a node of a cluster that was cut
 * off repeats what it has sent to the log until it is connected again. And how many are remembered.
 */
const STRAY = 600_000;
const STRAYS = 16;
/** Milliseconds to wait for a Welcome. */
const PATIENCE = 15_000;
/** Milliseconds of silence after which the server is asked for a sign of life, and to wait for it. */
const SILENCE = 25_000;
const SIGN_OF_LIFE = 5_000;
/**
 * Milliseconds that commands await an answer until the server is taken to be slow, and from then on to
 * be out of reach. A server that waits for its disk or its cluster says so after 10 s, and no earlier:
 * a ping would be answered behind all that, and tell no more.
 */
const WAITS = { slow: 4_000, dead: 10_000 };
/** Messages a room that a page begins with. */
const BACKLOG = 50;

const FINAL_GOODBYES = new Set(["GOODBYE_REASON_REVOKED", "GOODBYE_REASON_BANNED"]);
const FINAL_ERRORS = new Set(["ERROR_CODE_UNAUTHENTICATED", "ERROR_CODE_BANNED"]);

/**
 * @typedef {"connecting" | "connected" | "slow" | "reconnecting" | "closed"} State
 * @typedef {{state: State, error: string, code: string}} Standing
 *   `error` is for people: why it is not connected; `code` the error's or the goodbye's, for programs.
 * @typedef {object} Options
 * @property {Identity} identity
 * @property {(events: ChatEvent[]) => void} onEvents what is new, each durable event exactly once
 * @property {(standing: Standing) => void} onState
 * @property {() => WebSocket} [connect]
 * @property {Backoff} [backoff]
 * @property {typeof WAITS} [waits]
 */

export class Session {
  /** @type {Standing} */
  standing = { state: "connecting", error: "", code: "" };
  /** @type {Welcome | null} */
  welcome = null;
  /** What to join again if the server has lost its log. @type {Set<string>} */
  rooms = new Set();

  #identity;
  #onEvents;
  #onState;
  #connect;
  #backoff;
  #waits;
  #inFlight = new InFlight(() => this.#write());
  /** @type {WebSocket | null} */
  #socket = null;
  #open = false;
  #seq = 0;
  /** @type {Refusal | null} */
  #refusal = null;
  /** @type {Goodbye | null} */
  #goodbye = null;
  /** Whether a Hello was said and nothing was heard since. */
  #unanswered = false;
  /** @type {number[]} until when each Hello that was given up may still arrive */
  #strays = [];
  #notBefore = 0;
  #lastHeard = 0;
  /** @type {Record<string, ReturnType<typeof setTimeout>>} */
  #timers = {};

  /** @param {Options} options */
  constructor({ identity, onEvents, onState, connect = openSocket, backoff = new Backoff(), waits = WAITS }) {
    this.#identity = identity;
    this.#onEvents = onEvents;
    this.#onState = onState;
    this.#connect = connect;
    this.#backoff = backoff;
    this.#waits = waits;
  }

  start() {
    this.#dial();
  }

  /**
   * Sends a command, now or when there is a connection; the promise is that of its reply, and
   * rejects with Refused or Ended.
   * @param {Command} command
   * @param {(nonce: string) => void} [numbered]
   */
  submit(command, numbered) {
    if (this.standing.state === "closed") return Promise.reject(new Ended(this.standing.error));
    const reply = this.#inFlight.add(command, numbered);
    this.#write();
    return reply;
  }

  /** Leaves for good. */
  leave() {
    this.#end("", "GOODBYE_REASON_LEFT");
  }

  /** Something has changed (the network, the user is back): try now, or see if all is well. */
  wake() {
    if (this.#timers["dial"] !== undefined && Date.now() >= this.#notBefore) this.#dial();
    else if (this.#open) this.#probe();
  }

  #dial() {
    this.#clear("dial");
    const socket = this.#connect();
    this.#socket = socket;
    this.#refusal = null;
    this.#goodbye = null;
    this.#unanswered = false;
    const mine = (/** @type {() => void} */ act) => () => {
      if (socket === this.#socket) act();
    };
    socket.onopen = mine(() => {
      socket.send(JSON.stringify({ commands: [{ hello: this.#hello() }] }));
      this.#unanswered = true;
    });
    socket.onmessage = (message) => {
      if (socket === this.#socket) this.#take(JSON.parse(message.data).events ?? []);
    };
    socket.onclose = mine(() => this.#closed());
    this.#after("patience", PATIENCE, () => this.#drop("the server does not answer"));
  }

  #hello() {
    const hello = { ...this.#identity.hello(), backlog: BACKLOG };
    if (!this.welcome) return hello;
    return { ...hello, resume: { ...this.welcome.cursor, seq: String(this.#seq) } };
  }

  /**
   * Sorts what came: replies to those who wait for them, the rest to the page.
   * @param {ChatEvent[]} events
   */
  #take(events) {
    this.#lastHeard = Date.now();
    this.#unanswered = false;
    for (const name of ["life", "answer"]) this.#clear(name);
    if (this.standing.state === "slow") this.#tell("connected");
    /** @type {ChatEvent[]} */
    const kept = [];
    for (const event of events) {
      if (event.welcome) {
        this.#welcomed(event.welcome);
        kept.push(event);
      } else if (event.goodbye) this.#goodbye = event.goodbye;
      else if (event.ref) this.#inFlight.resolve(event);
      else if (event.seq && !this.#advance(integer(event.seq))) continue;
      else if (event.error && !this.#open) this.#refusal = event.error;
      else if (!event.pong) kept.push(event);
    }
    if (kept.length > 0) this.#onEvents(kept);
    this.#write();
  }

  /** @param {number} seq */
  #advance(seq) {
    if (seq <= this.#seq) return false;
    this.#seq = seq;
    return true;
  }

  /** @param {Welcome} welcome */
  #welcomed(welcome) {
    this.#clear("patience");
    this.#identity.welcomed(welcome);
    this.welcome = welcome;
    this.#seq = integer(welcome.cursor?.seq);
    this.#open = true;
    this.#inFlight.reopen(welcome);
    const here = new Set(welcome.rooms);
    const lost = welcome.resumed ? [] : [...this.rooms].filter((room) => !here.has(room));
    if (lost.length > 0) this.#send(lost.map((room) => ({ join: { room } })));
    this.#after("stable", STABLE, () => this.#backoff.reset());
    this.#after("keepalive", SILENCE, () => this.#keepAlive());
    this.#tell("connected");
  }

  #write() {
    if (!this.#open) return;
    for (;;) {
      const commands = this.#inFlight.nextCommands();
      if (commands.length === 0) break;
      this.#send(commands);
    }
    if (this.#inFlight.isAwaited && this.#timers["answer"] === undefined) this.#awaitAnswer();
  }

  #awaitAnswer() {
    this.#after("answer", this.#waits.slow, () => {
      this.#tell("slow");
      this.#after("answer", this.#waits.dead, () => this.#drop("the server does not answer"));
    });
  }

  /** @param {Command[]} commands */
  #send(commands) {
    this.#socket?.send(JSON.stringify({ commands }));
  }

  #keepAlive() {
    if (Date.now() - this.#lastHeard >= SILENCE) this.#probe();
    this.#after("keepalive", SILENCE, () => this.#keepAlive());
  }

  #probe() {
    if (this.#timers["life"] !== undefined) return;
    this.#send([{ ping: {} }]);
    const patience = this.#inFlight.isAwaited ? this.#waits.dead : SIGN_OF_LIFE;
    this.#after("life", patience, () => this.#drop("the connection is dead"));
  }

  /**
   * Gives a socket up that may never tell of its end.
   * @param {string} error
   */
  #drop(error) {
    const socket = this.#socket;
    this.#hangUp();
    socket?.close();
    this.#lost(error, 0);
  }

  #closed() {
    const refusal = this.#refusal;
    const goodbye = this.#goodbye;
    this.#hangUp();
    const another = refusal && this.#identity.refused(refusal.code ?? "");
    if (typeof another === "number") this.#lost("", another);
    else if (goodbye) this.#departed(goodbye, refusal);
    else this.#lost("", 0);
  }

  /**
   * A Hello that was given up, and arrives behind the next one, takes the session over for a socket
   * that nobody holds any more. That is no one else: the session is taken back, once for each that
   * may arrive, since whoever then takes it over is another.
   * @param {Goodbye} goodbye
   * @param {Refusal | null} refusal
   */
  #departed(goodbye, refusal) {
    const stray = goodbye.reason === "GOODBYE_REASON_SUPERSEDED" && this.#takeStray();
    const final = FINAL_GOODBYES.has(goodbye.reason ?? "") || FINAL_ERRORS.has(refusal?.code ?? "");
    const error = refusal?.message || goodbye.message || "";
    const retryAfter = seconds(refusal?.retryAfter ?? goodbye.retryAfter);
    if (stray || (goodbye.reconnect && !final)) this.#lost(error, retryAfter);
    else this.#end(error, refusal?.code ?? goodbye.reason ?? "");
  }

  /**
   * @param {string} error
   * @param {number} retryAfter seconds
   */
  #lost(error, retryAfter) {
    this.#notBefore = Date.now() + retryAfter * 1000;
    this.#after("dial", this.#backoff.next(retryAfter) * 1000, () => this.#dial());
    this.#tell(this.welcome ? "reconnecting" : "connecting", error);
  }

  /**
   * @param {string} error
   * @param {string} code
   */
  #end(error, code) {
    const socket = this.#socket;
    this.#hangUp();
    this.#clear("dial");
    socket?.close(1000);
    this.#tell("closed", error, code);
    this.#inFlight.fail(new Ended(error));
  }

  #hangUp() {
    this.#noteStray();
    this.#socket = null;
    this.#open = false;
    for (const name of ["patience", "stable", "keepalive", "life", "answer"]) this.#clear(name);
  }

  /** A server that has waited for long enough itself does not know what becomes of the Hello. */
  #noteStray() {
    const isUnsure = this.#unanswered || this.#refusal?.code === "ERROR_CODE_UNAVAILABLE";
    if (isUnsure) this.#strays = [...this.#strays, Date.now() + STRAY].slice(-STRAYS);
  }

  /** Tells whether it may be a Hello of one's own that has arrived late, once for each. */
  #takeStray() {
    this.#strays = this.#strays.filter((it) => it > Date.now());
    return this.#strays.shift() !== undefined;
  }

  /**
   * @param {State} state
   * @param {string} [error]
   * @param {string} [code]
   */
  #tell(state, error = "", code = "") {
    this.standing = { state, error, code };
    this.#onState(this.standing);
  }

  /**
   * @param {string} name
   * @param {number} delay milliseconds
   * @param {() => void} act
   */
  #after(name, delay, act) {
    this.#clear(name);
    this.#timers[name] = setTimeout(() => {
      delete this.#timers[name];
      act();
    }, delay);
  }

  /** @param {string} name */
  #clear(name) {
    clearTimeout(this.#timers[name]);
    delete this.#timers[name];
  }
}

function openSocket() {
  return new WebSocket(new URL("/ws", location.href.replace(/^http/, "ws")), SUBPROTOCOL);
}
