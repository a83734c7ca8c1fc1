/**
 * ROOM_MESSAGE: a broadcast that ROOM_BROADCAST cannot express, because it is bytes, goes to
 * several rooms or excludes rooms (`docs/wire.md`):
 *
 * ```text
 * | 0xE2 | flags: u8 | T: u16 | T × (u16 length, room) | E: u16 | E × (u16 length, room) | M: u32 | message (M B) |
 * ```
 */

import { writeMessage } from "./_message.ts";
import { targetTooSmall, trailingBytes, truncated, wrongTag } from "./_faults.ts";
import {
  readRoomNames,
  roomNameLength,
  skipRoomNames,
  U16_BYTES,
  writeRoomName,
  writeU16,
} from "./_room_name.ts";
import { readText } from "./_text.ts";
import { FrameError } from "./frame_error.ts";
import { ROOM_MESSAGE } from "./tags.ts";

/** Flag bit 0: the message is bytes, not text. The other bits must be zero. */
const BYTES_FLAG = 1;

const FLAGS_START = 1;
const ROOMS_START = 2;
const MESSAGE_LENGTH_SIZE = 4;

/** Most names in each of the two lists: the largest `u16` count. */
const MAX_NAMES = 0xffff;

const WHAT = "room message";

/** A text or bytes for the members of some rooms, except the members of others. */
export interface RoomMessage {
  /**
   * Rooms whose members receive it, at least one. A member of several receives it once. The format
   * has space for 65,535; `Rooms` sends at most 64.
   */
  readonly rooms: readonly string[];
  /** Rooms whose members do not receive it, whatever other rooms they are in. At most 65,535. */
  readonly except: readonly string[];
  /** A string for a text message, bytes for a binary one. */
  readonly message: string | Uint8Array;
}

/** How {@linkcode encodeRoomMessage} and {@linkcode encodeRoomMessageInto} treat the message. */
export interface RoomMessageEncoding {
  /**
   * True if bytes are an encoded text. The caller guarantees that they are valid UTF-8. Default:
   * false, so bytes are a binary message.
   */
  readonly utf8?: boolean;
}

/**
 * Encodes a ROOM_MESSAGE into memory of its own, exactly as long as the message.
 *
 * @throws {FrameError} `no-target` without a room, `ill-formed-text` for a lone surrogate,
 * `room-too-long` for a name above 65,535 bytes, `frame-too-long` for more than 65,535 names in a
 * list, `message-too-long` for more than 2³²−1 bytes.
 *
 * @example
 * ```ts
 * import { decodeRoomMessage, encodeRoomMessage } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const message = { rooms: ["lobby"], except: ["user:ann"], message: Uint8Array.of(1, 2, 3) };
 * assertEquals(decodeRoomMessage(encodeRoomMessage(message)), message);
 * ```
 */
export function encodeRoomMessage(
  message: RoomMessage,
  encoding: RoomMessageEncoding = {},
): Uint8Array {
  const roomy = new Uint8Array(roomMessageCapacity(message));
  const size = encodeRoomMessageInto(message, roomy, 0, encoding);
  return size === roomy.length ? roomy : roomy.slice(0, size);
}

/**
 * Encodes a ROOM_MESSAGE into `target`, from `at` on, and returns the number of bytes written.
 * {@linkcode roomMessageCapacity} bytes are always enough.
 *
 * @throws {FrameError} what {@linkcode encodeRoomMessage} throws, and `target-too-small`. What the
 * target holds after an error is undefined.
 *
 * @example
 * ```ts
 * import { decodeRoomMessage, encodeRoomMessageInto } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const buffer = new Uint8Array(1024); // used again for every message
 * const message = new TextEncoder().encode("hello"); // encoded once, for links and sockets alike
 * const parts = { rooms: ["lobby", "hall"], except: [], message };
 * const size = encodeRoomMessageInto(parts, buffer, 0, { utf8: true });
 * assertEquals(decodeRoomMessage(buffer.subarray(0, size)).message, "hello");
 * ```
 */
export function encodeRoomMessageInto(
  { rooms, except, message }: RoomMessage,
  target: Uint8Array,
  at = 0,
  { utf8 = false }: RoomMessageEncoding = {},
): number {
  if (rooms.length === 0) throw noTarget();
  target[at] = ROOM_MESSAGE;
  target[at + FLAGS_START] = typeof message === "string" || utf8 ? 0 : BYTES_FLAG;
  const roomsEnd = writeRoomNames(rooms, target, at + ROOMS_START, at);
  const exceptEnd = writeRoomNames(except, target, roomsEnd, at);
  const messageStart = exceptEnd + MESSAGE_LENGTH_SIZE;
  if (messageStart > target.length) throw targetTooSmall(target, WHAT);
  const end = writeMessage(message, target, messageStart, at, WHAT);
  const messageBytes = end - messageStart;
  target[exceptEnd] = messageBytes;
  target[exceptEnd + 1] = messageBytes >> 8;
  target[exceptEnd + 2] = messageBytes >> 16;
  target[exceptEnd + 3] = messageBytes >>> 24;
  return end - at;
}

