/** crossws on Deno: with its sync driver for Redis, or alone. */

import crossws from "crossws/adapters/deno";
import { redis } from "crossws/sync";
import { Redis } from "ioredis";
import { config, ready, takeOrders } from "../contenders/control.mjs";

const CHANNEL = "broadcasts";

function syncDriver() {
  if (config.kind !== "redis") return undefined;
  return redis({ channel: CHANNEL, client: new Redis({ port: config.brokerPort }) });
}

const ws = crossws({
  sync: syncDriver(),
  hooks: {
    message(peer, message) {
      const order = message.json();
      if (order.join) {
        for (const room of order.join) peer.subscribe(room);
        peer.send("joined");
        return;
      }
      for (let i = 0; i < order.times; i++) peer.publish(order.room, order.body);
    },
  },
});

const server = Deno.serve(
  { hostname: config.hostname, port: 0, onListen() {} },
  (request, info) => ws.handleUpgrade(request, info),
);

takeOrders();
ready({ port: server.addr.port });
