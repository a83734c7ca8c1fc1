/**
 * Rooms of WebSockets on one node, connected to those on other nodes.
 *
 * {@linkcode Rooms} knows which sockets of this node are in which room and delivers to them. With a
 * {@linkcode Backplane} (the mesh, or one from `brokers/`) a broadcast reaches the members on all
 * other nodes as well. Membership is never replicated: each node knows its own sockets.
 *
 * **Sockets.** Members may be sockets of `acceptWebSocket`, of `Deno.upgradeWebSocket` or of npm's
 * `ws`, mixed in one room. Sockets with `sendFrame` share one WebSocket frame per broadcast, so
 * they cost least.
 *
 * **Slow sockets.** A socket with more than `maxBufferedBytes` unsent is not sent more. By default
 * it is removed from all rooms at once and closed with 1013. That bounds what this process holds
 * for a socket: `maxBufferedBytes` and one message. A `ServerWebSocket` or a socket of `ws` that
 * has not closed after 5 s is terminated, which frees its memory. A socket of Deno has no
 * `terminate`. It keeps closing, with its unsent bytes, until its client reads or hangs up. A
 * client that sends at that moment may find its connection cut off instead of closed with 1013
 * (seen with Deno 2.9.6), so it should resynchronise after either.
 *
 * For the same reason a socket that you close yourself stays a member until its close event, which
 * may never come while its client does not read. It receives nothing any more. To remove it from
 * `members` at once, call `leaveAll`.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { Rooms } from "@roomcast/roomcast/rooms";
 * import { acceptWebSocket } from "@roomcast/roomcast/websocket";
 *
 * const rooms = new Rooms();
 *
 * const server = createServer((_request, response) => response.writeHead(426).end());
 * server.on("upgrade", (request, stream, head) => {
 *   // Messages have at most 10,000 bytes, so that `broadcast` cannot throw.
 *   const socket = acceptWebSocket(request, stream, head, { maxMessageBytes: 10_000 });
 *   if (socket === undefined) return; // refused, and answered
 *   rooms.join(socket, "lobby");
 *   socket.onmessage = ({ data }) => rooms.broadcast("lobby", data, { except: socket });
 * });
 * ```
 *
 * @module
 */

export type { Backplane, PublishReport, Timers } from "../backplane/mod.ts";
export { MissedEvent, NodeDownEvent } from "../backplane/mod.ts";
export type { Listen } from "./_listeners.ts";
export type { CloseOptions } from "./close_options.ts";
export { type RoomsEventMap, SlowEvent } from "./events.ts";
export type { Message } from "./message.ts";
export type { RoomsOptions } from "./options.ts";
export type { BroadcastReport, DeliveryReport, RoomsTotals } from "./reports.ts";
export type { RoomSocket } from "./room_socket.ts";
export { type BroadcastOptions, type DrainOptions, type Excepted, Rooms } from "./rooms.ts";
