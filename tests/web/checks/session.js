/** The session against a scripted socket: exactly once, and when to come back. */

import { Backoff, Identity, Session } from "./modules.js";
import { FakeSocket, same, turn, until } from "./fakes.js";

/** @typedef {import("../../../chat_service/web/assets/contract.js").ChatEvent} ChatEvent */

/** @param {string} [token] @param {{slow: number, dead: number}} [waits] */
function begin(token = "", waits) {
  /** @type {FakeSocket[]} */
  const sockets = [];
  /** @type {ChatEvent[]} */
  const events = [];
  /** @type {string[]} */
  const states = [];
  sessionStorage.clear();
  const identity = new Identity({ user: "ann", kind: "guest", token }, "c", false);
  const session = new Session({
    identity,
    onEvents: (it) => events.push(...it),
    onState: ({ state, code }) => states.push(code ? `${state} ${code}` : state),
    connect: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return /** @type {WebSocket} */ (/** @type {unknown} */ (socket));
    },
    backoff: new Backoff(0, 0, () => 0),
    ...(waits && { waits }),
  });
  session.start();
  const socket = () => {
    const last = sockets.at(-1);
    if (!last) throw new Error("there is no socket");
    return last;
  };
  const say = (/** @type {string} */ text) => session.submit({ send: { to: "#lobby", text } });
  return { session, sockets, socket, events, states, say };
}

/** @param {FakeSocket} socket */
function sends(socket) {
  return socket.commands.flatMap((it) => (it.send ? [`${it.send.nonce} ${it.send.text}`] : []));
}

/** The ref of the first send. @param {FakeSocket} socket */
function refOf(socket) {
  return socket.commands.find((it) => it.send)?.ref ?? "";
}

export async function whatIsUnansweredIsSentAgainFirstWithTheNoncesItHad() {
  const { socket, say } = begin();
  socket().welcome();
  const one = say("one");
  const two = say("two");
  const [first] = socket().commands.filter((it) => it.send);
  socket().tell({ ref: first?.ref ?? "", ack: { seq: "1" } });
  await one;
  socket().end();
  const three = say("three");
  await turn();
  socket().welcome({ resumed: true, lastNonce: "1" });
  same(sends(socket()), ["2 two", "3 three"]);
  for (const { ref } of socket().commands.filter((it) => it.send)) {
    socket().tell({ ref: ref ?? "", ack: { seq: "2", duplicate: true } });
  }
  await two;
  await three.then(() => same("done", "refused"), (error) => same(error.code, ""));
}

export async function noncesBeginAboveWhatTheServerHasSeen() {
  const { socket, say } = begin();
  void say("early");
  socket().welcome({ lastNonce: "41" });
  same(sends(socket()), ["42 early"]);
}

export async function aSendOfTheLastLoadIsRepeatedWithItsNonce() {
  const { session, socket, say } = begin();
  const old = session.submit({ send: { to: "#lobby", text: "old", nonce: "7" } });
  void say("new");
  socket().welcome({ lastNonce: "7" });
  same(sends(socket()), ["7 old", "8 new"]);
  const ref = socket().commands.find((it) => it.send)?.ref ?? "";
  socket().tell({ ref, ack: { seq: "3", duplicate: true } });
  same((await old).ack?.seq, "3");
}

export async function aRefusedSendIsNotSentAgain() {
  const { socket, say } = begin();
  socket().welcome();
  const one = say("one").catch((error) => error.code);
  const { ref = "" } = socket().commands.at(-1) ?? {};
  socket().tell({ ref, error: { code: "ERROR_CODE_INVALID_TEXT" } });
  same(await one, "ERROR_CODE_INVALID_TEXT");
  socket().end();
  await turn();
  socket().welcome({ resumed: true });
  same(sends(socket()), []);
  void say("two");
  same(sends(socket()), ["2 two"]);
}

export async function aCopyThatIsRefusedForTheMomentIsSentAgainWithItsNonce() {
  for (const code of ["ERROR_CODE_UNAVAILABLE", "ERROR_CODE_RATE_LIMITED"]) {
    const { socket, say } = begin();
    socket().welcome();
    const one = say("one");
    socket().end();
    await turn();
    socket().welcome({ resumed: true, lastNonce: "1" });
    const ref = refOf(socket());
    socket().tell({ ref, error: { code, retryAfter: "0.005s" } });
    void say("two");
    await turn();
    same(sends(socket()), ["1 one", "1 one", "2 two"]); // nothing passes it
    socket().tell({ ref, ack: { seq: "3", nonce: "1", duplicate: true } });
    same((await one).ack?.seq, "3");
  }
}

