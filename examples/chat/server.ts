/**
 * One node of a chat that runs on any number of nodes. A browser connects to any of them, and its user
 * talks to everybody in a room, whichever node they are connected to.
 *
 * `deno task demo` starts three nodes on one machine. To start two of them by hand:
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -hex 16)
 * deno run --allow-net --allow-env=ROOMCAST_COOKIE --allow-read=examples/chat \
 *   examples/chat/server.ts --name chat-1@127.0.0.1:9001 --http 8001
 * deno run --allow-net --allow-env=ROOMCAST_COOKIE --allow-read=examples/chat \
 *   examples/chat/server.ts --name chat-2@127.0.0.1:9002 --http 8002 --seed 127.0.0.1:9001
 * ```
 *
 * With `--backplane nats://127.0.0.1:4222`, or `redis://…`, the nodes talk through that broker instead
 * of a mesh. The first lines of `main` and `backplane.ts` make it a cluster. `chat.ts` is the chat.
 *
 * @module
 */

import { createServer, type IncomingMessage } from "node:http";
import { acceptWebSocket, Rooms, type ServerWebSocket } from "../../mod.ts";
import { refuseUpgrade } from "../../websocket/mod.ts";
import { openBackplane } from "./backplane.ts";
import { Chat } from "./chat.ts";
import { ClusterView } from "./cluster_view.ts";
import { ConnectionLimit } from "./connection_limit.ts";
import { MAX_FRAME_BYTES, type ServerFrame } from "./frames.ts";
import { type Options, parseOptions } from "./options.ts";
import { loadStaticFiles } from "./static_files.ts";

/** How many WebSockets one node serves, in total and for one address. */
const MAX_SOCKETS = 2000;
const MAX_SOCKETS_PER_ADDRESS = 100;

/** How long the pages may take to move to other nodes when this one stops. */
const MOVE_MS = 1_500;

/** Over what time the node then closes the remaining sockets. */
const DRAIN_MS = 500;

/** How long stopping may take, for instance when a browser does not close its socket. */
const STOP_GRACE_MS = 3_000;

const STOPPING: ServerFrame = { type: "stopping" };

async function main(options: Options): Promise<void> {
  const { name, pages } = options;

  // All browsers on this node, which all get news of the cluster. It needs no backplane.
  const audience = new Rooms<ServerWebSocket>();
  const cluster = new ClusterView(name);
  let peers: () => string[] = () => [];
  const opened = await openBackplane(options, showCluster);
  peers = opened.peers;
  // The rooms of the chat, across all nodes.
  const rooms = new Rooms<ServerWebSocket>({ backplane: opened.backplane });
  opened.answerInspections?.(rooms);
  const chat = new Chat(name, rooms);

  function showCluster(): void {
    audience.broadcast("all", clusterFrame());
  }
  function clusterFrame(): string {
    cluster.update(peers());
    const frame: ServerFrame = { type: "cluster", node: name, nodes: cluster.nodes, pages };
    return JSON.stringify(frame);
  }

  let stopping = false;
  const empty = Promise.withResolvers<void>();
  const limit = new ConnectionLimit({ max: MAX_SOCKETS, maxPerAddress: MAX_SOCKETS_PER_ADDRESS });
  const serveFile = await loadStaticFiles(pages);
  const server = createServer((request, response) => {
    if (request.url === "/ready") response.writeHead(stopping ? 503 : 200).end();
    else serveFile(request, response);
  });
  server.on("upgrade", (request, stream, head) => {
    const address = request.socket.remoteAddress ?? "";
    if (stopping) return refuseUpgrade(stream, 503, "This node is stopping.");
    if (limit.isFull(address)) return refuseUpgrade(stream, 503, "Too many connections.");
    const socket = acceptWebSocket(request, stream, head, {
      origins: (origin) => mayConnect(origin, request, pages),
      maxMessageBytes: MAX_FRAME_BYTES,
    });
    if (socket === undefined) return; // refused, and answered
    limit.add(address);
    audience.join(socket, "all");
    socket.addEventListener("close", () => {
      limit.remove(address);
      if (stopping && audience.socketCount === 0) empty.resolve();
    });
    socket.send(clusterFrame());
    chat.serve(socket);
  });
  const { hostname, port } = options.http;
  server.listen(port, hostname, () => console.log(`listening on http://${hostname}:${port}/`));

  onStopRequest(options, async (why) => {
    if (stopping) return;
    stopping = true;
    console.log(`stopping (${why})`);
    setTimeout(() => Deno.exit(1), STOP_GRACE_MS);
    chat.stop();
    server.close();
    const { sent } = audience.broadcast("all", JSON.stringify(STOPPING));
    setTimeout(empty.resolve, MOVE_MS);
    if (sent > 0) await empty.promise;
    await audience.drain({ overMs: DRAIN_MS });
    await opened.shutdown();
    Deno.exit(0);
  });
}

/** Accepts our own pages, and clients that are no pages. Other sites must not use their visitors. */
function mayConnect(
  text: string | null,
  { headers }: IncomingMessage,
  pages: readonly string[],
): boolean {
  if (text === null) return true; // not a browser
  const origin = URL.parse(text);
  if (origin === null) return false;
  // People often type localhost instead of 127.0.0.1.
  const page = origin.origin.replace("//localhost:", "//127.0.0.1:");
  return origin.host === headers.host || pages.includes(page);
}

function onStopRequest(options: Options, stop: (why: string) => void): void {
  Deno.addSignalListener("SIGINT", () => stop("SIGINT"));
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", () => stop("SIGTERM"));
  if (options.stopWithStdin) {
    Deno.stdin.readable.pipeTo(new WritableStream()).finally(() => stop("end of stdin"));
  }
}

try {
  await main(parseOptions(Deno.args, Deno.env.get("ROOMCAST_COOKIE")));
} catch (error) {
  // The cause is nearly always a flag, the cookie, or a port that is in use.
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
