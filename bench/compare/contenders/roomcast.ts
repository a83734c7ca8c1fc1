/** roomcast: as a mesh over TLS or plain TCP, over NATS, over Redis, or alone. */

import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { natsBackplane } from "../../../brokers/nats.ts";
import { redisBackplane } from "../../../brokers/redis.ts";
import { type Backplane, Rooms, startMesh } from "../../../mod.ts";
import { config, ready, say, takeOrders } from "./control.mjs";
import { isJoin, type NodeConfig, type Order } from "./node_config.ts";

const COOKIE = "for the comparison only";
const CLUSTER = "compare";

interface Connected {
  readonly backplane?: Backplane;
  /** What other nodes are to be told, so that they find this one. */
  readonly seed?: string;
}

async function connectNode({ kind, brokerPort, seeds }: NodeConfig): Promise<Connected> {
  switch (kind) {
    case "alone":
      return {};
    case "nats": {
      const connection = await connect({
        servers: `127.0.0.1:${brokerPort}`,
        maxReconnectAttempts: -1,
      });
      const backplane = natsBackplane({ connection, cluster: CLUSTER });
      await backplane.ready();
      return { backplane };
    }
    case "redis": {
      const redis = () => new Redis({ port: brokerPort, autoResendUnfulfilledCommands: false });
      const options = { publisher: redis(), subscriber: redis(), cluster: CLUSTER };
      const backplane = redisBackplane(options);
      await backplane.ready();
      return { backplane };
    }
    default: {
      const mesh = await startMesh({
        name: "n@127.0.0.1:0",
        cookie: COOKIE,
        seeds,
        tls: kind === "plain" ? false : undefined,
      });
      mesh.addEventListener("peerdown", ({ peer }) => say({ event: "peerdown", peer: peer.name }));
      mesh.addEventListener("peerup", ({ peer }) => say({ event: "peerup", peer: peer.name }));
      return { backplane: mesh, seed: mesh.name };
    }
  }
}

const node: NodeConfig = config;
const { backplane, seed } = await connectNode(node);
const rooms = new Rooms({ backplane });

const server = Deno.serve({ hostname: node.hostname, port: 0, onListen() {} }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onmessage = ({ data }) => {
    const order: Order = JSON.parse(data);
    if (isJoin(order)) {
      for (const room of order.join) rooms.join(socket, room);
      return socket.send("joined");
    }
    for (let i = 0; i < order.times; i++) rooms.broadcast(order.room, order.body);
  };
  return response;
});

takeOrders();
ready({ port: server.addr.port, seed });