export async function severalCopiesAreSentAgainInTheirOrder() {
  const { socket, say } = begin();
  socket().welcome();
  for (const text of ["one", "two", "three"]) void say(text);
  socket().end();
  await turn();
  socket().welcome({ resumed: true });
  const error = { code: "ERROR_CODE_UNAVAILABLE", retryAfter: "0.005s" };
  for (const { ref = "", send } of socket().commands) if (send) socket().tell({ ref, error });
  await turn();
  same(sends(socket()).slice(3), ["1 one", "2 two", "3 three"]);
}

export async function aReconnectBeforeThatSendsItOnce() {
  const { socket, say } = begin();
  socket().welcome();
  void say("one");
  socket().end();
  await turn();
  socket().welcome({ resumed: true });
  const error = { code: "ERROR_CODE_UNAVAILABLE", retryAfter: "0.015s" };
  socket().tell({ ref: refOf(socket()), error });
  socket().end();
  await turn();
  socket().welcome({ resumed: true });
  await turn();
  await turn();
  same(sends(socket()), ["1 one"]);
}

export async function aCopyOfTheLastLoadIsNoOtherSend() {
  const { session, socket } = begin();
  void session.submit({ send: { to: "#lobby", text: "old", nonce: "7" } });
  socket().welcome({ lastNonce: "7" });
  const error = { code: "ERROR_CODE_UNAVAILABLE", retryAfter: "0.005s" };
  socket().tell({ ref: refOf(socket()), error });
  await turn();
  same(sends(socket()), ["7 old", "7 old"]);
}

export async function whatWasWrittenOnceAndRefusedForTheMomentIsOver() {
  const { socket, say } = begin();
  socket().welcome();
  const one = say("one").catch((error) => error.code);
  socket().tell({ ref: refOf(socket()), error: { code: "ERROR_CODE_UNAVAILABLE", retryAfter: "0.005s" } });
  same(await one, "ERROR_CODE_UNAVAILABLE");
  await turn();
  same(sends(socket()), ["1 one"]);
}

export async function eachEventIsToldOnceAndTheCursorGoesOn() {
  const { socket, events } = begin();
  socket().welcome({ cursor: { epoch: "e", seq: "5" } });
  const message = { to: "#lobby", sender: "bob", text: "hi", sentAt: "2026-01-01T00:00:00Z" };
  socket().tell({ seq: "5", message }, { seq: "6", message }, { seq: "6", message });
  socket().end();
  await turn();
  socket().onopen?.();
  const hello = socket().commands[0]?.hello;
  same(hello?.resume, { epoch: "e", seq: "6" });
  socket().welcome({ resumed: true, cursor: { epoch: "e", seq: "6" } });
  socket().tell({ seq: "6", message }, { seq: "7", message });
  same(events.filter((it) => it.message).map((it) => it.seq), ["6", "7"]);
}

export async function lostRoomsAreJoinedAgainBeforeAnythingElse() {
  const { session, socket, say } = begin();
  socket().welcome({ rooms: ["#lobby", "#dev"] });
  session.rooms = new Set(["#lobby", "#dev"]);
  socket().end();
  void say("in between");
  await turn();
  socket().welcome({ cursor: { epoch: "other", seq: "0" }, rooms: ["#lobby"] });
  const kinds = socket().commands.map((it) => (it.join ? it.join.room : it.send ? "send" : "hello"));
  same(kinds, ["hello", "#dev", "send"]);
}

export async function aGoodbyeSaysWhetherToComeBack() {
  const { socket, sockets, states } = begin();
  socket().welcome();
  socket().end({ goodbye: { reason: "GOODBYE_REASON_SHUTDOWN", reconnect: true } });
  await turn();
  same(sockets.length, 2);
  socket().welcome({ resumed: true });
  socket().end({ goodbye: { reason: "GOODBYE_REASON_REVOKED", reconnect: true } });
  await turn();
  same(sockets.length, 2);
  same(states, ["connected", "reconnecting", "connected", "closed GOODBYE_REASON_REVOKED"]);
}

export async function whoGetsNoAnswerIsToldAndComesBack() {
  const { socket, sockets, states, say } = begin("", { slow: 1, dead: 1 });
  socket().welcome();
  await turn();
  same(states, ["connected"]); // nothing is awaited
  void say("one");
  await until(() => sockets.length === 2);
  same(states, ["connected", "slow", "reconnecting"]);
  same(sockets[0]?.closed, true);
  socket().welcome({ resumed: true });
  same(sends(socket()), ["1 one"]);
}

