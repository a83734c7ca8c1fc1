/** Inputs by a seed: a valid one with a few changes of the kinds that parsers get wrong, or noise. */

import { concat } from "@std/bytes";
import { FRAME_HEADER_BYTES, writeFrame } from "../../codec/mod.ts";
import type { Random } from "../../testing/mod.ts";

/** No input is longer: what is wrong with a longer one is wrong with a shorter one as well. */
const MAX_INPUT_BYTES = 8192;
const MAX_NOISE_BYTES = 80;
/** Most lengths and tags are here. */
const HEAD_BYTES = 16;
const MAX_EDITS = 4;

const NOISE_SHARE = 0.05;
const FRAMES_SHARE = 0.6;
const HEAD_SHARE = 0.4;
const NEXT_EDIT_SHARE = 0.5;

/** Where numbers and characters change their length, their sign or their meaning. */
const EDGES = [
  ...[0, 1, 2, 0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff, 0x100, 0x7fff, 0x8000],
  ...[0xffff, 0x1_0000, 512, 513, 4095, 4096, 4097, 0xff_ffff, 0x7fff_ffff, 0x8000_0000],
  0xffff_ffff,
];

/** What inputs are made of. */
export interface Material {
  readonly bases: readonly Uint8Array[];
  /** See `Target.framesFrom`. */
  readonly framesFrom?: number;
}

/** The next input. */
export function makeInput(random: Random, { bases, framesFrom }: Material): Uint8Array {
  if (random.chance(NOISE_SHARE)) return random.bytes(random.integer(0, MAX_NOISE_BYTES));
  let input = random.pick(bases);
  for (let edits = 0; edits < MAX_EDITS; edits++) {
    input = framesFrom !== undefined && random.chance(FRAMES_SHARE)
      ? mutateFrames(random, input, random.pick(bases), framesFrom)
      : mutate(random, input, random.pick(bases));
    if (!random.chance(NEXT_EDIT_SHARE)) break;
  }
  return input.subarray(0, MAX_INPUT_BYTES);
}

/** `bytes` with one change; `other` is what is crossed with them. */
export function mutate(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const at = position(random, bytes.length);
  const end = random.integer(at, Math.min(bytes.length, at + random.pick([1, 2, 4, 8, 64, 4096])));
  const before = bytes.subarray(0, at);
  const piece = bytes.subarray(at, end);
  const after = bytes.subarray(end);
  switch (random.integer(0, 9)) {
    case 0:
      return overwritten(bytes, at, [(bytes[at] ?? 0) ^ 1 << random.integer(0, 7)]);
    case 1:
      return overwritten(bytes, at, [random.pick(EDGES)]);
    case 2:
      return overwritten(bytes, at, littleEndian(random.pick([2, 4]), number(random, bytes, at)));
    case 3:
      return overwritten(bytes, at, random.bytes(random.integer(1, 4)));
    case 4:
      return concat([before, after]);
    case 5:
      return concat([before, piece, piece, after]);
    case 6:
      return concat([before, random.bytes(random.integer(1, 4)), bytes.subarray(at)]);
    case 7:
      return bytes.slice(0, at);
    case 8: {
      const from = position(random, other.length);
      return concat([before, other.subarray(from)]);
    }
    default: {
      const from = position(random, other.length);
      return concat([before, other.subarray(from, from + piece.length), after]);
    }
  }
}

/**
 * A stream of frames with one change that leaves it one: a frame is left out, doubled, taken from
 * another stream or changed inside, its length made to fit.
 */
export function mutateFrames(
  random: Random,
  bytes: Uint8Array,
  other: Uint8Array,
  from: number,
): Uint8Array {
  const frames = splitFrames(bytes.subarray(from));
  const others = splitFrames(other.subarray(from));
  const at = random.integer(0, frames.length);
  const frame = frames[at] ?? new Uint8Array();
  const foreign = others.length > 0 ? random.pick(others) : frame;
  switch (random.integer(0, 5)) {
    case 0:
      frames.splice(at, 1);
      break;
    case 1:
      frames.splice(random.integer(0, frames.length), 0, frame);
      break;
    case 2:
      frames.splice(at, 0, foreign);
      break;
    case 3:
      frames.splice(at, 1, foreign);
      break;
    default:
      frames.splice(at, 1, mutate(random, frame, foreign));
  }
  return concat([bytes.subarray(0, from), ...frames.map(framed)]);
}

/** The payloads of a stream; what is cut short or too long at its end is a payload as well. */
export function splitFrames(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + FRAME_HEADER_BYTES <= bytes.length;) {
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0, true);
    at += FRAME_HEADER_BYTES;
    frames.push(bytes.subarray(at, at + length));
    at += length;
  }
  return frames;
}

function framed(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  writeFrame(payload, frame, 0);
  return frame;
}

function position(random: Random, length: number): number {
  return random.integer(0, random.chance(HEAD_SHARE) ? Math.min(HEAD_BYTES, length) : length);
}

/** One that may be a length: of what follows, or nearly so, or an edge. */
function number(random: Random, bytes: Uint8Array, at: number): number {
  if (random.chance(0.5)) return random.pick(EDGES);
  return Math.max(0, bytes.length - at - random.pick([0, 2, 4, 6]) + random.integer(-1, 1));
}

function littleEndian(size: number, value: number): number[] {
  return Array.from({ length: size }, (_, i) => Math.floor(value / 2 ** (8 * i)));
}

function overwritten(bytes: Uint8Array, at: number, values: ArrayLike<number>): Uint8Array {
  const result = bytes.slice();
  for (let i = 0; i < values.length && at + i < result.length; i++) result[at + i] = values[i];
  return result;
}
