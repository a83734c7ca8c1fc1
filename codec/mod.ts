/**
 * Every byte that travels between two nodes, and the frames of WebSockets, as pure functions: no
 * clock, no socket, no randomness.
 *
 * The heart of the format is one message, a text for the members of a room (all integers
 * little-endian, both texts strict UTF-8):
 *
 * ```text
 * offset  0        1            3              3+R          7+R              7+R+M
 *         +--------+------------+--------------+------------+----------------+
 *         |  0x1E  |  R: u16 LE |  room (R B)  |  M: u32 LE |  message (M B) |
 *         +--------+------------+--------------+------------+----------------+
 * ```
 *
 * A {@linkcode RoomMessage} covers what this cannot: bytes instead of text, several rooms, excluded
 * rooms. ROOM_CLOSE closes the members of a room. Around these are the other messages of a link
 * (peer list, interest, missed, heartbeat, goodbye, the four of the handshake) and the framing that
 * cuts a stream into messages. `docs/wire.md` in the repository describes them all.
 *
 * Decoding is exact. Too few bytes, too many bytes, or a text that is not UTF-8 cause a
 * {@linkcode FrameError} with a code and an offset. Bytes from the wire never cause any other
 * error. Encoding a message between nodes never changes a text: a lone surrogate is an error, and
 * does not become U+FFFD.
 *
 * The format is that of the Mesh language runtime's room layer. That runtime ignores the
 * handshake's extension, and roomcast never sends it the messages that it adds.
 *
 * @example
 * ```ts
 * import { decodeRoomBroadcast, encodeFrame, encodeRoomBroadcast, FrameDecoder } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const stream = encodeFrame(encodeRoomBroadcast("lobby", "hello"));
 * const decoder = new FrameDecoder();
 * for (const payload of decoder.push(stream)) {
 *   assertEquals(decodeRoomBroadcast(payload), { room: "lobby", message: "hello" });
 * }
 * decoder.finish();
 * ```
 *
 * @module
 */

export * from "./broadcast_view.ts";
export { checkBroadcast, targetRooms } from "./check_broadcast.ts";
export * from "./features.ts";
export * from "./frame_error.ts";
export * from "./framing.ts";
export * from "./goodbye.ts";
export * from "./handshake.ts";
export * from "./heartbeat.ts";
export * from "./missed.ts";
export * from "./peer_list.ts";
export * from "./presence_message.ts";
export * from "./room_broadcast.ts";
export * from "./room_close.ts";
export * from "./room_interest.ts";
export * from "./room_message.ts";
export * from "./room_names.ts";
export * from "./tags.ts";
export * from "./utf8_validator.ts";
export * from "./websocket_frame.ts";
