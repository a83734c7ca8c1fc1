/**
 * Socket.IO on several servers without Redis: a chat with rooms.
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -base64 32)
 * NODE_NAME=io-1@127.0.0.1:9001 PORT=8001 deno run -A examples/socket_io/server.ts
 * NODE_NAME=io-2@127.0.0.1:9002 PORT=8002 SEEDS=127.0.0.1:9001 deno run -A examples/socket_io/server.ts
 * ```
 *
 * Clients connect with `transports: ["websocket"]`. Long polling also works, but only behind a balancer
 * that always sends a client to the same server. Every adapter has this limitation.
 *
 * @module
 */

import { createServer } from "node:http";
// @ts-types="./socket_io.d.ts"
import { Server } from "socket.io";
import { logEvents, startMesh } from "../../mod.ts";
import { meshAdapter } from "./mesh_adapter.ts";

const MAX_MESSAGE_BYTES = 10_000;
const MAX_ROOM_LENGTH = 100;

const mesh = await startMesh({
  name: Deno.env.get("NODE_NAME") ?? "io-1@127.0.0.1:9001",
  cookie: Deno.env.get("ROOMCAST_COOKIE") ?? "",
  seeds: Deno.env.get("SEEDS")?.split(",").filter(Boolean),
  interest: "room",
});
logEvents(mesh);
await mesh.ready();

const server = createServer((_request, response) => response.writeHead(404).end());
const io = new Server(server, {
  adapter: meshAdapter(mesh),
  maxHttpBufferSize: MAX_MESSAGE_BYTES,
  transports: ["websocket"],
});
io.on("connection", (socket) => {
  socket.on("join", async (room: unknown, done: unknown) => {
    if (typeof room !== "string" || room.length > MAX_ROOM_LENGTH) return;
    await socket.join(room);
    if (typeof done === "function") done();
  });
  socket.on("say", (room: unknown, message: unknown) => {
    if (typeof room === "string") socket.to(room).emit("said", message);
  });
});
server.listen(Number(Deno.env.get("PORT") ?? 8001));

Deno.addSignalListener("SIGTERM", async () => {
  await io.close();
  await mesh.shutdown();
});
