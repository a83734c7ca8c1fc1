/**
 * Every byte that travels between two nodes, as pure functions: no clock, no socket, no randomness.
 *
 * The heart is one message, a text for the members of a room (all integers little-endian, both
 * texts strict UTF-8):
 *
 * ```text
 * offset  0        1            3              3+R          7+R              7+R+M
 *         +--------+------------+--------------+------------+----------------+
 *         |  0x1E  |  R: u16 LE |  room (R B)  |  M: u32 LE |  message (M B) |
 *         +--------+------------+--------------+------------+----------------+
 * ```
 *
 * Around it stand the other messages of a link (peer list, heartbeat, goodbye, the four of the
 * handshake) and the framing that cuts a stream into messages. Decoding is exact: fewer bytes than
 * the lengths inside say, more of them, or a text that is not UTF-8, is a {@linkcode FrameError}
 * with a code and an offset, and nothing else is ever thrown for what came from the wire. Encoding
 * never changes a text: a lone surrogate is an error, not U+FFFD.
 *
 * The format is that of the Mesh language runtime's room layer; what roomcast adds to it (the
 * handshake's extension, GOODBYE) is ignored there.
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

export * from "./frame_error.ts";
export * from "./framing.ts";
export * from "./goodbye.ts";
export * from "./handshake.ts";
export * from "./heartbeat.ts";
export * from "./peer_list.ts";
export * from "./presence_message.ts";
export * from "./room_broadcast.ts";
export * from "./tags.ts";
