/**
 * Rooms on all cores, and on other machines: one process with as many workers as there are cores.
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -hex 16)
 * NODE_NAME=chat-1@127.0.0.1:9001 deno serve --parallel --allow-net --allow-env \
 *   --port 8001 examples/parallel/server.ts
 * NODE_NAME=chat-2@127.0.0.1:9002 SEEDS=127.0.0.1:9001 deno serve --parallel --allow-net --allow-env \
 *   --port 8002 examples/parallel/server.ts
 * ```
 *
 * `deno serve --parallel` runs this module once for each core (or `DENO_JOBS` times). The copies
 * share rooms over a `BroadcastChannel`, and one of them holds the link to other machines for all.
 * The path of a WebSocket is its room: `ws://127.0.0.1:8001/lobby`. What else is asked for is
 * answered with the worker that got the question, how many others it knows, and whether one of them
 * has the link to other machines.
 *
 * @module
 */

import { Rooms, startMesh } from "../../mod.ts";
import { broadcastChannelBackplane } from "../../backplanes/broadcast_channel.ts";
import { compose } from "../../backplanes/compose.ts";
import { gatewayBackplane } from "../../backplanes/gateway.ts";

const name = Deno.env.get("NODE_NAME") ?? "chat-1@127.0.0.1:9001";
const cookie = Deno.env.get("ROOMCAST_COOKIE") ?? "";
const seeds = Deno.env.get("SEEDS")?.split(",").filter((seed) => seed !== "") ?? [];

const workers = broadcastChannelBackplane({ cluster: "chat" });
const machines = gatewayBackplane({
  cluster: "chat",
  async connect() {
    const mesh = await startMesh({ name, cookie, seeds });
    mesh.addEventListener("peerup", ({ peer }) => console.log(`${peer.name} is connected`));
    return mesh;
  },
});
machines.addEventListener("gatewayup", ({ worker, here }) => {
  if (here) console.log(`worker ${worker} is the gateway`);
});
machines.addEventListener("refused", ({ cause }) => {
  console.warn(`cannot connect: ${cause instanceof Error ? cause.message : cause}`);
});
const rooms = new Rooms({ backplane: compose(workers, machines) });

// At a signal `deno serve` stops listening and waits until nothing is left that runs.
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, stop);
async function stop(): Promise<void> {
  for (const socket of sockets) socket.close(1001);
  await machines.shutdown();
  await workers.shutdown();
}

const sockets = new Set<WebSocket>();

export default {
  fetch(request: Request): Response {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      const { id, peers } = workers;
      return Response.json({
        worker: id,
        others: peers.length,
        isLinked: machines.gateway !== undefined,
      });
    }
    const { socket, response } = Deno.upgradeWebSocket(request);
    const room = new URL(request.url).pathname;
    sockets.add(socket);
    socket.onclose = () => sockets.delete(socket);
    socket.onopen = () => {
      rooms.join(socket, room);
      socket.send(JSON.stringify({ worker: workers.id }));
    };
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string" || data.length > 10_000) return socket.close(1008);
      try {
        rooms.broadcast(room, data, { except: socket });
      } catch (error) {
        // A lone surrogate, for instance: what is thrown in an event would end the process.
        console.error(error);
        socket.close(1007);
      }
    };
    return response;
  },
} satisfies Deno.ServeDefaultExport;
