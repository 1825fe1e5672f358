/** What the checks of the session talk to instead of a server. */

/** @import {ChatEvent, Command} from "../../../chat_service/web/assets/contract.js" */

/** A socket that records what is sent and hears what it is told. */
export class FakeSocket {
  /** @type {Command[][]} */
  frames = [];
  closed = false;
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((message: {data: string}) => void) | null} */
  onmessage = null;
  /** @type {(() => void) | null} */
  onclose = null;

  /** @param {string} data */
  send(data) {
    this.frames.push(JSON.parse(data).commands);
  }

  close() {
    this.closed = true;
  }

  /** Everything that was sent, in order. */
  get commands() {
    return this.frames.flat();
  }

  /** @param {ChatEvent[]} events */
  tell(...events) {
    this.onmessage?.({ data: JSON.stringify({ events }) });
  }

  /** @param {object} [welcome] */
  welcome(welcome = {}) {
    this.onopen?.();
    const cursor = { epoch: "e", seq: "0" };
    this.tell({ welcome: { user: "ann", cursor, rooms: ["#lobby"], ...welcome } });
  }

  /** @param {ChatEvent[]} events the last words */
  end(...events) {
    if (events.length > 0) this.tell(...events);
    this.onclose?.();
  }
}

/**
 * @param {unknown} found
 * @param {unknown} wanted
 */
export function same(found, wanted) {
  const [one, other] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (one !== other) throw new Error(`found ${one}, wanted ${other}`);
}

/** Waits until something is so. @param {() => boolean} isSo */
export async function until(isSo) {
  for (let turns = 0; !isSo(); turns += 1) {
    if (turns === 500) throw new Error(`in vain: ${isSo}`);
    await turn();
  }
}

/** Lets everything that waits for nothing happen. */
export function turn() {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
