/**
 * Frames of the WebSocket protocol (RFC 6455, section 5), laid out as follows. All integers are
 * big-endian, unlike those between nodes.
 *
 * ```text
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-+-+-+-+-------+-+-------------+-------------------------------+
 *  |F|R|R|R| opcode|M| length      | 126: length in 16 bits        |
 *  |I|S|S|S|       |A|             | 127: length in 64 bits        |
 *  |N|V|V|V|       |S|  0 to 125   | (the shortest form that fits) |
 *  | |1|2|3|       |K|             |                               |
 *  +-+-+-+-+-------+-+-------------+-------------------------------+
 *  | 4 bytes of masking key, if MASK is set | payload              |
 *  +----------------------------------------+----------------------+
 * ```
 *
 * A client masks every frame, a server never does.
 */

import { readText } from "./_text.ts";
import { FrameError } from "./frame_error.ts";

/** What a frame carries (RFC 6455, section 5.2). Numbers that are not listed are reserved. */
export const OPCODE = {
  /** A further part of a message that an earlier frame began. */
  CONTINUATION: 0x0,
  /** A text message, or its first part. */
  TEXT: 0x1,
  /** A binary message, or its first part. */
  BINARY: 0x2,
  /** The last frame of its sender. */
  CLOSE: 0x8,
  /** Asks for a pong with the same payload. */
  PING: 0x9,
  /** Answers a ping, or says that its sender is alive. */
  PONG: 0xa,
} as const;

/** Largest payload of a close, ping or pong frame, in bytes. */
export const MAX_CONTROL_BYTES = 125;

/** Largest reason in a close frame, in bytes of UTF-8. */
export const MAX_CLOSE_REASON_BYTES: number = MAX_CONTROL_BYTES - 2;

/** Largest header of a frame: two bytes, a 64-bit length and a masking key. */
export const MAX_WEBSOCKET_HEADER_BYTES = 14;

const FIN = 0x80;
const RSV1 = 0x40;
const MASK = 0x80;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MAX_U16 = 0xffff;

/** Up to this many UTF-16 units, a loop is faster than the platform's encoder. */
const SHORT_TEXT = 48;

/** From this many bytes on, masking four at a time is faster. */
const MASK_WORDS_FROM = 48;

const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;
const encoder = new TextEncoder();

/** The decoded header of a frame. */
export interface WebSocketHeader {
  /** True for the last frame of a message. */
  readonly fin: boolean;
  /** The three reserved bits; RSV1 is 4. */
  readonly rsv: number;
  /** One of {@linkcode OPCODE}, or a reserved number up to 15. */
  readonly opcode: number;
  /** True if a masking key follows. */
  readonly masked: boolean;
  /** Bytes of payload; `Infinity` for 2⁵³ and more. */
  readonly length: number;
  /** The masking key as {@linkcode applyMask} takes it; 0 if there is none. */
  readonly key: number;
  /** Bytes of the header itself, 2 to 14. */
  readonly size: number;
}

/**
 * Reads the header at `at`; undefined if the bytes end before it does. The caller decides whether
 * such a frame is allowed.
 *
 * @throws {FrameError} `bad-length` if the length is not in the shortest form, or has its highest
 * bit set (RFC 6455, section 5.2).
 *
 * @example
 * ```ts
 * import { OPCODE, readWebSocketHeader } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const header = readWebSocketHeader(Uint8Array.of(0x81, 0x05, 0x68), 0);
 * assertEquals([header?.opcode, header?.length, header?.size], [OPCODE.TEXT, 5, 2]);
 * assertEquals(readWebSocketHeader(Uint8Array.of(0x81), 0), undefined);
 * ```
 */
