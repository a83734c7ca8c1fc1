/**
 * One node of a chat that runs on as many as you like. A browser connects to any of them, and talks
 * with everybody in its rooms, whichever node they are connected to.
 *
 * `deno task demo` starts three of these on one machine. By hand, a first and a second one:
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -hex 16)
 * deno run --allow-net --allow-env=ROOMCAST_COOKIE --allow-read=examples/chat \
 *   examples/chat/server.ts --name chat-1@127.0.0.1:9001 --http 8001
 * deno run --allow-net --allow-env=ROOMCAST_COOKIE --allow-read=examples/chat \
 *   examples/chat/server.ts --name chat-2@127.0.0.1:9002 --http 8002 --seed 127.0.0.1:9001
 * ```
 *
 * With `--backplane nats://127.0.0.1:4222`, or `redis://…`, nodes talk through that instead of
 * finding each other. The part that makes it a cluster is the first lines of `main` and
 * `backplane.ts`; `chat.ts` is the chat.
 *
 * @module
 */

import { Rooms } from "../../mod.ts";
import { openBackplane } from "./backplane.ts";
import { Chat } from "./chat.ts";
import { ClusterView } from "./cluster_view.ts";
import { ConnectionLimit } from "./connection_limit.ts";
import type { ServerFrame } from "./frames.ts";
import { type Options, parseOptions } from "./options.ts";
import { loadStaticFiles } from "./static_files.ts";

/** WebSockets that one node serves, in all and from one address. */
const MAX_SOCKETS = 2000;
const MAX_SOCKETS_PER_ADDRESS = 100;

/** How long stopping may take, for instance when a browser does not answer our goodbye. */
const STOP_GRACE_MS = 2_000;

const GOING_AWAY = 1001;

async function main(options: Options): Promise<void> {
  const { name, pages } = options;

  const audience = new Rooms(); // no backplane: the browsers on this node, which all hear of peers
  const cluster = new ClusterView(name);
  let peers: () => string[] = () => [];
  const opened = await openBackplane(options, showCluster);
  peers = opened.peers;
  const rooms = new Rooms({ backplane: opened.backplane }); // the rooms of the chat, across all nodes
  const chat = new Chat(name, rooms);

  function showCluster(news: string): void {
    console.log(news);
    audience.broadcast("all", clusterFrame());
  }
  function clusterFrame(): string {
    cluster.update(peers());
    const frame: ServerFrame = { type: "cluster", node: name, nodes: cluster.nodes, pages };
    return JSON.stringify(frame);
  }

  const limit = new ConnectionLimit({ max: MAX_SOCKETS, maxPerAddress: MAX_SOCKETS_PER_ADDRESS });
  function connect(request: Request, address: string): Response {
    const refusal = whyNot(request, pages);
    if (refusal) return refusal;
    if (!limit.admit(address)) return new Response("Too many connections.\n", { status: 503 });
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.addEventListener("close", () => limit.release(address));
    socket.addEventListener("open", () => {
      audience.join(socket, "all");
      socket.send(clusterFrame());
    });
    chat.serve(socket);
    return response;
  }

  const serveFile = await loadStaticFiles(pages);
  const server = Deno.serve({
    ...options.http,
    onListen: ({ hostname, port }) => console.log(`listening on http://${hostname}:${port}/`),
  }, (request, { remoteAddr }) => {
    const { pathname } = new URL(request.url);
    return pathname === "/chat" ? connect(request, remoteAddr.hostname) : serveFile(request);
  });

  let stopping = false;
  onStopRequest(options, async (why) => {
    if (stopping) return;
    stopping = true;
    console.log(`stopping (${why})`);
    setTimeout(() => Deno.exit(1), STOP_GRACE_MS);
    chat.stop();
    for (const socket of audience.members("all")) socket.close(GOING_AWAY, "node is stopping");
    await Promise.all([server.shutdown(), opened.shutdown()]);
    Deno.exit(0);
  });
}

/** Why a request does not get a WebSocket, if it does not. */
function whyNot(request: Request, pages: readonly string[]): Response | undefined {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    return new Response("This is for WebSockets.\n", { status: 426 });
  }
  if (!mayConnect(request.headers, pages)) {
    return new Response("Not from a page of somebody else's.\n", { status: 403 });
  }
  return undefined;
}

/** A page of ours, or no page at all: other sites must not speak through their visitors. */
function mayConnect(headers: Headers, pages: readonly string[]): boolean {
  const text = headers.get("origin");
  if (text === null) return true; // not a browser
  const origin = URL.parse(text);
  if (origin === null) return false;
  // Somebody who tries this at home may well type the other name of their machine.
  const page = origin.origin.replace("//localhost:", "//127.0.0.1:");
  return origin.host === headers.get("host") || pages.includes(page);
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
  // Nearly always something about the flags, the cookie or a port that is taken.
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
