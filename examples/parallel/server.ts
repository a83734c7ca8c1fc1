/**
 * Rooms on all cores, and on other machines: one process with a worker for each core.
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -base64 32)
 * NODE_NAME=chat@127.0.0.1:9001 PORT=8001 deno serve --parallel --allow-net --allow-env \
 *   --port 8011 examples/parallel/server.ts
 * NODE_NAME=chat@127.0.0.1:9002 PORT=8002 SEEDS=127.0.0.1:9001 deno serve --parallel --allow-net \
 *   --allow-env --port 8012 examples/parallel/server.ts
 * ```
 *
 * `deno serve --parallel` runs this module once for each core (or `DENO_JOBS` times). Each worker is a
 * node of the mesh. `workerSeeds` lets the workers find each other, and `SEEDS` names other machines.
 *
 * `PORT` takes WebSockets, and the path is the room: `ws://127.0.0.1:8001/lobby`. The system decides
 * which worker gets a connection. The port of `deno serve` is for probes: a worker answers with its own
 * name and the names of its peers.
 *
 * @module
 */

import { createServer } from "node:http";
import { acceptWebSocket, logEvents, Rooms, startMesh, workerSeeds } from "../../mod.ts";
import { refuseUpgrade } from "../../websocket/mod.ts";

const MAX_ROOM_LENGTH = 100;
const MAX_MESSAGE_BYTES = 10_000;

const mesh = await startMesh({
  name: Deno.env.get("NODE_NAME") ?? "chat@127.0.0.1:9001",
  cookie: Deno.env.get("ROOMCAST_COOKIE") ?? "",
  seeds: workerSeeds({ seeds: Deno.env.get("SEEDS")?.split(",").filter(Boolean) }),
});
logEvents(mesh);
const rooms = new Rooms({ backplane: mesh });

const server = createServer((_request, response) => {
  response.writeHead(426).end("This port is for WebSockets.\n");
});
server.on("upgrade", (request, stream, head) => {
  const [room] = (request.url ?? "/").split("?", 1);
  if (room.length > MAX_ROOM_LENGTH) {
    return refuseUpgrade(stream, 414, "The name of the room is too long.");
  }
  if (rooms.draining) return refuseUpgrade(stream, 503, "This server is restarting.");
  const socket = acceptWebSocket(request, stream, head, { maxMessageBytes: MAX_MESSAGE_BYTES });
  if (socket === undefined) return; // refused, and answered
  rooms.join(socket, room);
  socket.send(`You are on ${mesh.name}.`);
  socket.onmessage = ({ data }) => rooms.broadcast(room, data, { except: socket });
});
// Without `reusePort`, one worker would get the port and the others would fail.
const port = Number(Deno.env.get("PORT") ?? 8001);
server.listen({ port, reusePort: true }, () => {
  console.log(`${mesh.name} takes WebSockets on port ${port}`);
});

// After a signal, `deno serve` ends when nothing else keeps the workers running.
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
async function stop(): Promise<void> {
  server.close();
  await rooms.drain({ overMs: 2_000 });
  await mesh.shutdown();
}

export default {
  fetch: () =>
    Response.json(
      { worker: mesh.name, peers: mesh.peers.map(({ name }) => name) },
      { status: rooms.draining ? 503 : 200 },
    ),
} satisfies Deno.ServeDefaultExport;