export function readWebSocketHeader(bytes: Uint8Array, at: number): WebSocketHeader | undefined {
  if (at + 2 > bytes.length) return undefined;
  const first = bytes[at];
  const second = bytes[at + 1];
  const masked = (second & MASK) !== 0;
  let length = second & ~MASK;
  let size = 2;
  if (length === LENGTH_16) {
    size = 4;
    if (at + size > bytes.length) return undefined;
    length = bytes[at + 2] << 8 | bytes[at + 3];
    if (length < LENGTH_16) throw badLength(at, `${length} in 16 bits, although it fits in 7`);
  } else if (length === LENGTH_64) {
    size = 10;
    if (at + size > bytes.length) return undefined;
    const high = readU32(bytes, at + 2);
    length = high * 2 ** 32 + readU32(bytes, at + 6);
    if (high > 0x7fff_ffff) throw badLength(at, "with its highest bit set");
    if (length <= MAX_U16) throw badLength(at, `${length} in 64 bits, although it fits in 16`);
    if (length > Number.MAX_SAFE_INTEGER) length = Infinity;
  }
  let key = 0;
  if (masked) {
    key = at + size + 4 > bytes.length ? 0 : readKey(bytes, at + size);
    size += 4;
    if (at + size > bytes.length) return undefined;
  }
  return {
    fin: (first & FIN) !== 0,
    rsv: first >> 4 & 7,
    opcode: first & 0x0f,
    masked,
    length,
    key,
    size,
  };
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]) >>> 0;
}

/** Lowest byte first, so that the key shifts to the right as the payload is masked. */
function readKey(bytes: Uint8Array, at: number): number {
  return (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0;
}

function badLength(at: number, what: string): FrameError {
  return new FrameError("bad-length", at, `frame gives its length as ${what}`);
}

/**
 * Masks `bytes[start, end)` in place, or unmasks it, which is the same operation. The lowest byte
 * of `key` is the first byte of the masking key; `phase` is how many bytes of the payload came
 * before `start`.
 *
 * @example
 * ```ts
 * import { applyMask } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = Uint8Array.of(1, 2, 3);
 * applyMask(bytes, 0, 3, 0x04030201);
 * assertEquals(bytes, Uint8Array.of(0, 0, 0));
 * ```
 */
export function applyMask(
  bytes: Uint8Array,
  start: number,
  end: number,
  key: number,
  phase = 0,
): void {
  const turned = 8 * (phase & 3);
  let mask = turned === 0 ? key : key >>> turned | key << 32 - turned;
  let at = start;
  if (isLittleEndian && end - start >= MASK_WORDS_FROM) {
    for (; (bytes.byteOffset + at) % 4 !== 0; at++) {
      bytes[at] ^= mask;
      mask = mask >>> 8 | mask << 24;
    }
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, end - at >> 2);
    for (let i = 0; i < words.length; i++) words[i] ^= mask;
    at += 4 * words.length;
  }
  for (; at < end; at++) {
    bytes[at] ^= mask;
    mask = mask >>> 8 | mask << 24;
  }
}

/** Bytes of the header of a server's frame with a payload of `length` bytes: 2, 4 or 10. */
export function webSocketHeaderBytes(length: number): number {
  return length < LENGTH_16 ? 2 : length <= MAX_U16 ? 4 : 10;
}

/**
 * Writes the header of a server's frame at `at`, and returns the offset after it. The caller makes
 * sure that there is room for {@linkcode webSocketHeaderBytes}. The frame is the only one of its
 * message. `compressed` sets RSV1 (RFC 7692).
 *
 * @example
 * ```ts
 * import { OPCODE, writeWebSocketHeader } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const target = new Uint8Array(4);
 * assertEquals(writeWebSocketHeader(target, 0, OPCODE.BINARY, 300), 4);
 * assertEquals(target, Uint8Array.of(0x82, 126, 1, 44));
 * ```
 */
export function writeWebSocketHeader(
  target: Uint8Array,
  at: number,
  opcode: number,
  length: number,
  compressed = false,
): number {
  target[at] = FIN | (compressed ? RSV1 : 0) | opcode;
  if (length < LENGTH_16) {
    target[at + 1] = length;
    return at + 2;
  }
  if (length <= MAX_U16) {
    target[at + 1] = LENGTH_16;
    target[at + 2] = length >> 8;
    target[at + 3] = length;
    return at + 4;
  }
  target[at + 1] = LENGTH_64;
  writeU32(target, at + 2, length / 2 ** 32);
  writeU32(target, at + 6, length);
  return at + 10;
}

function writeU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

/**
 * Makes a server's frame: a whole message, or a control frame.
 *
 * @example
 * ```ts
 * import { encodeWebSocketFrame, OPCODE } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeWebSocketFrame(OPCODE.BINARY, Uint8Array.of(7)), Uint8Array.of(0x82, 1, 7));
 * ```
 */
export function encodeWebSocketFrame(
  opcode: number,
  payload: Uint8Array,
  compressed = false,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(webSocketHeaderBytes(payload.length) + payload.length);
  frame.set(payload, writeWebSocketHeader(frame, 0, opcode, payload.length, compressed));
  return frame;
}

