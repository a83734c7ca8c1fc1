import { checkRange } from "./_check.ts";
import { Reader } from "./_reader.ts";
import { Writer } from "./_writer.ts";
import { MISSED } from "./tags.ts";

/** Largest count in a MISSED, 2³²−1. A sender's count stops there. */
export const MAX_MISSED = 0xffff_ffff;

/**
 * Encodes MISSED: how many broadcasts were meant for the receiver and never queued
 * (`docs/wire.md`). Only for a peer that announced {@linkcode FEATURE_MISSED}.
 *
 * @param count from 0 to {@linkcode MAX_MISSED}.
 * @throws {RangeError} for any other count.
 *
 * @example
 * ```ts
 * import { decodeMissed, encodeMissed } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeMissed(258), Uint8Array.of(0xe4, 2, 1, 0, 0));
 * assertEquals(decodeMissed(encodeMissed(258)), 258);
 * ```
 */
export function encodeMissed(count: number): Uint8Array {
  checkRange("count", count, MAX_MISSED);
  return new Writer(5, MISSED).u32(count).bytes;
}

/**
 * Decodes MISSED and returns the count.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`.
 *
 * @example See {@linkcode encodeMissed}.
 */
export function decodeMissed(bytes: Uint8Array): number {
  const reader = new Reader(bytes, MISSED, "missed");
  const count = reader.u32();
  reader.end();
  return count;
}
