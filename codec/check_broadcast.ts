/** The checks that every message for members of rooms must pass before a node passes it on. */

import { truncated } from "./_faults.ts";
import { readRoomNames } from "./_room_name.ts";
import { readText } from "./_text.ts";
import { FrameError } from "./frame_error.ts";
import { checkRoomBroadcast } from "./room_broadcast.ts";
import { checkRoomClose } from "./room_close.ts";
import { checkRoomMessage } from "./room_message.ts";
import type { RoomNames } from "./room_names.ts";
import { ROOM_BROADCAST, ROOM_CLOSE, ROOM_MESSAGE } from "./tags.ts";

const ROOM_LENGTH_START = 1;
const ROOM_START = 3;
const ROOMS_START = 2;

/**
 * Checks a message for the members of rooms (a ROOM_BROADCAST, ROOM_MESSAGE or ROOM_CLOSE), except
 * its texts. The work grows with the number of its rooms, not with its size.
 *
 * @throws {FrameError} `truncated`, `wrong-tag` for any other message, `trailing-bytes`; for a
 * ROOM_MESSAGE also `unknown-flags`, `no-target`; for a ROOM_CLOSE also `bad-close-code`,
 * `reason-too-long`.
 *
 * @example
 * ```ts
 * import { checkBroadcast, encodeGoodbye, encodeRoomBroadcast } from "@roomcast/roomcast/codec";
 * import { assertThrows } from "@std/assert";
 *
 * checkBroadcast(encodeRoomBroadcast("lobby", "hello"));
 * assertThrows(() => checkBroadcast(encodeGoodbye())); // is for the node, not for a room
 * ```
 */
export function checkBroadcast(bytes: Uint8Array): void {
  switch (bytes[0]) {
    case ROOM_BROADCAST:
      checkRoomBroadcast(bytes);
      return;
    case ROOM_MESSAGE:
      checkRoomMessage(bytes);
      return;
    case ROOM_CLOSE:
      checkRoomClose(bytes);
      return;
    default:
      throw notForRooms(bytes, [ROOM_BROADCAST, ROOM_MESSAGE, ROOM_CLOSE]);
  }
}

/**
 * The rooms that a message is for. {@linkcode checkBroadcast} must have accepted the message.
 *
 * @param names remembers the names, if given.
 * @throws {FrameError} `invalid-utf8`.
 *
 * @example
 * ```ts
 * import { checkBroadcast, encodeRoomClose, targetRooms } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodeRoomClose("user:ann", 4001, "signed out");
 * checkBroadcast(bytes);
 * assertEquals(targetRooms(bytes), ["user:ann"]);
 * ```
 */
export function targetRooms(bytes: Uint8Array, names?: RoomNames): string[] {
  if (bytes[0] === ROOM_MESSAGE) return readRoomNames(bytes, ROOMS_START, names);
  const end = ROOM_START + (bytes[ROOM_LENGTH_START] | bytes[ROOM_LENGTH_START + 1] << 8);
  return [
    names === undefined ? readText(bytes, ROOM_START, end) : names.read(bytes, ROOM_START, end),
  ];
}

/** The error for bytes that begin with none of `tags`. */
export function notForRooms(bytes: Uint8Array, tags: readonly number[]): FrameError {
  if (bytes.length === 0) return truncated(bytes, "message", "tag", 1);
  const expected = tags.slice(0, -1).join(", ") + ` or ${tags.at(-1)}`;
  return new FrameError("wrong-tag", 0, `tag must be ${expected}, got ${bytes[0]}`);
}