export async function aSlowServerIsWaitedForAndThenSlowNoMore() {
  const { socket, sockets, states, say } = begin("", { slow: 1, dead: 1000 });
  socket().welcome();
  void say("one");
  await until(() => states.length === 2);
  same(states, ["connected", "slow"]);
  socket().tell({ ref: refOf(socket()), ack: { seq: "1" } });
  await turn();
  same(states, ["connected", "slow", "connected"]);
  same(sockets.length, 1);
}

export async function whatIsHeldBackIsNotAwaited() {
  const { socket, states, say } = begin("", { slow: 1, dead: 1000 });
  void say("one");
  socket().welcome();
  socket().end();
  await turn();
  socket().welcome({ resumed: true });
  const error = { code: "ERROR_CODE_UNAVAILABLE", retryAfter: "60s" };
  socket().tell({ ref: refOf(socket()), error });
  await turn();
  same(states.at(-1), "connected");
}

const SUPERSEDED = { goodbye: { reason: "GOODBYE_REASON_SUPERSEDED" } };

export async function eachHelloThatMayArriveLateEndsNothing() {
  const { socket, states } = begin();
  socket().onopen?.();
  socket().end(); // without an answer
  await turn();
  socket().onopen?.();
  const error = { code: "ERROR_CODE_UNAVAILABLE", retryAfter: "0s" };
  socket().end({ error }, { goodbye: { reason: "GOODBYE_REASON_REFUSED", reconnect: true } });
  await turn();
  for (const state of ["reconnecting", "reconnecting", "closed GOODBYE_REASON_SUPERSEDED"]) {
    socket().welcome();
    socket().end(SUPERSEDED);
    await turn();
    same(states.at(-1), state);
  }
}

export async function aHelloThatWasNotSaidOrWasAnsweredIsNotAwaited() {
  const { socket, states } = begin();
  socket().end(); // it never opened
  await turn();
  socket().onopen?.();
  const error = { code: "ERROR_CODE_RATE_LIMITED", retryAfter: "0s" };
  socket().end({ error }, { goodbye: { reason: "GOODBYE_REASON_REFUSED", reconnect: true } });
  await turn();
  socket().welcome();
  socket().end();
  await turn();
  socket().welcome({ resumed: true });
  socket().end(SUPERSEDED);
  same(states.at(-1), "closed GOODBYE_REASON_SUPERSEDED");
}

export async function theEndIsToldToWhoWaits() {
  const { session, socket, say } = begin();
  socket().welcome();
  const waiting = say("one").catch((error) => error.constructor.name);
  session.leave();
  same(await waiting, "Ended");
  same(socket().closed, true);
  same(await say("two").catch((error) => error.constructor.name), "Ended");
}

export async function aTokenThatIsWorthlessIsTriedOnce() {
  const { socket, sockets } = begin("old");
  socket().onopen?.();
  same(socket().commands[0]?.hello?.token, "old");
  const refused = { error: { code: "ERROR_CODE_UNAUTHENTICATED" } };
  socket().end(refused, { goodbye: { reason: "GOODBYE_REASON_REFUSED" } });
  await turn();
  socket().onopen?.();
  same(socket().commands[0]?.hello?.token, undefined);
  same(sockets.length, 2);
}

export async function atMostSixtyFourCommandsAreUnderWay() {
  const { socket, say } = begin();
  socket().welcome();
  for (let number = 0; number < 100; number += 1) void say(String(number));
  same(sends(socket()).length, 64);
  const { ref = "" } = socket().commands.find((it) => it.send) ?? {};
  socket().tell({ ref, ack: { seq: "1" } });
  same(sends(socket()).length, 65);
}

export async function framesStayBelowTheLimit() {
  const { socket, say } = begin();
  for (let number = 0; number < 20; number += 1) void say("w".repeat(4000));
  socket().welcome({ limits: { maxFrameBytes: 10_000 } });
  same(sends(socket()).length, 20);
  same(socket().frames.every((frame) => JSON.stringify(frame).length < 10_000), true);
}

export function waitsGrowAndAreJittered() {
  const backoff = new Backoff(1, 4, () => 0.5);
  same([backoff.next(), backoff.next(), backoff.next(2), backoff.next()], [0.5, 1, 4, 2]);
  backoff.reset();
  same(backoff.next(), 0.5);
}
