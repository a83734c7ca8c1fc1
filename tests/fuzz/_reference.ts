/**
 * docs/wire.md read a second time, as plainly as can be and without regard to speed, for the fuzzer to
 * hold the codec against. It shares nothing with the codec but the names of its errors.
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

/** A ROOM_MESSAGE, with a binary message in hexadecimal. */
export function referenceRoomMessage(
  bytes: Uint8Array,
): { rooms: string[]; except: string[]; text?: string; hex?: string } {
  const fields = new Fields(bytes, 0xe2);
  const flags = fields.number(1);
  if (flags > 1) throw new Fault("unknown-flags", 1);
  const rooms = fields.spans(fields.number(2));
  const except = fields.spans(fields.number(2));
  const message = fields.take(fields.number(4));
  fields.end();
  if (rooms.length === 0) throw new Fault("no-target", 2);
  const names = {
    rooms: rooms.map((room) => fields.text(room)),
    except: except.map((room) => fields.text(room)),
  };
  return flags === 1
    ? { ...names, hex: fields.hex(message) }
    : { ...names, text: fields.text(message) };
}

export function referenceRoomClose(
  bytes: Uint8Array,
): { room: string; code: number; reason: string } {
  const fields = new Fields(bytes, 0xe5);
  const room = fields.take(fields.number(2));
  const codeAt = fields.at;
  const code = fields.number(2);
  const reasonAt = fields.at;
  const reason = fields.take(fields.number(1));
  fields.end();
  const isKnown = [1000, 1001, 1003].includes(code) || 1007 <= code && code <= 1014 ||
    3000 <= code && code <= 4999;
  if (!isKnown) throw new Fault("bad-close-code", codeAt);
  if (reason.end - reason.start > 123) throw new Fault("reason-too-long", reasonAt);
  return { room: fields.text(room), code, reason: fields.text(reason) };
}

export function referenceRoomInterest(bytes: Uint8Array): { op: string; rooms: string[] } {
  const fields = new Fields(bytes, 0xe3);
  const op = ["everything", "only", "add", "remove"].at(fields.number(1)) ?? "";
  if (op === "") throw new Fault("unknown-op", 1);
  if (op === "everything") fields.end();
  const rooms: Span[] = [];
  while (fields.at < bytes.length) {
    if (rooms.length > 0 && bytes.length > 65_536) throw new Fault("frame-too-long", 65_536);
    rooms.push(...fields.spans(1));
  }
  return { op, rooms: rooms.map((room) => fields.text(room)) };
}

export function referenceMissed(bytes: Uint8Array): number {
  const fields = new Fields(bytes, 0xe4);
  const count = fields.number(4);
  fields.end();
  return count;
}

export function referencePeerList(bytes: Uint8Array): string[] {
  const fields = new Fields(bytes, 0x12);
  const names = fields.spans(fields.number(2));
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

  /** So many texts, each with a `u16` length before it. */
  spans(count: number): Span[] {
    const spans: Span[] = [];
    while (spans.length < count) spans.push(this.take(this.number(2)));
    return spans;
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
