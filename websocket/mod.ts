/**
 * WebSockets for servers that send a lot to many clients: the server's side of RFC 6455 over an
 * upgraded stream of `node:http` or `node:https`, on Deno, Node.js and Bun.
 *
 * A frame is made once for all sockets that are sent it. Everything that a socket is sent during a
 * turn of the event loop is written in one piece when the turn ends. Sockets that are sent the same
 * frames share that piece as well.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { acceptWebSocket } from "@roomcast/roomcast/websocket";
 *
 * const server = createServer((_request, response) => response.writeHead(426).end());
 * server.on("upgrade", (request, stream, head) => {
 *   const socket = acceptWebSocket(request, stream, head, { origins: ["https://chat.example"] });
 *   if (socket === undefined) return; // refused, and answered
 *   socket.onmessage = ({ data }) => socket.send(data);
 * });
 * ```
 *
 * What it promises:
 *
 * - Nothing that a client sends, or leaves out, can end the process: faults close that client's
 *   socket with the code that RFC 6455 has for them, errors of handlers with 1011.
 * - What a client can make the server hold is limited by `maxMessageBytes` and `maxBufferedBytes`.
 * - Some clients cannot hold up the others. Reading pauses after some 5 ms of a turn of the event loop.
 *   Writing and ending connections pause after some 10 ms each. Clients that send much, and those that
 *   are sent much, come after the others.
 * - A client that is gone is noticed: it is sent a ping when it has been silent for
 *   `pingIntervalMs`.
 * - Closing always ends, after some 4 s at the latest, and frees what was unsent.
 * - One timer and one flush serve all sockets of the process; they end with the last socket.
 *
 * What it does not do: it speaks only HTTP/1.1, sends no fragments, and opens no connections
 * itself.
 *
 * @module
 */

export * from "./accept.ts";
export * from "./events.ts";
export { type AcceptOptions } from "./options.ts";
export { refuseUpgrade } from "./refuse_upgrade.ts";
export { ServerWebSocket } from "./server_websocket.ts";
export * from "./upgrade.ts";
