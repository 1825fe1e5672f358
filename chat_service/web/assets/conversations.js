/** The conversations that the page knows of, by their addresses. */

/** @import {Conversation} from "./conversation.js" */

/** @extends {Map<string, Conversation>} */
export class Conversations extends Map {
  /** In the order of joining. */
  get rooms() {
    return [...this.values()].filter((it) => it.isRoom);
  }

  /** Private conversations, the latest first. */
  get people() {
    const all = [...this.values()].filter((it) => !it.isRoom);
    return all.sort((one, other) => other.latestSeq - one.latestSeq);
  }

  /** What concerns the user: private messages and mentions that are unread. */
  get unread() {
    let total = 0;
    for (const it of this.values()) total += it.isRoom ? it.mentions : it.unread;
    return total;
  }

  get anyUnread() {
    return [...this.values()].some((it) => it.unread > 0);
  }
}
