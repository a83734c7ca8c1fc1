/**
 * Rooms of WebSockets on one node, and the port through which they reach other nodes.
 *
 * {@linkcode Rooms} knows which sockets of this node are in which room and delivers to them. With a
 * {@linkcode Backplane} (the mesh, or one from `brokers/`) a broadcast reaches the members on
 * all other nodes as well. Membership is never replicated: each node knows its own sockets.
 *
 * **Slow sockets.** A socket with more than `maxBufferedBytes` unsent is not sent more. By default
 * it is taken out of all rooms at once and closed with 1013. That bounds what this process holds
 * for a socket: `maxBufferedBytes` and one message. What it cannot do is free it: a socket of Deno
 * stays in closing, with its unsent bytes, until its client reads or hangs up, for it has no
 * `terminate`. Where a socket has one (npm's `ws`), it is called if the close takes over 5 s. A
 * client that speaks just then may find its connection cut off instead of closed with 1013 (seen with
 * Deno 2.9.6): it should resynchronise after either.
 *
 * For the same reason a socket that you close yourself stays a member until its close event, which
 * may never come while its client does not read. It hears nothing any more; if it is to be gone from
 * `members` at once, call `leaveAll`.
 *
 * @example
 * ```ts
 * import { Rooms } from "@roomcast/roomcast/rooms";
 *
 * const rooms = new Rooms();
 *
 * function serve(request: Request): Response {
 *   const { socket, response } = Deno.upgradeWebSocket(request);
 *   socket.onopen = () => rooms.join(socket, "lobby");
 *   socket.onmessage = ({ data }) => {
 *     if (typeof data === "string") rooms.broadcast("lobby", data, { except: socket });
 *   };
 *   return response;
 * }
 * ```
 *
 * @module
 */

export type { Backplane, PublishReport } from "../backplane/mod.ts";
export type { RoomSocket } from "./room_socket.ts";
export {
  type BroadcastOptions,
  type BroadcastReport,
  type DeliveryReport,
  Rooms,
  type RoomsOptions,
  type RoomsTimers,
} from "./rooms.ts";
