/**
 * Lists of which the nodes stay while what they show changes: browsers make no click of a press on a
 * button that was replaced meanwhile, and take the focus from it.
 */

/**
 * @template Item
 * @typedef {{node: HTMLElement, draw: (item: Item) => void}} Row
 */

/** @template Item */
export class KeyedRows {
  #key;
  #make;
  /** @type {Map<string, Row<Item>>} */
  #rows = new Map();

  /**
   * @param {(item: Item) => string} key
   * @param {(item: Item) => Row<Item>} make a row for all items of one key; it is not drawn yet
   */
  constructor(key, make) {
    this.#key = key;
    this.#make = make;
  }

  /** Returns the nodes of these items, drawn as they are now; forgets all others. @param {Item[]} items */
  draw(items) {
    /** @type {Map<string, Row<Item>>} */
    const rows = new Map();
    for (const item of items) {
      const key = this.#key(item);
      const row = this.#rows.get(key) ?? this.#make(item);
      row.draw(item);
      rows.set(key, row);
    }
    this.#rows = rows;
    return [...rows.values()].map((it) => it.node);
  }
}

/**
 * Makes these the children of a node. Those that stay are not moved: a selection, a press or the
 * focus would be lost.
 * @param {HTMLElement} parent
 * @param {HTMLElement[]} nodes
 */
export function arrange(parent, nodes) {
  /** @type {Set<Element>} */
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let next = parent.firstElementChild;
  for (const node of nodes) {
    if (node === next) next = node.nextElementSibling;
    else parent.insertBefore(node, next);
  }
}

/** Draws, and gives the focus back to a node that had to be moved. @param {() => void} draw */
export function keepingFocus(draw) {
  const focused = document.activeElement;
  draw();
  if (!(focused instanceof HTMLElement) || focused === document.activeElement) return;
  if (focused.isConnected) focused.focus({ preventScroll: true });
}
