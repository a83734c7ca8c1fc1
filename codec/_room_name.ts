/** Room names on the wire: a `u16` length, then that many bytes of UTF-8. */

import { checkWellFormed, readText, utf8Length, writeText } from "./_text.ts";
import { truncated } from "./_faults.ts";
import { FrameError } from "./frame_error.ts";
import type { RoomNames } from "./room_names.ts";

/** Longest room name, in bytes of UTF-8: the largest `u16` length. */
export const MAX_ROOM_BYTES = 0xffff;

/** Bytes of a name's length, and of a list's count. */
export const U16_BYTES = 2;

/** Checks a name. It will begin at `offset` of a message, which errors report. */
export function checkRoomName(room: string, offset: number): void {
  checkWellFormed(room);
  if (3 * room.length <= MAX_ROOM_BYTES) return;
  const size = utf8Length(room);
  if (size > MAX_ROOM_BYTES) throw roomTooLong(size, offset);
}

/**
 * Bytes that a name and its length take. The name will begin at `offset` of a message, which errors
 * report.
 */
export function roomNameLength(room: string, offset: number): number {
  checkWellFormed(room);
  const size = utf8Length(room);
  if (size > MAX_ROOM_BYTES) throw roomTooLong(size, offset);
  return U16_BYTES + size;
}

/**
 * Writes a name with its length before it, and returns the offset after it. If that is more than
 * `target.length`, the target is too small, and its contents are undefined. Offsets in errors count
 * from `base`, where the message begins.
 */
export function writeRoomName(room: string, target: Uint8Array, at: number, base: number): number {
  const start = at + U16_BYTES;
  if (3 * room.length > MAX_ROOM_BYTES) checkRoomName(room, start - base);
  const end = writeText(room, target, start);
  writeU16(end - start, target, at);
  return end;
}

export function writeU16(value: number, target: Uint8Array, at: number): void {
  target[at] = value;
  target[at + 1] = value >> 8;
}

/**
 * Checks the lengths in a list of names (`u16` count, then the names), and returns the offset after
 * it.
 */
export function skipRoomNames(bytes: Uint8Array, at: number, message: string): number {
  const size = bytes.length;
  if (at + U16_BYTES > size) throw truncated(bytes, message, "count of rooms", at + U16_BYTES);
  let left = bytes[at] | bytes[at + 1] << 8;
  for (at += U16_BYTES; left > 0; left--) {
    const start = at + U16_BYTES;
    if (start > size) throw truncated(bytes, message, "room length", start);
    at = start + (bytes[at] | bytes[at + 1] << 8);
    if (at > size) throw truncated(bytes, message, "room", at);
  }
  return at;
}

/** Decodes a list of names whose lengths have been checked; `names` remembers them, if given. */
export function readRoomNames(bytes: Uint8Array, at: number, names?: RoomNames): string[] {
  const rooms: string[] = [];
  let left = bytes[at] | bytes[at + 1] << 8;
  for (at += U16_BYTES; left > 0; left--) {
    const start = at + U16_BYTES;
    at = start + (bytes[at] | bytes[at + 1] << 8);
    rooms.push(names === undefined ? readText(bytes, start, at) : names.read(bytes, start, at));
  }
  return rooms;
}

function roomTooLong(size: number, offset: number): FrameError {
  return new FrameError(
    "room-too-long",
    offset,
    `room name has ${size} bytes, at most ${MAX_ROOM_BYTES} are possible`,
  );
}
