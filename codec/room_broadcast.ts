/**
 * ROOM_BROADCAST, the message that roomcast exists for (`docs/wire.md`):
 *
 * ```text
 * offset  0        1            3              3+R          7+R              7+R+M
 *         +--------+------------+--------------+------------+----------------+
 *         |  0x1E  |  R: u16 LE |  room (R B)  |  M: u32 LE |  message (M B) |
 *         +--------+------------+--------------+------------+----------------+
 * ```
 */

import { writeMessage } from "./_message.ts";
import { targetTooSmall, trailingBytes, truncated, wrongTag } from "./_faults.ts";
import { checkRoomName, MAX_ROOM_BYTES } from "./_room_name.ts";
import { checkWellFormed, readText, utf8Length, writeText } from "./_text.ts";
import { FrameError } from "./frame_error.ts";
import { ROOM_BROADCAST } from "./tags.ts";

export { MAX_ROOM_BYTES };

/** Bytes of a room broadcast that are neither room nor message: the tag and the two lengths. */
export const ROOM_BROADCAST_OVERHEAD = 7;

const ROOM_START = 3;
const MESSAGE_LENGTH_SIZE = 4;

const WHAT = "room broadcast";

/** A text for the members of a room. */
export interface RoomBroadcast {
  /** Name of the room. */
  readonly room: string;
  /** The text that its members receive. */
  readonly message: string;
}

/**
 * Encodes a room broadcast into memory of its own, exactly as long as the message.
 *
 * @param message the text, as a string or as UTF-8. The caller guarantees that the bytes are valid;
 * they are copied as they are.
 * @throws {FrameError} `ill-formed-text` for a lone surrogate in either text, `room-too-long` for a
 * room above {@linkcode MAX_ROOM_BYTES}.
 *
 * @example
 * ```ts
 * import { encodeRoomBroadcast } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   encodeRoomBroadcast("café", "hi"),
 *   Uint8Array.of(0x1e, 5, 0, 0x63, 0x61, 0x66, 0xc3, 0xa9, 2, 0, 0, 0, 0x68, 0x69),
 * );
 * ```
 */
export function encodeRoomBroadcast(room: string, message: string | Uint8Array): Uint8Array {
  checkRoom(room);
  const roomy = new Uint8Array(roomBroadcastCapacity(room, message));
  return roomy.slice(0, encodeRoomBroadcastInto(room, message, roomy));
}

/**
 * Encodes a room broadcast into `target`, from `at` on, and returns the number of bytes written.
 * {@linkcode roomBroadcastCapacity} bytes are always enough.
 *
 * @throws {FrameError} `ill-formed-text` for a lone surrogate in either text, `room-too-long` for a
 * room above {@linkcode MAX_ROOM_BYTES}, `target-too-small` if the message does not fit. What the
 * target holds after an error is undefined.
 *
 * @example
 * ```ts
 * import { decodeRoomBroadcast, encodeRoomBroadcastInto } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const buffer = new Uint8Array(1024); // used again for every message
 * const size = encodeRoomBroadcastInto("lobby", "hello", buffer);
 * assertEquals(decodeRoomBroadcast(buffer.subarray(0, size)), { room: "lobby", message: "hello" });
 * ```
 */
export function encodeRoomBroadcastInto(
  room: string,
  message: string | Uint8Array,
  target: Uint8Array,
  at = 0,
): number {
  if (3 * room.length > MAX_ROOM_BYTES) checkRoom(room);
  const roomStart = at + ROOM_START;
  const roomEnd = writeText(room, target, roomStart);
  const messageStart = roomEnd + MESSAGE_LENGTH_SIZE;
  if (messageStart > target.length) throw targetTooSmall(target, WHAT);
  const end = writeMessage(message, target, messageStart, at, WHAT);
  const roomBytes = roomEnd - roomStart;
  const messageBytes = end - messageStart;
  target[at] = ROOM_BROADCAST;
  target[at + 1] = roomBytes;
  target[at + 2] = roomBytes >> 8;
  target[roomEnd] = messageBytes;
  target[roomEnd + 1] = messageBytes >> 8;
  target[roomEnd + 2] = messageBytes >> 16;
  target[roomEnd + 3] = messageBytes >>> 24;
  return end - at;
}

/**
 * Bytes that are enough for a room broadcast, whatever its texts hold: three for each UTF-16 unit,
 * or the actual size of a message that is UTF-8 already. Reserving them costs less than measuring.
 *
 * @example
 * ```ts
 * import { roomBroadcastCapacity } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(roomBroadcastCapacity("lobby", "hello"), 7 + 3 * 10);
 * ```
 */
export function roomBroadcastCapacity(room: string, message: string | Uint8Array): number {
  const messageBytes = typeof message === "string" ? 3 * message.length : message.length;
  return ROOM_BROADCAST_OVERHEAD + 3 * room.length + messageBytes;
}