/**
 * Makes a server's text frame. A lone surrogate becomes U+FFFD, as in the web's `WebSocket.send`.
 *
 * @example
 * ```ts
 * import { encodeWebSocketText } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeWebSocketText("hi"), Uint8Array.of(0x81, 2, 0x68, 0x69));
 * ```
 */
export function encodeWebSocketText(text: string): Uint8Array<ArrayBuffer> {
  if (text.length > SHORT_TEXT) return encodeWebSocketFrame(OPCODE.TEXT, encoder.encode(text));
  const frame = new Uint8Array(2 + text.length);
  frame[0] = FIN | OPCODE.TEXT;
  frame[1] = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return encodeWebSocketFrame(OPCODE.TEXT, encoder.encode(text));
    frame[2 + i] = unit;
  }
  return frame;
}

/** The decoded payload of a close frame. */
export interface WebSocketClose {
  /** Why, as a number (RFC 6455, section 7.4); undefined if the frame gave none. */
  readonly code: number | undefined;
  /** Why, for people; empty if the frame gave none. */
  readonly reason: string;
}

/**
 * True for a code that a close frame may carry: 1000 to 1003, 1007 to 1014 and 3000 to 4999. 1005,
 * 1006 and 1015 are never sent: they stand for a code that did not arrive.
 *
 * @example
 * ```ts
 * import { isWebSocketCloseCode } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([1000, 1006, 4000].map(isWebSocketCloseCode), [true, false, true]);
 * ```
 */
export function isWebSocketCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 ||
    code >= 3000 && code <= 4999;
}

/**
 * Makes the payload of a close frame. A lone surrogate in the reason becomes U+FFFD.
 *
 * @throws {FrameError} `bad-close-code`, see {@linkcode isWebSocketCloseCode}; `reason-too-long`
 * above 123 bytes of UTF-8.
 *
 * @example
 * ```ts
 * import { encodeWebSocketClose } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeWebSocketClose(1000, "ok"), Uint8Array.of(0x03, 0xe8, 0x6f, 0x6b));
 * ```
 */
export function encodeWebSocketClose(code: number, reason = ""): Uint8Array<ArrayBuffer> {
  if (!isWebSocketCloseCode(code)) throw badCloseCode(code);
  const text = encoder.encode(reason);
  if (text.length > MAX_CLOSE_REASON_BYTES) {
    throw new FrameError(
      "reason-too-long",
      2,
      `reason has ${text.length} bytes of UTF-8, at most ${MAX_CLOSE_REASON_BYTES} are allowed`,
    );
  }
  const payload = new Uint8Array(2 + text.length);
  payload[0] = code >> 8;
  payload[1] = code;
  payload.set(text, 2);
  return payload;
}

/**
 * Reads the payload of a close frame.
 *
 * @throws {FrameError} `truncated` if it has one byte, `bad-close-code` or `invalid-utf8`, with the
 * offset in the payload.
 *
 * @example
 * ```ts
 * import { decodeWebSocketClose } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(decodeWebSocketClose(Uint8Array.of(0x0f, 0xa0)), { code: 4000, reason: "" });
 * assertEquals(decodeWebSocketClose(new Uint8Array()), { code: undefined, reason: "" });
 * ```
 */
export function decodeWebSocketClose(payload: Uint8Array): WebSocketClose {
  if (payload.length === 0) return { code: undefined, reason: "" };
  if (payload.length === 1) {
    throw new FrameError("truncated", 1, "close frame has one byte, its code needs two");
  }
  const code = payload[0] << 8 | payload[1];
  if (!isWebSocketCloseCode(code)) throw badCloseCode(code);
  return { code, reason: readText(payload, 2, payload.length) };
}

function badCloseCode(code: number): FrameError {
  return new FrameError(
    "bad-close-code",
    0,
    `close code must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, got ${code}`,
  );
}

/**
 * Decodes the payload of a text message, strictly; a byte order mark stays.
 *
 * @throws {FrameError} `invalid-utf8`, with the offset in the payload.
 *
 * @example
 * ```ts
 * import { decodeWebSocketText } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(decodeWebSocketText(Uint8Array.of(0x68, 0x69)), "hi");
 * ```
 */
export function decodeWebSocketText(payload: Uint8Array): string {
  return readText(payload, 0, payload.length);
}
