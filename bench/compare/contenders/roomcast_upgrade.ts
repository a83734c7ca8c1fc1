/** roomcast with the sockets of `Deno.upgradeWebSocket`. */

import { Rooms } from "../../../rooms/mod.ts";
import { connectNode } from "./backplanes.ts";
import { config, ready, takeOrders } from "./control.mjs";
import type { NodeConfig } from "./node_config.ts";
import { obey } from "./orders.ts";

const node: NodeConfig = config;
const { backplane, seed } = await connectNode(node);
const rooms = new Rooms<WebSocket>({ backplane });

const server = Deno.serve({ hostname: node.hostname, port: 0, onListen() {} }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onmessage = ({ data }) => obey(rooms, socket, data);
  return response;
});

takeOrders();
ready({ port: server.addr.port, seed });
