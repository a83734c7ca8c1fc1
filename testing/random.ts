/**
 * Random numbers that a seed determines: sfc32 by Chris Doty-Humphrey, 128 bits of state. For tests
 * only: the seed gives away every secret that is made from it.
 *
 * @example
 * ```ts
 * import { Random } from "@roomcast/roomcast/testing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new Random(7).integer(1, 6), new Random(7).integer(1, 6));
 * ```
 */
export class Random {
  #a: number;
  #b: number;
  #c = 0x9e37_79b9;
  #counter = 1;

  /**
   * Begins the sequence of a seed.
   *
   * @param seed a whole number from 0 to 2⁵³−1.
   * @throws {RangeError} if it is not.
   */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new RangeError(`seed must be a whole number from 0 to 2^53-1, got ${seed}`);
    }
    this.#a = seed | 0;
    this.#b = (seed / 2 ** 32) | 0;
    // Seeds that differ in one bit begin alike. A dozen rounds remove that.
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** A number from 0 up to but not including 1. */
  fraction(): number {
    return this.#next() / 2 ** 32;
  }

  /** A number from `min` up to but not including `max`. */
  between(min: number, max: number): number {
    return min + this.fraction() * (max - min);
  }

  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /**
   * Picks one of `items`.
   *
   * @throws {RangeError} if there are none.
   */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("items must not be empty");
    return items[this.integer(0, items.length - 1)];
  }

  /** `items` in a random order. */
  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.integer(0, i);
      [result[i], result[j]] = [result[j], result[i]];
    }
    return result;
  }

  /** `size` random bytes. */
  bytes(size: number): Uint8Array {
    return Uint8Array.from({ length: size }, () => this.#next() & 0xff);
  }

  /** Another generator, so that what one consumer takes does not change what another gets. */
  fork(): Random {
    return new Random(this.#next() * 2 ** 21 + (this.#next() >>> 11));
  }

  #next(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21 | this.#c >>> 11) + result | 0;
    return result >>> 0;
  }
}
