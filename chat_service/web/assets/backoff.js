/**
 * How long to wait before another try to connect: exponential, with full jitter, so that many pages
 * never come back at one moment. The n-th wait in a row is a random part of `first * 2**n` seconds.
 */
export class Backoff {
  #first;
  #longest;
  #random;
  #ceiling;

  /**
   * @param {number} [first] seconds
   * @param {number} [longest] seconds
   * @param {() => number} [random] from 0 to 1
   */
  constructor(first = 0.2, longest = 10, random = Math.random) {
    this.#first = first;
    this.#longest = longest;
    this.#random = random;
    this.#ceiling = first;
  }

  /** Starts again from the shortest wait. */
  reset() {
    this.#ceiling = this.#first;
  }

  /**
   * Returns the seconds to wait now. What the server asked for is the same for everyone that it
   * turned away, so the jitter comes on top.
   * @param {number} [retryAfter] seconds
   */
  next(retryAfter = 0) {
    const ceiling = this.#ceiling;
    this.#ceiling = Math.min(this.#longest, 2 * ceiling);
    return retryAfter + this.#random() * ceiling;
  }
}
