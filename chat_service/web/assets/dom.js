/** Making and finding elements. Text goes in as text nodes only. */

/**
 * Makes an element. Attributes that are null or false are left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...children);
  return made;
}

/**
 * Returns the element of the page with an id; raises if it is of another kind, or not there.
 * @template {Element} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the page has no ${kind.name} #${id}`);
}

/** Tells whether a dialog is open, to which all keys go then. */
export function isDialogOpen() {
  return document.querySelector("dialog[open]") !== null;
}

/**
 * Makes a plain button.
 * @param {string} label
 * @param {() => void} act
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 */
export function button(label, act, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", act);
  return made;
}

/**
 * Returns a user's picture: the first letter, in one of twelve colours that the name decides.
 * @param {string} name
 * @param {string} [size]
 */
export function avatar(name, size = "") {
  return element("span", { class: `avatar ${size} hue-${hue(name)}`, "aria-hidden": "true" }, initial(name));
}

const collator = new Intl.Collator(undefined, { numeric: true });

/**
 * Compares names as people order them, 2 before 10.
 * @param {string} one
 * @param {string} other
 */
export function compareNames(one, other) {
  return collator.compare(one, other);
}

/** @param {string} name */
export function initial(name) {
  return (name.match(/[\p{L}\p{N}]/u)?.[0] ?? "?").toUpperCase();
}

/** @param {string} name */
export function hue(name) {
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 4093;
  return sum % 12;
}
