/** Bun's own topics: one node, as `publish` does not leave the process. */

import { config, ready, takeOrders } from "../contenders/control.mjs";

const server = Bun.serve({
  hostname: config.hostname,
  port: 0,
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response("a WebSocket, please", { status: 426 });
  },
  websocket: {
    message(socket, data) {
      const order = JSON.parse(data);
      if (order.join) {
        for (const room of order.join) socket.subscribe(room);
        socket.send("joined");
        return;
      }
      for (let i = 0; i < order.times; i++) server.publish(order.room, order.body);
    },
  },
});

takeOrders();
ready({ port: server.port });
