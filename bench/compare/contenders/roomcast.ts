/** roomcast with its own WebSocket endpoint. It runs on Deno, Node.js and Bun. */

import { createServer } from "node:http";
import { Rooms } from "../../../rooms/mod.ts";
import { acceptWebSocket, type ServerWebSocket } from "../../../websocket/mod.ts";
import { connectNode } from "./backplanes.ts";
import { config, ready, takeOrders } from "./control.mjs";
import type { NodeConfig } from "./node_config.ts";
import { obey } from "./orders.ts";

const node: NodeConfig = config;
const { backplane, seed } = await connectNode(node);
const rooms = new Rooms<ServerWebSocket>({ backplane });

const server = createServer((_request, response) => {
  response.writeHead(426).end();
});
server.on("upgrade", (request, stream, head) => {
  const socket = acceptWebSocket(request, stream, head);
  if (socket === undefined) return;
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") obey(rooms, socket, data);
  };
});
server.listen({ host: node.hostname, port: 0 }, () => {
  const address = server.address();
  takeOrders();
  ready({ port: typeof address === "object" ? address?.port ?? 0 : 0, seed });
});
