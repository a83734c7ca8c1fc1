/**
 * Encodes and decodes strict UTF-8, at the speed of the platform's lenient calls.
 *
 * A call of `TextEncoder` or `TextDecoder` costs over 100 ns, however short the text is, and
 * decoding with `fatal` costs several times that. So loops handle short texts. Long texts go
 * through a lenient platform call and a check that costs next to nothing (`bench/codec_bench.ts`
 * shows both).
 */

import { FrameError } from "./frame_error.ts";

/**
 * Up to this length the loops below beat the platform's calls: UTF-16 units to encode, bytes to
 * decode.
 */
const SHORT = 48;

const REPLACEMENT_CHARACTER = "\uFFFD";

// Both are stateless, because no call streams.
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Writes `text` at `at` and returns the offset after it. An offset beyond `target.length` means
 * that the target is too small, and its contents are undefined.
 */
export function writeText(text: string, target: Uint8Array, at: number): number {
  if (text.length <= SHORT) return writeShortText(text, target, at);
  const { read, written } = encoder.encodeInto(text, target.subarray(at));
  // As many bytes as units: the text is ASCII, and needs no check.
  if (written !== text.length || read !== written) checkWellFormed(text);
  return read === text.length ? at + written : Infinity;
}

function writeShortText(text: string, target: Uint8Array, at: number): number {
  // Writes beyond the end of a typed array do nothing. The caller sees the offset and refuses.
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      target[at++] = unit;
    } else if (unit < 0x800) {
      target[at++] = 0xc0 | unit >> 6;
      target[at++] = 0x80 | unit & 0x3f;
    } else if (unit < 0xd800 || unit > 0xdfff) {
      target[at++] = 0xe0 | unit >> 12;
      target[at++] = 0x80 | unit >> 6 & 0x3f;
      target[at++] = 0x80 | unit & 0x3f;
    } else {
      const low = text.charCodeAt(i + 1); // NaN at the end, which is no low surrogate.
      if (unit > 0xdbff || (low & 0xfc00) !== 0xdc00) throw loneSurrogate(i);
      const point = 0x10000 + ((unit & 0x3ff) << 10 | low & 0x3ff);
      i++;
      target[at++] = 0xf0 | point >> 18;
      target[at++] = 0x80 | point >> 12 & 0x3f;
      target[at++] = 0x80 | point >> 6 & 0x3f;
      target[at++] = 0x80 | point & 0x3f;
    }
  }
  return at;
}

/** Refuses a string with a lone surrogate: encoding it would silently change it to U+FFFD. */
export function checkWellFormed(text: string): void {
  if (text.isWellFormed()) return;
  // With the `u` flag, the class matches only surrogates that are not half of a pair.
  throw loneSurrogate(text.search(/\p{Surrogate}/u));
}

function loneSurrogate(index: number): FrameError {
  return new FrameError(
    "ill-formed-text",
    index,
    `text has a lone surrogate at index ${index}, which UTF-8 cannot express`,
  );
}

/** How many bytes of UTF-8 a well-formed `text` takes. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair accounts for two of the pair's four bytes.
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff)) bytes += 2;
    else bytes += 3;
  }
  return bytes;
}

/** Decodes `bytes[start, end)`. The offset of an error counts from the start of `bytes`. */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= SHORT) return readShortText(bytes, start, end);
  const text = decoder.decode(bytes.subarray(start, end));
  // The lenient call marks each fault with U+FFFD, but the sender may also have sent U+FFFD.
  if (text.includes(REPLACEMENT_CHARACTER)) checkUtf8(bytes, start, end);
  return text;
}

function readShortText(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const a = bytes[at], b = bytes[at + 1], c = bytes[at + 2], d = bytes[at + 3];
    const e = bytes[at + 4], f = bytes[at + 5], g = bytes[at + 6], h = bytes[at + 7];
    if ((a | b | c | d | e | f | g | h) > 0x7f) break;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  while (at < end) {
    const size = sequenceLength(bytes, at, end);
    if (size === 1) text += String.fromCharCode(bytes[at]);
    else if (size === 2) text += String.fromCharCode((bytes[at] & 0x1f) << 6 | tail(bytes, at + 1));
    else if (size === 3) {
      text += String.fromCharCode(
        (bytes[at] & 0x0f) << 12 | tail(bytes, at + 1) << 6 | tail(bytes, at + 2),
      );
    } else if (size === 4) {
      text += String.fromCodePoint(
        (bytes[at] & 0x07) << 18 | tail(bytes, at + 1) << 12 | tail(bytes, at + 2) << 6 |
          tail(bytes, at + 3),
      );
    } else throw invalidUtf8(bytes, at);
    at += size;
  }
  return text;
}

function tail(bytes: Uint8Array, at: number): number {
  return bytes[at] & 0x3f;
}

/** Refuses `bytes[start, end)` unless they are UTF-8. */
export function checkUtf8(bytes: Uint8Array, start: number, end: number): void {
  let at = start;
  while (at < end) {
    // Most text is ASCII, or has long runs of it.
    while (at + 8 <= end && isAscii8(bytes, at)) at += 8;
    if (at >= end) return;
    const size = sequenceLength(bytes, at, end);
    if (size === 0) throw invalidUtf8(bytes, at);
    at += size;
  }
}

function isAscii8(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at] | bytes[at + 1] | bytes[at + 2] | bytes[at + 3];
  return (first | bytes[at + 4] | bytes[at + 5] | bytes[at + 6] | bytes[at + 7]) < 0x80;
}

/**
 * How many bytes the well-formed sequence at `at` has; 0 if there is none. It follows table 3-7 of
 * the Unicode Standard: the range of the second byte excludes overlong forms, surrogates and code
 * points above U+10FFFF.
 */
function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at];
  if (lead < 0x80) return 1;
  const size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (size === 0 || at + size > end) return 0;
  const second = bytes[at + 1];
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let i = at + 2; i < at + size; i++) {
    if (bytes[i] < 0x80 || bytes[i] > 0xbf) return 0;
  }
  return size;
}

function invalidUtf8(bytes: Uint8Array, at: number): FrameError {
  const byte = bytes[at].toString(16).padStart(2, "0");
  return new FrameError(
    "invalid-utf8",
    at,
    `byte 0x${byte} at offset ${at} does not begin a valid UTF-8 sequence`,
  );
}
