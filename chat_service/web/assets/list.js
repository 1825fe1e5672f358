/**
 * A list of which only the part around what is seen is in the document, so that 100,000 messages
 * scroll like a hundred. Rows have any height: a row that was never shown is taken to be as high as
 * the others are on average, and padding stands for those that are not there.
 */

import { arrange } from "./keyed.js";

/**
 * @typedef {{height?: number | undefined, key: string}} Measured
 */

/** Pixels beyond what is seen that are in the document as well, and those at least. */
const MARGIN = 800;
const LEAST_MARGIN = 200;
/** Pixels from the end that count as being at the end. */
const NEAR_END = 40;
const FIRST_GUESS = 48;
/** How much of what is seen is above an item that is gone to. */
const CONTEXT = 0.25;

/** Parts of what is seen that a key goes on; the rest stays to be found again. @type {Record<string, number>} */
const PAGES = { PageUp: -0.9, PageDown: 0.9 };

/** @param {KeyboardEvent} event */
function isModified({ altKey, metaKey, shiftKey }) {
  return altKey || metaKey || shiftKey;
}

/**
 * @template {Measured} Item
 * @typedef {{row: HTMLElement, look: string, item: Item}} Shown
 */

/**
 * @template {Measured} Item
 * @typedef {object} Source
 * @property {() => Item[]} items
 * @property {(item: Item, before: Item | undefined) => string} look what a row's appearance depends on
 * @property {(item: Item, before: Item | undefined) => HTMLElement} row
 * @property {() => void} onDrawn there are other rows in the document, which are not measured yet
 * @property {() => void} onStart the first item comes near
 * @property {(atEnd: boolean) => void} onEnd whether the end is seen
 */

/** @template {Measured} Item */
export class WindowedList {
  /** Whether the end is seen, and stays so as items come. */
  atEnd = true;

