/**
 * ROOM_INTEREST: which broadcasts a node wants from its peer (`docs/wire.md`):
 *
 * ```text
 * | 0xE3 | op: u8 | (u16 length, room), to the end |
 * ```
 */

import { Reader } from "./_reader.ts";
import { roomNameLength, U16_BYTES } from "./_room_name.ts";
import { Writer } from "./_writer.ts";
import { FrameError } from "./frame_error.ts";
import { ROOM_INTEREST } from "./tags.ts";

/**
 * Largest ROOM_INTEREST with more than one name, in bytes. A single name always fits: it has up to
 * 65,535 bytes, so the message has up to 65,539.
 */
export const MAX_ROOM_INTEREST_BYTES: number = 64 * 1024;

const OP_START = 1;
const ROOMS_START = 2;

/**
 * What a ROOM_INTEREST does to the state of its link, which is a flag *everything* and a set of
 * names:
 *
 * | op | byte | flag | names |
 * | --- | --- | --- | --- |
 * | `"everything"` | 0 | set | cleared; the message carries none |
 * | `"only"` | 1 | cleared | the names in the message are added |
 * | `"add"` | 2 | stays | the names in the message are added |
 * | `"remove"` | 3 | stays | the names in the message are removed |
 */
export type RoomInterestOp = "everything" | "only" | "add" | "remove";

/** The byte of an op is its index. */
const OPS: readonly RoomInterestOp[] = ["everything", "only", "add", "remove"];

/** One announcement. */
export interface RoomInterest {
  /** What it does. */
  readonly op: RoomInterestOp;
  /** The names that it applies to: none for `"everything"`, any number for the others. */
  readonly rooms: readonly string[];
}

/**
 * Encodes one ROOM_INTEREST. Only for a peer that announced {@linkcode FEATURE_ROOM_INTEREST}. For
 * a list of any length see {@linkcode encodeRoomInterests}.
 *
 * @throws {FrameError} `ill-formed-text`, `room-too-long` for a name above 65,535 bytes,
 * `frame-too-long` for several names in a message above {@linkcode MAX_ROOM_INTEREST_BYTES}.
 * @throws {RangeError} for `"everything"` with names.
 *
 * @example
 * ```ts
 * import { decodeRoomInterest, encodeRoomInterest } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodeRoomInterest({ op: "add", rooms: ["a", "bc"] });
 * assertEquals(bytes, Uint8Array.of(0xe3, 2, 1, 0, 0x61, 2, 0, 0x62, 0x63));
 * assertEquals(decodeRoomInterest(bytes), { op: "add", rooms: ["a", "bc"] });
 * ```
 */
export function encodeRoomInterest({ op, rooms }: RoomInterest): Uint8Array {
  if (op === "everything" && rooms.length > 0) {
    throw new RangeError(`"everything" carries no names, got ${rooms.length}`);
  }
  let size = ROOMS_START;
  for (const room of rooms) size += roomNameLength(room, size + U16_BYTES);
  if (size > MAX_ROOM_INTEREST_BYTES && rooms.length > 1) throw tooLong(size);
  return encode(op, rooms, size);
}

/**
 * Encodes a list of names of any length as one or more messages, lazily. A long `"only"` becomes
 * `"add"` messages and a last `"only"`, so that nothing is missed in between. An empty list is one
 * message for `"only"`, and none for the others.
 *
 * @throws {FrameError} `ill-formed-text`, `room-too-long`, when the iteration reaches such a name.
 *
 * @example
 * ```ts
 * import { decodeRoomInterest, encodeRoomInterests } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const rooms = Array.from({ length: 20_000 }, (_, i) => `room ${i}`);
 * const messages = [...encodeRoomInterests("only", rooms)].map(decodeRoomInterest);
 * assertEquals(messages.map(({ op }) => op), ["add", "add", "add", "only"]);
 * assertEquals(messages.flatMap(({ rooms }) => rooms), rooms);
 * ```
 */
export function* encodeRoomInterests(
  op: "only" | "add" | "remove",
  rooms: Iterable<string>,
): Generator<Uint8Array, void, undefined> {
  let part: string[] = [];
  let size = ROOMS_START;
  for (const room of rooms) {
    const length = roomNameLength(room, size + U16_BYTES);
    if (part.length > 0 && size + length > MAX_ROOM_INTEREST_BYTES) {
      yield encode(op === "only" ? "add" : op, part, size);
      part = [];
      size = ROOMS_START;
    }
    part.push(room);
    size += length;
  }
  if (part.length > 0 || op === "only") yield encode(op, part, size);
}

/**
 * Decodes a ROOM_INTEREST. `bytes` must be the message and nothing else.
 *
 * Checked in this order: the tag, the op, all lengths, the texts.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `unknown-op`, `trailing-bytes` for
 * `"everything"` with names, `frame-too-long` for several names in a message above
 * {@linkcode MAX_ROOM_INTEREST_BYTES}, `invalid-utf8`.
 *
 * @example See {@linkcode encodeRoomInterest}.
 */
export function decodeRoomInterest(bytes: Uint8Array): RoomInterest {
  const reader = new Reader(bytes, ROOM_INTEREST, "room interest");
  const op = OPS[reader.u8()];
  if (op === undefined) throw unknownOp(bytes[OP_START]);
  const spans = [];
  if (op === "everything") reader.end();
  while (!reader.done) {
    // Checked before a second name is read, so an over-long list costs nothing.
    if (spans.length === 1 && bytes.length > MAX_ROOM_INTEREST_BYTES) throw tooLong(bytes.length);
    spans.push(reader.skipText16());
  }
  return { op, rooms: spans.map((span) => reader.text(span)) };
}

function encode(op: RoomInterestOp, rooms: readonly string[], size: number): Uint8Array {
  const writer = new Writer(size, ROOM_INTEREST).u8(OPS.indexOf(op));
  for (const room of rooms) writer.text16(room);
  return writer.bytes;
}

function unknownOp(op: number): FrameError {
  return new FrameError("unknown-op", OP_START, `room interest has op ${op}, 0 to 3 are known`);
}

function tooLong(size: number): FrameError {
  return new FrameError(
    "frame-too-long",
    MAX_ROOM_INTEREST_BYTES,
    `room interest has ${size} bytes, at most ${MAX_ROOM_INTEREST_BYTES} are possible with more than one name`,
  );
}