/**
 * Checks that `room` can be the name of a room: well-formed text of at most
 * {@linkcode MAX_ROOM_BYTES} bytes.
 *
 * @throws {FrameError} `ill-formed-text`, `room-too-long`.
 *
 * @example
 * ```ts
 * import { checkRoom } from "@roomcast/roomcast/codec";
 * import { assertThrows } from "@std/assert";
 *
 * checkRoom("lobby");
 * assertThrows(() => checkRoom("r".repeat(65_536)));
 * ```
 */
export function checkRoom(room: string): void {
  checkRoomName(room, ROOM_START);
}

/**
 * Checks that `message` is well-formed text of at most `maxBytes` bytes of UTF-8.
 *
 * @throws {FrameError} `ill-formed-text`, `message-too-long`.
 *
 * @example
 * ```ts
 * import { checkMessage } from "@roomcast/roomcast/codec";
 * import { assertThrows } from "@std/assert";
 *
 * checkMessage("hello", 5);
 * assertThrows(() => checkMessage("héllo", 5));
 * ```
 */
export function checkMessage(message: string, maxBytes: number): void {
  checkWellFormed(message);
  if (3 * message.length <= maxBytes) return;
  const size = utf8Length(message);
  if (size <= maxBytes) return;
  throw new FrameError(
    "message-too-long",
    ROOM_BROADCAST_OVERHEAD,
    `message has ${size} bytes, at most ${maxBytes} are possible here`,
  );
}

/**
 * Decodes a room broadcast. `bytes` must be the message and nothing else.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`, `invalid-utf8`.
 *
 * @example
 * ```ts
 * import { decodeRoomBroadcast, encodeRoomBroadcast } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const { room, message } = decodeRoomBroadcast(encodeRoomBroadcast("lobby", "hello"));
 * assertEquals([room, message], ["lobby", "hello"]);
 * ```
 */
export function decodeRoomBroadcast(bytes: Uint8Array): RoomBroadcast {
  const roomEnd = checkRoomBroadcast(bytes);
  return { room: readRoom(bytes, roomEnd), message: readMessage(bytes, roomEnd) };
}

/**
 * Checks tag and lengths of a room broadcast, decodes nothing, and returns the offset at which its
 * room ends. With {@linkcode readRoom} and {@linkcode readMessage} this is
 * {@linkcode decodeRoomBroadcast} in steps, for a receiver that has no use for the message unless
 * it knows the room.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`.
 *
 * @example
 * ```ts
 * import {
 *   checkRoomBroadcast,
 *   encodeRoomBroadcast,
 *   readMessage,
 *   readRoom,
 * } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodeRoomBroadcast("lobby", "hello");
 * const roomEnd = checkRoomBroadcast(bytes);
 * if (readRoom(bytes, roomEnd) === "lobby") assertEquals(readMessage(bytes, roomEnd), "hello");
 * ```
 */
export function checkRoomBroadcast(bytes: Uint8Array): number {
  if (bytes.length === 0) throw truncated(bytes, WHAT, "tag", 1);
  if (bytes[0] !== ROOM_BROADCAST) throw wrongTag(bytes, WHAT, ROOM_BROADCAST);
  if (bytes.length < ROOM_START) throw truncated(bytes, WHAT, "room length", ROOM_START);
  const roomEnd = ROOM_START + (bytes[1] | bytes[2] << 8);
  if (bytes.length < roomEnd) throw truncated(bytes, WHAT, "room", roomEnd);
  const messageStart = roomEnd + MESSAGE_LENGTH_SIZE;
  if (bytes.length < messageStart) throw truncated(bytes, WHAT, "message length", messageStart);
  const messageBytes = (bytes[roomEnd] | bytes[roomEnd + 1] << 8 | bytes[roomEnd + 2] << 16 |
    bytes[roomEnd + 3] << 24) >>> 0;
  const end = messageStart + messageBytes;
  if (bytes.length < end) throw truncated(bytes, WHAT, "message", end);
  if (bytes.length > end) throw trailingBytes(bytes, WHAT, end);
  return roomEnd;
}

/**
 * The room of a broadcast whose lengths {@linkcode checkRoomBroadcast} has checked.
 *
 * @throws {FrameError} `invalid-utf8`.
 *
 * @example See {@linkcode checkRoomBroadcast}.
 */
export function readRoom(bytes: Uint8Array, roomEnd: number): string {
  return readText(bytes, ROOM_START, roomEnd);
}

/**
 * The message of a broadcast whose lengths {@linkcode checkRoomBroadcast} has checked.
 *
 * @throws {FrameError} `invalid-utf8`.
 *
 * @example See {@linkcode checkRoomBroadcast}.
 */
export function readMessage(bytes: Uint8Array, roomEnd: number): string {
  return readText(bytes, roomEnd + MESSAGE_LENGTH_SIZE, bytes.length);
}
