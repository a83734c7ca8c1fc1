import { checkWellFormed, utf8Length, writeText } from "./_text.ts";
import { FrameError } from "./frame_error.ts";

/** Bytes that a text takes, with the `u16` length before it. */
export function text16Length(text: string, what: string): number {
  checkWellFormed(text);
  const size = utf8Length(text);
  if (size > 0xffff) {
    throw new FrameError("frame-too-long", 0, `${what} has ${size} bytes, at most 65535 fit`);
  }
  return 2 + size;
}

/** Writes a message, field by field, into memory of exactly its size. Numbers are little-endian. */
export class Writer {
  /** The message. It is complete once every field is written. */
  readonly bytes: Uint8Array;
  #at = 0;

  /** Begins a message of `size` bytes with its tag. */
  constructor(size: number, tag: number) {
    this.bytes = new Uint8Array(size);
    this.u8(tag);
  }

  u8(value: number): this {
    this.bytes[this.#at++] = value;
    return this;
  }

  u16(value: number): this {
    return this.u8(value).u8(value >> 8);
  }

  u32(value: number): this {
    return this.u16(value).u16(value >>> 16);
  }

  copy(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  /** Writes a text with a `u8` length before it. The caller has checked that it fits. */
  text8(text: string): this {
    const start = this.#at + 1;
    const end = writeText(text, this.bytes, start);
    this.u8(end - start);
    this.#at = end;
    return this;
  }

  /** Writes a text with a `u16` length before it. The caller has checked that it fits. */
  text16(text: string): this {
    const start = this.#at + 2;
    const end = writeText(text, this.bytes, start);
    this.u16(end - start);
    this.#at = end;
    return this;
  }
}