  #scroller;
  #list;
  #source;
  /** @type {Item[]} */
  #items = [];
  /** How many items there were when it was drawn: they may have grown since. */
  #count = 0;
  #first = 0;
  #end = 0;
  /** @type {Map<string, Shown<Item>>} */
  #shown = new Map();
  #average = FIRST_GUESS;
  #measured = 0;

  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} list
   * @param {Source<Item>} source
   */
  constructor(scroller, list, source) {
    this.#scroller = scroller;
    this.#list = list;
    this.#source = source;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("keydown", (event) => this.#keyed(event));
    new ResizeObserver(() => this.refresh()).observe(scroller);
  }

  /**
   * Shows other items: from the end, or so that one of them is seen, with some of those before it.
   * @param {Item} [item]
   */
  reset(item) {
    this.#list.replaceChildren();
    this.#shown.clear();
    this.#items = this.#source.items();
    this.atEnd = item === undefined;
    this.#draw(item ? { item, offset: this.#scroller.clientHeight * CONTEXT } : null);
    if (item) this.#scrolled(); // the end may be seen as well
  }

  /** Shows what the items are now; what is seen stays where it is. */
  refresh() {
    const anchor = this.atEnd ? null : this.#anchor();
    this.#items = this.#source.items();
    this.#draw(anchor);
  }

  jumpToEnd() {
    this.atEnd = true;
    this.refresh();
  }

  /**
   * Turns the page though the focus is in a field, unless what is in the field has pages itself.
   * @param {KeyboardEvent} event
   */
  page(event) {
    const pages = PAGES[event.key];
    const field = event.currentTarget;
    if (!pages || event.ctrlKey || isModified(event) || !(field instanceof HTMLElement)) return;
    if (field.scrollHeight > field.clientHeight) return;
    event.preventDefault();
    this.#scroller.scrollBy({ top: pages * this.#scroller.clientHeight });
  }

  /**
   * Goes to the ends of the list: those that the browser would go to are where they were when the
   * key was pressed, which heights that are measured on the way push away.
   * @param {KeyboardEvent} event
   */
  #keyed(event) {
    if (isModified(event)) return;
    if (event.key === "End") this.jumpToEnd();
    else if (event.key === "Home") this.#scroller.scrollTop = 0;
    else return;
    event.preventDefault();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END && this.#end === this.#count;
    const above = this.#first === 0 || scrollTop - this.#paddingTop() > LEAST_MARGIN;
    const bottom = scrollHeight - this.#paddingBottom();
    const below = this.#end === this.#count || bottom - scrollTop - clientHeight > LEAST_MARGIN;
    if (!above || !below) this.#draw(this.#anchor());
    else this.#tell();
  }

  /** The first row that is seen, and how far its top is from that of the scroller. */
  #anchor() {
    const top = this.#scroller.getBoundingClientRect().top;
    for (const { row, item } of this.#shown.values()) {
      const box = row.getBoundingClientRect();
      if (box.bottom > top) return box.top - top < this.#scroller.clientHeight ? { item, offset: box.top - top } : null;
    }
    return null;
  }

  /** @param {{item: Item, offset: number} | null} anchor */
  #draw(anchor) {
    this.#count = this.#items.length;
    const index = anchor ? this.#items.lastIndexOf(anchor.item) : -1;
    const range = this.#range(anchor && index >= 0 ? this.#sum(0, index) - anchor.offset : null);
    this.#fill(range.first, range.end);
    this.#measure();
    this.#pad();
    if (this.atEnd) {
      this.#scroller.scrollTop = this.#scroller.scrollHeight;
    } else if (anchor && index >= 0) {
      const row = this.#shown.get(anchor.item.key)?.row;
      const top = this.#scroller.getBoundingClientRect().top;
      const moved = row ? row.getBoundingClientRect().top - top - anchor.offset : 0;
      if (Math.abs(moved) >= 1) this.#scroller.scrollTop += moved;
    }
    this.#tell();
  }

  /**
   * Returns what is to be in the document when so much of the list is above what is seen.
   * @param {number | null} top pixels; null: as the scroller stands
   */
  #range(top) {
    const height = this.#scroller.clientHeight;
    if (this.atEnd) return { first: this.#back(this.#items.length, height + MARGIN), end: this.#items.length };
    const from = Math.max(0, (top ?? this.#scroller.scrollTop) - MARGIN);
    let first = 0;
    let sum = 0;
    while (first < this.#items.length - 1 && sum + this.#height(first) <= from) sum += this.#height(first++);
    let end = first;
    while (end < this.#items.length && sum < from + height + 2 * MARGIN) sum += this.#height(end++);
    return { first, end };
  }

  /**
   * Returns the index from which on so many pixels are before another index.
   * @param {number} index
   * @param {number} pixels
   */
  #back(index, pixels) {
    let sum = 0;
    let first = index;
    while (first > 0 && sum < pixels) sum += this.#height(--first);
    return first;
  }

  /**
   * Makes the rows from one index to another be those in the document.
   * @param {number} first
   * @param {number} end
   */
  #fill(first, end) {
    /** @type {Map<string, Shown<Item>>} */
    const kept = new Map();
    for (let index = first; index < end; index += 1) {
      const item = /** @type {Item} */ (this.#items[index]);
      kept.set(item.key, this.#row(item, this.#items[index - 1]));
    }
    this.#arrange([...kept.values()].map((it) => it.row));
    this.#shown = kept;
    this.#first = first;
    this.#end = end;
    this.#source.onDrawn();
  }

  /** The focus in a row that goes is the list's then, which the keys still scroll. @param {HTMLElement[]} rows */
  #arrange(rows) {
    const focused = this.#list.contains(document.activeElement);
    arrange(this.#list, rows);
    if (focused && !this.#list.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
  }

  /**
   * @param {Item} item
   * @param {Item | undefined} before
   */
  #row(item, before) {
    const look = this.#source.look(item, before);
    const known = this.#shown.get(item.key);
    if (known?.look === look && known.item === item) return known;
    return { row: this.#source.row(item, before), look, item };
  }

  #measure() {
    for (const { row, item } of this.#shown.values()) {
      const { height } = row.getBoundingClientRect();
      if (item.height === undefined) {
        this.#measured += 1;
        this.#average += (height - this.#average) / this.#measured;
      }
      item.height = height;
    }
  }

  #pad() {
    this.#list.style.paddingTop = `${this.#sum(0, this.#first)}px`;
    this.#list.style.paddingBottom = `${this.#sum(this.#end, this.#items.length)}px`;
  }

  #paddingTop() {
    return Number.parseFloat(this.#list.style.paddingTop) || 0;
  }

  #paddingBottom() {
    return Number.parseFloat(this.#list.style.paddingBottom) || 0;
  }

  /**
   * @param {number} first
   * @param {number} end
   */
  #sum(first, end) {
    let sum = 0;
    for (let index = first; index < end; index += 1) sum += this.#height(index);
    return sum;
  }

  /** @param {number} index */
  #height(index) {
    return this.#items[index]?.height ?? this.#average;
  }

  #tell() {
    this.#source.onEnd(this.atEnd);
    if (this.#first === 0 && this.#scroller.scrollTop < MARGIN) this.#source.onStart();
  }
}
