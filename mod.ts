/**
 * roomcast: clustered WebSocket rooms.
 *
 * Sockets join named rooms, and a broadcast reaches every member, whichever server its socket is
 * on. Servers find each other and form an encrypted mesh, so there is no broker to run.
 *
 * @example A chat server. Start it on several machines, and they are one chat
 * ```ts
 * import { createServer } from "node:http";
 * import { acceptWebSocket, logEvents, Rooms, startMesh } from "@roomcast/roomcast";
 *
 * // The name says where other nodes dial this one; port 0 picks a free one.
 * const cookie = Deno.env.get("ROOMCAST_COOKIE") ?? "a secret of at least 16 bytes";
 * await using mesh = await startMesh({ name: "chat-1@127.0.0.1:0", cookie, seeds: [] });
 * using _log = logEvents(mesh);
 * const rooms = new Rooms({ backplane: mesh });
 *
 * const server = createServer((_request, response) => response.writeHead(426).end());
 * server.on("upgrade", (request, stream, head) => {
 *   const socket = acceptWebSocket(request, stream, head, { maxMessageBytes: 10_000 });
 *   if (socket === undefined) return; // refused, and answered
 *   rooms.join(socket, "lobby"); // leaves by itself when it closes
 *   socket.onmessage = ({ data }) => rooms.broadcast("lobby", data, { except: socket });
 * });
 * await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
 * server.close();
 * ```
 *
 * The parts can be imported one by one: `/rooms` for a single node, `/websocket` for the endpoint,
 * `/mesh` for the links, `/codec` for the bytes. Instead of the mesh, `/nats` and `/redis` use a
 * broker that you run already.
 *
 * @module
 */

export {
  decodeRoomBroadcast,
  encodeRoomBroadcast,
  encodeRoomBroadcastInto,
  FrameError,
  type FrameErrorCode,
  ROOM_BROADCAST,
  type RoomBroadcast,
} from "./codec/mod.ts";
export { dnsSeeds, MeshError, startMesh, workerSeeds } from "./mesh/mod.ts";
export { Presence } from "./presence/mod.ts";
export { Rooms } from "./rooms/mod.ts";
export { logEvents } from "./telemetry/mod.ts";
export { acceptWebSocket, ServerWebSocket } from "./websocket/mod.ts";
// The types that these mention.
export type * from "./backplane/mod.ts";
export type * from "./mesh/mod.ts";
export type * from "./presence/mod.ts";
export type * from "./rooms/mod.ts";
export type * from "./telemetry/mod.ts";
export type * from "./websocket/mod.ts";
