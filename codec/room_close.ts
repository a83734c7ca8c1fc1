/**
 * ROOM_CLOSE: closes the members of a room (`docs/wire.md`):
 *
 * ```text
 * | 0xE5 | u16 length, room | code: u16 | u8 length, reason |
 * ```
 */

import { Reader, type TextSpan } from "./_reader.ts";
import { roomNameLength } from "./_room_name.ts";
import { checkWellFormed, utf8Length } from "./_text.ts";
import { Writer } from "./_writer.ts";
import { FrameError } from "./frame_error.ts";
import { ROOM_CLOSE } from "./tags.ts";
import { MAX_CLOSE_REASON_BYTES } from "./websocket_frame.ts";

const ROOM_START = 3;
const CODE_SIZE = 2;
const REASON_LENGTH_SIZE = 1;

/** An order to close the members of a room. */
export interface RoomClose {
  /** Name of the room. */
  readonly room: string;
  /** The WebSocket close code, one that {@linkcode isCloseCode} accepts. */
  readonly code: number;
  /** The close reason, at most {@linkcode MAX_CLOSE_REASON_BYTES} bytes of UTF-8. */
  readonly reason: string;
}

/**
 * True for the close codes that a ROOM_CLOSE may carry: 1000, 1001, 1003, 1007 to 1014 and 3000 to
 * 4999. Of those that RFC 6455 (section 7.4) lets an endpoint send, only 1002 is missing: the
 * endpoint reports protocol errors, not the application.
 *
 * @example
 * ```ts
 * import { isCloseCode } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([1000, 1006, 4001].map(isCloseCode), [true, false, true]);
 * ```
 */
export function isCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  return code === 1000 || code === 1001 || code === 1003 ||
    (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/**
 * Encodes a ROOM_CLOSE.
 *
 * @throws {FrameError} `ill-formed-text` for a lone surrogate in either text, `room-too-long` for a
 * room above 65,535 bytes, `bad-close-code` for a code that {@linkcode isCloseCode} refuses,
 * `reason-too-long` above {@linkcode MAX_CLOSE_REASON_BYTES} bytes.
 *
 * @example
 * ```ts
 * import { decodeRoomClose, encodeRoomClose } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodeRoomClose("user:ann", 4001, "signed out");
 * assertEquals(decodeRoomClose(bytes), { room: "user:ann", code: 4001, reason: "signed out" });
 * ```
 */
export function encodeRoomClose(room: string, code: number, reason: string): Uint8Array {
  const codeStart = 1 + roomNameLength(room, ROOM_START);
  if (!isCloseCode(code)) throw badCloseCode(code, codeStart);
  checkWellFormed(reason);
  const reasonBytes = utf8Length(reason);
  const reasonLengthStart = codeStart + CODE_SIZE;
  if (reasonBytes > MAX_CLOSE_REASON_BYTES) throw reasonTooLong(reasonBytes, reasonLengthStart);
  const size = reasonLengthStart + REASON_LENGTH_SIZE + reasonBytes;
  return new Writer(size, ROOM_CLOSE).text16(room).u16(code).text8(reason).bytes;
}

/**
 * Decodes a ROOM_CLOSE. `bytes` must be the message and nothing else.
 *
 * Checked in this order: the tag, all lengths, the code, the reason's length, the two texts.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`, `bad-close-code`,
 * `reason-too-long`, `invalid-utf8`.
 *
 * @example See {@linkcode encodeRoomClose}.
 */
export function decodeRoomClose(bytes: Uint8Array): RoomClose {
  const { reader, room, code, reason } = readRoomClose(bytes);
  return { room: reader.text(room), code, reason: reader.text(reason) };
}

/**
 * Checks a ROOM_CLOSE, except its texts, in constant time, and returns the offset at which its room
 * ends.
 *
 * @throws {FrameError} what {@linkcode decodeRoomClose} throws, except `invalid-utf8`.
 *
 * @example
 * ```ts
 * import { checkRoomClose, encodeRoomClose } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(checkRoomClose(encodeRoomClose("lobby", 1000, "")), 3 + "lobby".length);
 * ```
 */
export function checkRoomClose(bytes: Uint8Array): number {
  return readRoomClose(bytes).room.end;
}

function readRoomClose(
  bytes: Uint8Array,
): { reader: Reader; room: TextSpan; code: number; reason: TextSpan } {
  const reader = new Reader(bytes, ROOM_CLOSE, "room close");
  const room = reader.skipText16();
  const code = reader.u16();
  const reason = reader.skipText8();
  reader.end();
  if (!isCloseCode(code)) throw badCloseCode(code, room.end);
  const reasonBytes = reason.end - reason.start;
  if (reasonBytes > MAX_CLOSE_REASON_BYTES) {
    throw reasonTooLong(reasonBytes, room.end + CODE_SIZE);
  }
  return { reader, room, code, reason };
}

function badCloseCode(code: number, offset: number): FrameError {
  return new FrameError(
    "bad-close-code",
    offset,
    `close code must be 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999, got ${code}`,
  );
}

function reasonTooLong(size: number, offset: number): FrameError {
  return new FrameError(
    "reason-too-long",
    offset,
    `close reason has ${size} bytes, at most ${MAX_CLOSE_REASON_BYTES} are possible`,
  );
}
