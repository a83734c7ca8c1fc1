/**
 * Strict UTF-8 that arrives in pieces. Each piece is checked as it arrives, so an invalid text is
 * refused before the rest of it has arrived.
 */

/**
 * Checks text in pieces of any size. It reports an invalid text at the first byte that no valid
 * text could have there. Overlong forms, surrogates and code points above U+10FFFF are invalid
 * (table 3-7 of the Unicode Standard). Do not use the validator after an error.
 *
 * @example
 * ```ts
 * import { Utf8Validator } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const validator = new Utf8Validator();
 * assertEquals(validator.push(Uint8Array.of(0x61, 0xe2, 0x82)), true);
 * assertEquals(validator.isComplete, false); // in the middle of "€"
 * assertEquals(validator.push(Uint8Array.of(0x41)), false);
 * ```
 */
export class Utf8Validator {
  /** Bytes that the current character still needs. */
  #missing = 0;
  /** The next of these bytes must be from `#low` to `#high`. */
  #low = 0x80;
  #high = 0xbf;

  /** True if the text so far does not end in the middle of a character. */
  get isComplete(): boolean {
    return this.#missing === 0;
  }

  /** Takes the next piece, `bytes[start, end)`. Returns false if no valid text begins like this. */
  push(bytes: Uint8Array, start = 0, end: number = bytes.length): boolean {
    let missing = this.#missing;
    let low = this.#low;
    let high = this.#high;
    let at = start;
    while (at < end) {
      const byte = bytes[at++];
      if (missing > 0) {
        if (byte < low || byte > high) return false;
        missing--;
        low = 0x80;
        high = 0xbf;
      } else if (byte < 0x80) {
        // Most text is mostly ASCII.
        while (
          at + 4 <= end && (bytes[at] | bytes[at + 1] | bytes[at + 2] | bytes[at + 3]) < 0x80
        ) at += 4;
      } else if (byte >= 0xc2 && byte <= 0xdf) {
        missing = 1;
      } else if (byte >= 0xe0 && byte <= 0xef) {
        missing = 2;
        if (byte === 0xe0) low = 0xa0;
        else if (byte === 0xed) high = 0x9f;
      } else if (byte >= 0xf0 && byte <= 0xf4) {
        missing = 3;
        if (byte === 0xf0) low = 0x90;
        else if (byte === 0xf4) high = 0x8f;
      } else {
        return false;
      }
    }
    this.#missing = missing;
    this.#low = low;
    this.#high = high;
    return true;
  }
}
