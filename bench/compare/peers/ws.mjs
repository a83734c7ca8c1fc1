/**
 * `ws` on Node.js, with what most teams write first: rooms as sets of sockets, every broadcast as
 * JSON to one channel of Redis, which every node reads, the sender too. Or alone, with the sets only.
 */

import { createServer } from "node:http";
import { Redis } from "ioredis";
import { WebSocketServer } from "ws";
import { config, ready, takeOrders } from "../contenders/control.mjs";

const CHANNEL = "broadcasts";

/** @type {Map<string, Set<import("ws").WebSocket>>} */
const rooms = new Map();

function deliver(room, body) {
  for (const socket of rooms.get(room) ?? []) {
    if (socket.readyState === socket.OPEN) socket.send(body);
  }
}

let broadcast = deliver;

if (config.kind === "redis") {
  const publisher = new Redis({ port: config.brokerPort });
  const subscriber = publisher.duplicate();
  subscriber.on("message", (_channel, text) => {
    const { room, body } = JSON.parse(text);
    deliver(room, body);
  });
  await subscriber.subscribe(CHANNEL);
  broadcast = (room, body) => {
    publisher.publish(CHANNEL, JSON.stringify({ room, body }));
  };
}

const http = createServer();
new WebSocketServer({ server: http }).on("connection", (socket) => {
  const mine = new Set();
  socket.on("error", () => {});
  socket.on("message", (data) => {
    const order = JSON.parse(data);
    if (order.join) {
      for (const room of order.join) {
        mine.add(room);
        const members = rooms.get(room);
        if (members) members.add(socket);
        else rooms.set(room, new Set([socket]));
      }
      socket.send("joined");
      return;
    }
    for (let i = 0; i < order.times; i++) broadcast(order.room, order.body);
  });
  socket.on("close", () => {
    for (const room of mine) rooms.get(room)?.delete(socket);
  });
});

http.listen(0, config.hostname, () => {
  takeOrders();
  ready({ port: http.address().port });
});
