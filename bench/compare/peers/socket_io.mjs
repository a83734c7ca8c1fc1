/**
 * Socket.IO on Node.js, over WebSocket only, as its documentation recommends where long polling is
 * not needed: alone, with the Redis adapter, or as workers of `node:cluster` with the cluster
 * adapter. There each worker listens at a port of its own, so that it is known who is on which node.
 */

import cluster from "node:cluster";
import { createServer } from "node:http";
import { createAdapter as createClusterAdapter, setupPrimary } from "@socket.io/cluster-adapter";
import { createAdapter as createRedisAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { alsoOrder, collectGarbage, config, ready, takeOrders } from "../contenders/control.mjs";

/** @returns {import("socket.io").ServerOptions["adapter"]} */
function adapter() {
  if (config.kind === "cluster") return createClusterAdapter();
  if (config.kind !== "redis") return undefined;
  const publisher = new Redis({ port: config.brokerPort });
  return createRedisAdapter(publisher, publisher.duplicate());
}

/** @param {(port: number) => void} onListening */
function serve(onListening) {
  const http = createServer();
  const io = new Server(http, {
    transports: ["websocket"],
    serveClient: false,
    adapter: adapter(),
  });
  io.on("connection", (socket) => {
    socket.on("join", (rooms) => {
      socket.join(rooms);
      socket.emit("joined");
    });
    socket.on("broadcast", ({ room, body, times }) => {
      for (let i = 0; i < times; i++) io.to(room).emit("m", body);
    });
  });
  // `exclusive`: otherwise the primary process would listen, and hand connections round.
  const address = { host: config.hostname, port: 0, exclusive: true };
  http.listen(address, () => onListening(http.address().port));
}

if (config.kind !== "cluster") {
  serve((port) => {
    takeOrders();
    ready({ port });
  });
} else if (cluster.isPrimary) {
  setupPrimary();
  cluster.setupPrimary({ serialization: "advanced" });
  cluster.on("message", (worker, message) => {
    if (message?.listening) ready({ port: message.listening, pid: worker.process.pid });
  });
  // As its documentation does: a worker that dies is replaced.
  cluster.on("exit", () => cluster.fork());
  for (let i = 0; i < config.nodes; i++) cluster.fork();
  alsoOrder((order) => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.send({ order });
  });
  takeOrders();
} else {
  process.on("message", (message) => {
    if (message?.order?.op === "gc") collectGarbage();
  });
  process.on("disconnect", () => process.exit(0));
  serve((port) => process.send?.({ listening: port }));
}
