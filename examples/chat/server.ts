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
 * The part that makes it a cluster is the first ten lines of `main`; `chat.ts` is the chat.
 *
 * @module
 */

import { Rooms, startMesh } from "../../mod.ts";
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
  const { name, cookie, seeds, pages } = options;

  const mesh = await startMesh({ name, cookie, seeds });
  const rooms = new Rooms({ backplane: mesh }); // the rooms of the chat, across all nodes
  const audience = new Rooms(); // no backplane: the browsers on this node, which all hear of peers
  const chat = new Chat(name, rooms);

  mesh.addEventListener("peerup", ({ detail }) => showCluster(`${detail.peer.name} is connected`));
  mesh.addEventListener("peerdown", ({ detail: { peer, reason } }) => {
    if (reason !== "replaced" && reason !== "shut-down") {
      showCluster(`${peer.name} is away: ${reason}`);
    }
  });
  mesh.addEventListener("refused", ({ detail: { address, code } }) => {
    // Nodes that are away are dialled again and again; that they do not answer is no news.
    if (code !== "unreachable") console.warn(`no link with ${address}: ${code}`);
  });

  const cluster = new ClusterView(name);
  function showCluster(news: string): void {
    console.log(news);
    audience.broadcast("all", clusterFrame());
  }
  function clusterFrame(): string {
    cluster.update(mesh.peers.map((peer) => peer.name));
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
    await Promise.all([server.shutdown(), mesh.shutdown()]);
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
