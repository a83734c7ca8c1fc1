/** What connects the nodes of roomcast: the mesh over TLS or plain TCP, NATS, Redis, or nothing. */

import type { Backplane } from "../../../backplane/mod.ts";
import { say } from "./control.mjs";
import type { NodeConfig } from "./node_config.ts";

const COOKIE = "for the comparison only";
const CLUSTER = "compare";

/** A node that can reach the others. */
export interface Connected {
  readonly backplane?: Backplane;
  /** The address that later nodes are given to find this one. */
  readonly seed?: string;
}

/**
 * Connects this node to the others. Each case loads what it needs, because not every runtime can load
 * all of it.
 */
export async function connectNode({ kind, brokerPort, seeds }: NodeConfig): Promise<Connected> {
  switch (kind) {
    case "alone":
      return {};
    case "nats": {
      const { connect } = await import("@nats-io/transport-node");
      const { natsBackplane } = await import("../../../brokers/nats.ts");
      const servers = `127.0.0.1:${brokerPort}`;
      const connection = await connect({ servers, maxReconnectAttempts: -1 });
      const backplane = natsBackplane({ connection, cluster: CLUSTER });
      await backplane.ready();
      return { backplane };
    }
    case "redis": {
      const { Redis } = await import("ioredis");
      const { redisBackplane } = await import("../../../brokers/redis.ts");
      const redis = () => new Redis({ port: brokerPort, autoResendUnfulfilledCommands: false });
      const options = { publisher: redis(), subscriber: redis(), cluster: CLUSTER };
      const backplane = redisBackplane(options);
      await backplane.ready();
      return { backplane };
    }
    default: {
      const { startMesh } = await import("../../../mesh/mod.ts");
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
