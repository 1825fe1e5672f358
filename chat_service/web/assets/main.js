/** The page, put together: what is drawn when something has changed. */

/** @import {Item} from "./conversation.js" */
import { AccountDialog } from "./account.js";
import { addressed, correct, note } from "./address_bar.js";
import { App } from "./app.js";
import { Composer } from "./composer.js";
import { byId } from "./dom.js";
import { Drawers } from "./drawers.js";
import { Banner, drawHeader, drawMe, drawTitle } from "./header.js";
import { WindowedList } from "./list.js";
import { Live } from "./live.js";
import { Members } from "./members.js";
import { Notifications } from "./notifications.js";
import { Rows, refreshTimes, unfoldShort } from "./rows.js";
import { Sidebar } from "./sidebar.js";

/** Milliseconds after which "5 minutes ago" is another time. */
const A_WHILE = 30_000;

const app = new App();
const { store, talk, outgoing, changes } = app;
const drawers = new Drawers();
const live = new Live();
const scroller = byId("scroller", HTMLElement);
const messages = byId("messages", HTMLElement);
const latest = byId("latest", HTMLButtonElement);

/** @param {string} address */
function open(address) {
  drawers.close();
  talk.open(address);
  focusField();
}

/** @param {string} user */
function write(user) {
  open(`@${user}`);
}

/** @param {string} room */
function join(room) {
  drawers.close();
  void talk.join(room).then(focusField);
}

/** Where there is no keyboard, one would slide over what was opened. */
function focusField() {
  if (!matchMedia("(pointer: coarse)").matches) composer.focus();
}

const composer = new Composer(store, (line) => {
  const done = talk.enter(line);
  if (done) list.jumpToEnd();
  return done;
});
const sidebar = new Sidebar(store, { open, join, close: (address) => void talk.leave(address) });
const members = new Members(store, write);
const notifications = new Notifications(open);
const banner = new Banner(() => {
  if (app.session?.standing.state === "closed") app.takeBack();
  else app.session?.wake();
});
new AccountDialog(() => app.identity, () => app.register(), () => void app.signOut());

const rows = new Rows({
  me: () => store.user,
  line: () => store.conversation.line,
  retry: (sending) => outgoing.retry(sending),
  discard: (sending) => outgoing.discard(sending),
  join,
  write,
  resized: () => list.refresh(),
});

/** @type {WindowedList<Item>} */
const list = new WindowedList(scroller, messages, {
  items: () => {
    const sending = outgoing.to(store.current);
    return sending.length > 0 ? [...store.conversation.items, ...sending] : store.conversation.items;
  },
  look: (item, before) => rows.look(item, before),
  row: (item, before) => rows.row(item, before),
  onDrawn: () => unfoldShort(messages),
  onStart: () => void talk.older(),
  onEnd: (atEnd) => {
    latest.hidden = atEnd;
    if (atEnd) store.read();
  },
});

let shown = "";
let drawn = false;
/** Whether it is known what was said there, and so where to begin to read. */
let known = false;

store.isEndSeen = () => known && shown === store.current && list.atEnd;

changes.listen((topics) => {
  if (topics.has("current") && (shown !== store.current || !known)) show();
  else if (topics.has("items")) list.refresh();
  if (topics.has("list")) sidebar.draw();
  if (topics.has("members")) members.draw();
  if (topics.has("current") || topics.has("members")) drawHeader(store);
  if (topics.has("list") || topics.has("current")) drawTitle(store);
  if (topics.has("me")) drawMe(store.user, app.identity?.isAccount ?? false);
  if (topics.has("standing")) banner.draw(app.session?.standing ?? null);
  if (topics.has("roster")) talk.refreshRoster();
  if (topics.has("stale")) talk.stale();
  if (topics.has("items") || topics.has("current")) drawBeginning();
  if (topics.has("list") || topics.has("current")) drawLatest();
});

function show() {
  if (drawn && shown !== store.current) live.tell(store.conversation.isRoom ? store.current : store.conversation.name);
  drawn = store.user !== "";
  known = store.conversation.loaded;
  shown = store.current;
  scroller.setAttribute("aria-label", `Messages, ${shown}`);
  scroller.setAttribute("aria-busy", String(!known));
  list.reset(store.firstUnread);
  if (!drawn) return;
  composer.open(shown);
  note(shown);
}

/** What lies below, where one has scrolled up. */
function drawLatest() {
  const { unread, mentions, isRoom } = store.conversation;
  byId("latest-text", HTMLElement).textContent = unread > 0 ? `${unread} new` : "Latest";
  latest.classList.toggle("primary", mentions > 0 || (unread > 0 && !isRoom));
}

function drawBeginning() {
  const { conversation } = store;
  const beginning = byId("beginning", HTMLElement);
  const place = conversation.isRoom ? conversation.address : `your conversation with ${conversation.name}`;
  // It always takes the same room, so that nothing moves when it changes.
  if (!conversation.loaded || conversation.more) beginning.textContent = "…";
  else if (conversation.items.length > 0) beginning.textContent = `The beginning of ${place}`;
  else beginning.textContent = `Nothing was said yet in ${place}`;
}

store.onHeard = (heard) => {
  if (document.visibilityState === "visible") live.hear(heard, heard.conversation.address === store.current);
  if (!store.attentive()) notifications.tell(heard);
};

store.onTold = (text) => live.tell(text);
outgoing.onFailed = ({ error }) => live.tell(error);

latest.addEventListener("click", () => {
  list.jumpToEnd();
  focusField();
});
byId("leave", HTMLButtonElement).addEventListener("click", () => void talk.leave(store.current).then(focusField));
byId("sign-in", HTMLElement).addEventListener("close", focusField);
byId("text", HTMLElement).addEventListener("keydown", (event) => list.page(event));
byId("skip-to-conversations", HTMLElement).addEventListener("click", (event) => {
  event.preventDefault();
  drawers.showConversations();
  sidebar.focus();
});
window.addEventListener("popstate", () => {
  const address = addressed();
  if (store.conversations.has(address)) open(address);
  else if (address) correct(store.current); // one has left it, or never was there
});
setInterval(() => refreshTimes(messages), A_WHILE);

void app.start();
