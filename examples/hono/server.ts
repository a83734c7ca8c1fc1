/**
 * Rooms and a Hono app on one port.
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -base64 32)
 * NODE_NAME=hono-1@127.0.0.1:9001 PORT=8001 deno run -A examples/hono/server.ts
 * NODE_NAME=hono-2@127.0.0.1:9002 PORT=8002 SEEDS=127.0.0.1:9001 deno run -A examples/hono/server.ts
 * ```
 *
 * It runs on Node.js and Bun as well, with `hono` and `@hono/node-server` from npm.
 *
 * @module
 */

import { createServer } from "node:http";
import process from "node:process";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { acceptWebSocket, logEvents, Rooms, startMesh } from "../../mod.ts";
import { refuseUpgrade } from "../../websocket/mod.ts";

const MAX_MESSAGE_BYTES = 10_000;

const mesh = await startMesh({
  name: process.env.NODE_NAME ?? "hono-1@127.0.0.1:9001",
  cookie: process.env.ROOMCAST_COOKIE ?? "",
  seeds: process.env.SEEDS?.split(",").filter(Boolean),
});
logEvents(mesh);
const rooms = new Rooms({ backplane: mesh });

const app = new Hono();
app.get("/", (context) => context.text("WebSockets are at /rooms/NAME.\n"));
app.get("/ready", (context) => context.body(null, rooms.draining ? 503 : 200));
// A request can also send a message to a room. Here anybody can do that. In your app, check the user.
app.post("/rooms/:room{\\w{1,100}}", bodyLimit({ maxSize: MAX_MESSAGE_BYTES }), async (context) => {
  return context.json(rooms.broadcast(context.req.param("room"), await context.req.text()));
});

const server = createServer(getRequestListener(app.fetch));
// `node:http` reports upgrades by a separate event, so they never reach Hono.
server.on("upgrade", (request, stream, head) => {
  const room = /^\/rooms\/(\w{1,100})$/.exec(request.url ?? "")?.[1];
  if (room === undefined) return refuseUpgrade(stream, 404, "There is nothing here.");
  if (rooms.draining) return refuseUpgrade(stream, 503, "This server is restarting.");
  const socket = acceptWebSocket(request, stream, head, { maxMessageBytes: MAX_MESSAGE_BYTES });
  if (socket === undefined) return; // refused, and answered
  rooms.join(socket, room);
  socket.onmessage = ({ data }) => rooms.broadcast(room, data, { except: socket });
});
server.listen(Number(process.env.PORT ?? 8001));

process.once("SIGTERM", async () => {
  await rooms.drain({ overMs: 2_000 });
  server.close();
  await mesh.shutdown();
});
