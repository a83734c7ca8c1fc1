/** What one writes on Deno before there is a library: rooms as sets of sockets, and a loop. */

import { config, ready, takeOrders } from "./control.mjs";
import { isJoin, type NodeConfig, type Order } from "./node_config.ts";

const { hostname }: NodeConfig = config;

const rooms = new Map<string, Set<WebSocket>>();

function join(socket: WebSocket, names: readonly string[]): void {
  for (const name of names) {
    const members = rooms.get(name);
    if (members) members.add(socket);
    else rooms.set(name, new Set([socket]));
  }
  socket.send("joined");
}

function broadcast(room: string, body: string): void {
  for (const socket of rooms.get(room) ?? []) {
    if (socket.readyState === WebSocket.OPEN) socket.send(body);
  }
}

const server = Deno.serve({ hostname, port: 0, onListen() {} }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  const mine = new Set<string>();
  socket.onmessage = ({ data }) => {
    const order: Order = JSON.parse(data);
    if (isJoin(order)) {
      for (const room of order.join) mine.add(room);
      return join(socket, order.join);
    }
    for (let i = 0; i < order.times; i++) broadcast(order.room, order.body);
  };
  socket.onclose = () => {
    for (const room of mine) rooms.get(room)?.delete(socket);
  };
  return response;
});

takeOrders();
ready({ port: server.addr.port });