/**
 * Bytes that are enough for a ROOM_MESSAGE: exact for a message of bytes, and three for each UTF-16
 * unit of a text.
 *
 * @throws {FrameError} `ill-formed-text`, `room-too-long`.
 *
 * @example
 * ```ts
 * import { roomMessageCapacity } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const message = { rooms: ["lobby"], except: [], message: Uint8Array.of(1, 2, 3) };
 * assertEquals(roomMessageCapacity(message), 2 + 2 + (2 + 5) + 2 + 4 + 3);
 * ```
 */
export function roomMessageCapacity({ rooms, except, message }: RoomMessage): number {
  let size = ROOMS_START + U16_BYTES;
  for (const room of rooms) size += roomNameLength(room, size + U16_BYTES);
  size += U16_BYTES;
  for (const room of except) size += roomNameLength(room, size + U16_BYTES);
  size += MESSAGE_LENGTH_SIZE;
  return size + (typeof message === "string" ? 3 * message.length : message.length);
}

/**
 * Decodes a ROOM_MESSAGE. `bytes` must be the message and nothing else. A binary message is copied.
 *
 * Checked in this order: the tag, the flags, all lengths, that there is a room, and the texts in
 * the order of the layout. The number of names is not limited beyond what their `u16` counts say:
 * each takes at least two bytes, so the frame's limit bounds them.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `unknown-flags`, `trailing-bytes`, `no-target`,
 * `invalid-utf8`.
 *
 * @example See {@linkcode encodeRoomMessage}.
 */
export function decodeRoomMessage(bytes: Uint8Array): RoomMessage {
  const messageStart = checkRoomMessage(bytes);
  const rooms = readRoomNames(bytes, ROOMS_START);
  const except = readRoomNames(bytes, skipRoomNames(bytes, ROOMS_START, WHAT));
  const message = bytes[FLAGS_START] === BYTES_FLAG
    // Not slice(): streams of node: modules hand out a Buffer, whose slice() does not copy.
    ? new Uint8Array(bytes.subarray(messageStart))
    : readText(bytes, messageStart, bytes.length);
  return { rooms, except, message };
}

/**
 * Checks tag, flags and lengths of a ROOM_MESSAGE and that it has a room, decodes nothing, and
 * returns the offset at which its message begins. The message ends where `bytes` end. The work grows
 * with the number of names, not with their size or the message's.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `unknown-flags`, `trailing-bytes`, `no-target`.
 *
 * @example
 * ```ts
 * import { checkRoomMessage, encodeRoomMessage } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const message = Uint8Array.of(1, 2, 3);
 * const bytes = encodeRoomMessage({ rooms: ["lobby"], except: [], message });
 * assertEquals(bytes.subarray(checkRoomMessage(bytes)), message);
 * ```
 */
export function checkRoomMessage(bytes: Uint8Array): number {
  const size = bytes.length;
  if (size === 0) throw truncated(bytes, WHAT, "tag", 1);
  if (bytes[0] !== ROOM_MESSAGE) throw wrongTag(bytes, WHAT, ROOM_MESSAGE);
  if (size < ROOMS_START) throw truncated(bytes, WHAT, "flags", ROOMS_START);
  if (bytes[FLAGS_START] > BYTES_FLAG) throw unknownFlags(bytes[FLAGS_START]);
  const exceptStart = skipRoomNames(bytes, ROOMS_START, WHAT);
  const exceptEnd = skipRoomNames(bytes, exceptStart, WHAT);
  const messageStart = exceptEnd + MESSAGE_LENGTH_SIZE;
  if (size < messageStart) throw truncated(bytes, WHAT, "message length", messageStart);
  const messageBytes = (bytes[exceptEnd] | bytes[exceptEnd + 1] << 8 | bytes[exceptEnd + 2] << 16 |
    bytes[exceptEnd + 3] << 24) >>> 0;
  const end = messageStart + messageBytes;
  if (size < end) throw truncated(bytes, WHAT, "message", end);
  if (size > end) throw trailingBytes(bytes, WHAT, end);
  if (exceptStart === ROOMS_START + U16_BYTES) throw noTarget();
  return messageStart;
}

function writeRoomNames(
  rooms: readonly string[],
  target: Uint8Array,
  at: number,
  base: number,
): number {
  if (rooms.length > MAX_NAMES) {
    throw new FrameError(
      "frame-too-long",
      at - base,
      `room message has a list of ${rooms.length} rooms, at most ${MAX_NAMES} fit`,
    );
  }
  writeU16(rooms.length, target, at);
  let end = at + U16_BYTES;
  for (const room of rooms) end = writeRoomName(room, target, end, base);
  return end;
}

function noTarget(): FrameError {
  return new FrameError("no-target", ROOMS_START, "room message has no room");
}

function unknownFlags(flags: number): FrameError {
  const hex = flags.toString(16).padStart(2, "0");
  return new FrameError(
    "unknown-flags",
    FLAGS_START,
    `room message has flags 0x${hex}, only bit 0 is known`,
  );
}
