/**
 * roomcast: clustered WebSocket rooms for Deno servers.
 *
 * Sockets join named rooms; a broadcast on one server reaches the members on all of them. Servers
 * find each other and form a mesh: there is no broker to run, and nothing else to install.
 *
 * @example
 * ```ts
 * import { Rooms, startMesh } from "@roomcast/roomcast";
 *
 * // The name says where others dial this node; port 0 picks one.
 * const cookie = Deno.env.get("ROOMCAST_COOKIE") ?? "a secret of at least 16 bytes";
 * await using mesh = await startMesh({ name: "chat-1@127.0.0.1:0", cookie, seeds: [] });
 * const rooms = new Rooms({ backplane: mesh });
 *
 * await using _server = Deno.serve({ hostname: "127.0.0.1", port: 0 }, (request) => {
 *   const { socket, response } = Deno.upgradeWebSocket(request);
 *   socket.onopen = () => rooms.join(socket, "lobby");
 *   socket.onmessage = ({ data }) => {
 *     // Clients send what they like, and what broadcast throws in an event would end the process.
 *     if (typeof data !== "string" || data.length > 10_000) return socket.close(1008);
 *     rooms.broadcast("lobby", data, { except: socket });
 *   };
 *   return response;
 * });
 * ```
 *
 * The parts can be imported one by one: `/rooms` for a single node, `/mesh` for the links, `/codec`
 * for the bytes. Instead of the mesh, `/nats` and `/redis` use a broker that you run already.
 *
 * @module
 */

export * from "./codec/mod.ts";
export * from "./mesh/mod.ts";
export * from "./presence/mod.ts";
export * from "./rooms/mod.ts";
