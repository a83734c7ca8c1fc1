/** A server on loopback whose sockets a test gets to see, on every runtime. */

import { createServer } from "node:http";
import type { Duplex } from "node:stream";
import {
  type AcceptOptions,
  acceptWebSocket,
  type ServerCloseEvent,
  type ServerWebSocket,
} from "../../websocket/mod.ts";
import { RawClient, type RequestForm } from "./_raw_client.ts";

export interface Served {
  readonly port: number;
  /** A socket and its client, connected. */
  open(
    form?: RequestForm,
    after?: Uint8Array,
  ): Promise<{ client: RawClient; socket: ServerWebSocket }>;
  /** A client that is not a WebSocket yet. */
  connect(): RawClient;
  /** The next socket that is accepted. */
  accepted(): Promise<ServerWebSocket>;
}

export interface ServeOptions extends AcceptOptions {
  /** Called in the turn in which the socket is accepted. */
  onSocket?: (socket: ServerWebSocket) => void;
  /** Called before it is accepted. */
  onUpgrade?: (stream: Duplex) => void;
}

/** Runs `run` with a server, and ends all that is left of it. */
export async function serve(
  options: ServeOptions,
  run: (served: Served) => Promise<void>,
): Promise<void> {
  const { onSocket, onUpgrade, ...accept } = options;
  const server = createServer((_request, response) => {
    response.writeHead(426).end();
  });
  const streams = new Set<Duplex>();
  const clients: RawClient[] = [];
  const waiting: ((socket: ServerWebSocket) => void)[] = [];
  const sockets: ServerWebSocket[] = [];
  server.on("upgrade", (request, stream, head) => {
    streams.add(stream);
    stream.on("close", () => streams.delete(stream));
    onUpgrade?.(stream);
    const socket = acceptWebSocket(request, stream, head, accept);
    if (socket === undefined) return;
    onSocket?.(socket);
    const next = waiting.shift();
    if (next === undefined) sockets.push(socket);
    else next(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  const { port } = address;
  const accepted = () => {
    const socket = sockets.shift();
    if (socket !== undefined) return Promise.resolve(socket);
    return new Promise<ServerWebSocket>((resolve) => waiting.push(resolve));
  };
  const connect = () => {
    const client = new RawClient(port);
    clients.push(client);
    return client;
  };
  const open = async (form?: RequestForm, after?: Uint8Array) => {
    const client = await RawClient.open(port, form, after);
    clients.push(client);
    return { client, socket: await accepted() };
  };
  try {
    await run({ port, open, connect, accepted });
  } finally {
    for (const client of clients) client.socket.destroy();
    for (const stream of streams) stream.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.all(
      clients.filter(({ closed }) => !closed).map(({ socket }) =>
        new Promise<void>((resolve) => socket.once("close", () => resolve()))
      ),
    );
  }
}

/** Sends every message back. */
export function echo(socket: ServerWebSocket): void {
  socket.binaryType = "uint8array";
  socket.onmessage = ({ data }) => socket.send(data);
}

/** Resolves when the socket has closed. */
export function closeOf(socket: ServerWebSocket): Promise<ServerCloseEvent> {
  return new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }));
}
