/**
 * Rooms and an Express app on one port.
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -base64 32)
 * NODE_NAME=app-1@127.0.0.1:9001 PORT=8001 deno run -A examples/express/server.ts
 * NODE_NAME=app-2@127.0.0.1:9002 PORT=8002 SEEDS=127.0.0.1:9001 deno run -A examples/express/server.ts
 * ```
 *
 * @module
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
// deno-lint-ignore no-import-prefix
import express from "npm:express@5.3.0";
import { acceptWebSocket, logEvents, Rooms, startMesh } from "../../mod.ts";
import { refuseUpgrade } from "../../websocket/mod.ts";

const MAX_MESSAGE_BYTES = 10_000;

const mesh = await startMesh({
  name: Deno.env.get("NODE_NAME") ?? "app-1@127.0.0.1:9001",
  cookie: Deno.env.get("ROOMCAST_COOKIE") ?? "",
  seeds: Deno.env.get("SEEDS")?.split(",").filter(Boolean),
});
logEvents(mesh);
const rooms = new Rooms({ backplane: mesh });

/** A request after Express has read its path and its body. */
type ParsedRequest = IncomingMessage & { params: { room: string }; body: unknown };

const app = express();
app.use(express.text({ type: () => true, limit: MAX_MESSAGE_BYTES }));
app.get("/", (_request: IncomingMessage, response: ServerResponse) => {
  response.end("WebSockets are at /rooms/NAME.\n");
});
app.get("/ready", (_request: IncomingMessage, response: ServerResponse) => {
  response.writeHead(rooms.draining ? 503 : 200).end();
});
// A request can also send a message to a room. Here anybody can do that. In your app, check the user.
app.post("/rooms/:room", ({ params, body }: ParsedRequest, response: ServerResponse) => {
  if (!/^\w{1,100}$/.test(params.room)) {
    response.writeHead(404).end();
    return;
  }
  const report = rooms.broadcast(params.room, typeof body === "string" ? body : "");
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(report));
});

const server = createServer(app);
// Node.js reports upgrades by a separate event, so they never reach Express.
server.on("upgrade", (request, stream, head) => {
  const room = /^\/rooms\/(\w{1,100})$/.exec(request.url ?? "")?.[1];
  if (room === undefined) return refuseUpgrade(stream, 404, "There is nothing here.");
  if (rooms.draining) return refuseUpgrade(stream, 503, "This server is restarting.");
  const socket = acceptWebSocket(request, stream, head, { maxMessageBytes: MAX_MESSAGE_BYTES });
  if (socket === undefined) return; // refused, and answered
  rooms.join(socket, room);
  socket.onmessage = ({ data }) => rooms.broadcast(room, data, { except: socket });
});
server.listen(Number(Deno.env.get("PORT") ?? 8001));

Deno.addSignalListener("SIGTERM", async () => {
  await rooms.drain({ overMs: 2_000 });
  server.close();
  await mesh.shutdown();
});
