/**
 * Yjs documents on several servers, for unmodified `y-websocket` clients.
 *
 * ```sh
 * export ROOMCAST_COOKIE=$(openssl rand -base64 32)
 * NODE_NAME=yjs-1@127.0.0.1:9001 PORT=8001 deno run -A examples/yjs/server.ts
 * NODE_NAME=yjs-2@127.0.0.1:9002 PORT=8002 SEEDS=127.0.0.1:9001 deno run -A examples/yjs/server.ts
 * ```
 *
 * The path is the name of the document: `new WebsocketProvider("ws://127.0.0.1:8001", "notes", doc)`.
 * A server keeps a document in memory while one of its clients has it open. It stores nothing: when the
 * last client leaves, the document is gone. Anybody who can open a document can change all of it, so
 * check the user before you accept the socket.
 *
 * @module
 */

import { createServer } from "node:http";
import { acceptWebSocket, logEvents, Rooms, type ServerWebSocket, startMesh } from "../../mod.ts";
import { refuseUpgrade } from "../../websocket/mod.ts";
import { SharedDocument } from "./shared_document.ts";

/** A client sends its whole document in one message if the server does not have it yet. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;

const mesh = await startMesh({
  name: Deno.env.get("NODE_NAME") ?? "yjs-1@127.0.0.1:9001",
  cookie: Deno.env.get("ROOMCAST_COOKIE") ?? "",
  seeds: Deno.env.get("SEEDS")?.split(",").filter(Boolean),
  // A server gets only the documents that its clients have open.
  interest: "room",
});
logEvents(mesh);
const rooms = new Rooms<ServerWebSocket>({ backplane: mesh, maxBufferedBytes: MAX_BUFFERED_BYTES });

const documents = new Map<string, SharedDocument>();
// After a lost link, each side may have changes that the other has missed.
const syncAll = () => documents.forEach((document) => document.askOtherServers());
mesh.addEventListener("peerup", syncAll);
rooms.addEventListener("missed", syncAll);

const server = createServer((_request, response) => {
  response.writeHead(426).end("This port is for WebSockets.\n");
});
server.on("upgrade", (request, stream, head) => {
  const name = /^\/([\w-]{1,100})(\?|$)/.exec(request.url ?? "")?.[1];
  if (name === undefined) return refuseUpgrade(stream, 404, "There is no document of that name.");
  if (rooms.draining) return refuseUpgrade(stream, 503, "This server is restarting.");
  const socket = acceptWebSocket(request, stream, head, {
    maxMessageBytes: MAX_MESSAGE_BYTES,
    maxBufferedBytes: MAX_BUFFERED_BYTES,
  });
  if (socket === undefined) return; // refused, and answered
  const document = documents.get(name) ?? new SharedDocument(name, rooms);
  documents.set(name, document);
  document.join(socket);
  socket.onmessage = ({ data }) => {
    try {
      document.receive(socket, data);
    } catch {
      socket.close(1007, "not a y-websocket message");
    }
  };
  socket.onclose = () => {
    if (document.leave(socket) === 0) documents.delete(name);
  };
});
// The server lets clients in only when it can ask the other servers for their documents.
await mesh.ready();
server.listen(Number(Deno.env.get("PORT") ?? 8001));

Deno.addSignalListener("SIGTERM", async () => {
  await rooms.drain({ overMs: 2_000 });
  server.close();
  await mesh.shutdown();
});
