import { readText } from "./_text.ts";
import { FrameError } from "./frame_error.ts";

/**
 * A cursor over one message. It checks every read, and that nothing is left at the end. Numbers are
 * little-endian.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #message: string;
  #at = 0;

  /** Checks the tag, and begins after it. Errors call the message `message`. */
  constructor(bytes: Uint8Array, tag: number, message: string) {
    this.#bytes = bytes;
    this.#message = message;
    const found = this.u8();
    if (found === tag) return;
    throw new FrameError("wrong-tag", 0, `${message} must begin with tag ${tag}, got ${found}`);
  }

  /** True if every byte has been read. */
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Where the next byte is read. */
  get offset(): number {
    return this.#at;
  }

  u8(): number {
    return this.#bytes[this.#advance(1)];
  }

  u16(): number {
    const at = this.#advance(2);
    return this.#bytes[at] | this.#bytes[at + 1] << 8;
  }

  u32(): number {
    return (this.u16() | this.u16() << 16) >>> 0;
  }

  /** A copy of the next `size` bytes. */
  copy(size: number): Uint8Array {
    const at = this.#advance(size);
    // Not slice(): streams of node: modules hand out a Buffer, whose slice() does not copy.
    return new Uint8Array(this.#bytes.subarray(at, at + size));
  }

  /** Skips a text with a `u16` length before it, and checks only that length. */
  skipText16(): TextSpan {
    const size = this.u16();
    const start = this.#advance(size);
    return { start, end: start + size };
  }

  /** Skips a text with a `u8` length before it, and checks only that length. */
  skipText8(): TextSpan {
    const size = this.u8();
    const start = this.#advance(size);
    return { start, end: start + size };
  }

  /** Decodes a text that {@linkcode skipText16} or {@linkcode skipText8} has skipped. */
  text({ start, end }: TextSpan): string {
    return readText(this.#bytes, start, end);
  }

  /** True if the remaining bytes begin with `expected`, or end before they differ from it. */
  continuesLike(expected: Uint8Array): boolean {
    const left = this.#bytes.subarray(this.#at, this.#at + expected.length);
    return left.every((byte, i) => byte === expected[i]);
  }

  /** Checks that the message ends here. */
  end(): void {
    if (this.done) return;
    const extra = this.#bytes.length - this.#at;
    throw new FrameError(
      "trailing-bytes",
      this.#at,
      `${this.#message} ends at offset ${this.#at}, but ${extra} more bytes follow`,
    );
  }

  #advance(size: number): number {
    const at = this.#at;
    if (at + size > this.#bytes.length) {
      throw new FrameError(
        "truncated",
        this.#bytes.length,
        `${this.#message} ends at offset ${this.#bytes.length}, ${at + size} bytes are needed`,
      );
    }
    this.#at = at + size;
    return at;
  }
}

/** Where a text lies in the message being read. */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
}
