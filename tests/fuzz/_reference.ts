/**
 * WIRE.md read a second time, as plainly as can be and without regard to speed, for the fuzzer to hold
 * the codec against. It shares nothing with the codec but the names of its errors.
 */

import type { FrameErrorCode } from "../../codec/mod.ts";

/** What is wrong with an input. */
export class Fault {
  readonly code: FrameErrorCode;
  readonly offset: number;

  constructor(code: FrameErrorCode, offset: number) {
    this.code = code;
    this.offset = offset;
  }
}

/** What `read` gives, or the fault that it throws. */
export function orFault<T>(read: () => T): T | Fault {
  try {
    return read();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

export interface ReferenceName {
  readonly name: string;
  readonly creation: number;
  readonly challenge: string;
  readonly incarnation: string | undefined;
  readonly features: number | undefined;
}

export function referenceRoomBroadcast(bytes: Uint8Array): { room: string; message: string } {
  const fields = new Fields(bytes, 0x1e);
  const room = fields.take(fields.number(2));
  const message = fields.take(fields.number(4));
  fields.end();
  return { room: fields.text(room), message: fields.text(message) };
}

export function referencePeerList(bytes: Uint8Array): string[] {
  const fields = new Fields(bytes, 0x12);
  const names: Span[] = [];
  for (let left = fields.number(2); left > 0; left--) names.push(fields.take(fields.number(2)));
  fields.end();
  return names.map((name) => fields.text(name));
}

/** NAME, or CHALLENGE with `tag` 2, whose challenge is given in hexadecimal. */
export function referenceName(bytes: Uint8Array, tag: 1 | 2): ReferenceName {
  const fields = new Fields(bytes, tag);
  const name = fields.take(fields.number(2));
  const creation = fields.number(1);
  const challenge = fields.hex(fields.take(tag === 2 ? 32 : 0));
  let incarnation: string | undefined;
  let features: number | undefined;
  const rest = bytes.subarray(fields.at);
  if (rest.length > 0) {
    const isExtension = [0x52, 0x43, 0x01].every((byte, i) => i >= rest.length || rest[i] === byte);
    if (!isExtension) throw new Fault("trailing-bytes", fields.at);
    fields.take(3);
    incarnation = fields.hex(fields.take(8));
    features = fields.number(4);
    fields.end();
  }
  return { name: fields.text(name), creation, challenge, incarnation, features };
}

/** REPLY, ACK, PING, PONG and GOODBYE: fields of fixed sizes, given in hexadecimal. */
export function referenceFixed(bytes: Uint8Array, tag: number, sizes: readonly number[]): string[] {
  const fields = new Fields(bytes, tag);
  const values = sizes.map((size) => fields.hex(fields.take(size)));
  fields.end();
  return values;
}

/** A whole stream: its payloads, and where and why it cannot be read any further, if so. */
export function referenceFrames(
  stream: Uint8Array,
  maxLength: number,
): { payloads: Uint8Array[]; fault: Fault | undefined; isWhole: boolean } {
  const payloads: Uint8Array[] = [];
  let at = 0;
  while (at + 4 <= stream.length) {
    const length = littleEndian(stream, at, 4);
    if (length > maxLength) {
      return { payloads, fault: new Fault("frame-too-long", at), isWhole: false };
    }
    if (at + 4 + length > stream.length) break;
    if (length > 0) payloads.push(stream.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { payloads, fault: undefined, isWhole: at === stream.length };
}

export interface Span {
  readonly start: number;
  readonly end: number;
}

export class Fields {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, tag: number) {
    this.#bytes = bytes;
    if (this.number(1) !== tag) throw new Fault("wrong-tag", 0);
  }

  take(size: number): Span {
    if (this.at + size > this.#bytes.length) throw new Fault("truncated", this.#bytes.length);
    this.at += size;
    return { start: this.at - size, end: this.at };
  }

  number(size: number): number {
    return littleEndian(this.#bytes, this.take(size).start, size);
  }

  hex({ start, end }: Span): string {
    return this.#bytes.slice(start, end).toHex();
  }

  text({ start, end }: Span): string {
    const bytes = this.#bytes.slice(start, end);
    const text = decodeStrictly(bytes);
    if (text === undefined) throw new Fault("invalid-utf8", start + validPrefix(bytes));
    return text;
  }

  end(): void {
    if (this.at < this.#bytes.length) throw new Fault("trailing-bytes", this.at);
  }
}

function littleEndian(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value += bytes[at + i] * 256 ** i;
  return value;
}

function decodeStrictly(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.slice());
  } catch {
    return undefined;
  }
}

/** Bytes of whole characters before the first that is none. */
function validPrefix(bytes: Uint8Array): number {
  let at = 0;
  for (;;) {
    const size = [1, 2, 3, 4].find((size) =>
      at + size <= bytes.length && decodeStrictly(bytes.subarray(at, at + size)) !== undefined
    );
    if (size === undefined) return at;
    at += size;
  }
}
