/**
 * NATS and Redis by the drivers that people use. Where the brokers listen stands in the environment,
 * and so does the folder in which npm has installed the drivers; without these there is no case.
 */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { env } from "node:process";
import type * as Nats from "@nats-io/transport-node";
import type * as Redis from "ioredis";
import type { BrokerBackplane } from "../../../brokers/nats.ts";
import { natsBackplane } from "../../../brokers/nats.ts";
import { redisBackplane } from "../../../brokers/redis.ts";
import { Rooms } from "../../../rooms/mod.ts";
import type { Cases } from "../../websocket/cases/_cases.ts";

/** A node over a broker, and how it and its connections end. */
interface Node {
  readonly backplane: BrokerBackplane;
  end(): Promise<unknown>;
}

type Interest = "cluster" | "room";

function driver<T>(name: string, folder: string): T {
  return createRequire(join(folder, "package.json"))(name);
}

function overNats(folder: string, port: string) {
  return async (interest: Interest): Promise<Node> => {
    const { connect } = driver<typeof Nats>("@nats-io/transport-node", folder);
    const connection = await connect({ servers: `127.0.0.1:${port}` });
    const backplane = natsBackplane({ connection, cluster: "runtimes", interest });
    return { backplane, end: () => backplane.shutdown().then(() => connection.close()) };
  };
}

function overRedis(folder: string, port: string) {
  return (interest: Interest): Promise<Node> => {
    const { Redis: Client } = driver<typeof Redis>("ioredis", folder);
    const [publisher, subscriber] = [1, 2].map(() =>
      new Client({ host: "127.0.0.1", port: Number(port), autoResendUnfulfilledCommands: false })
    );
    const backplane = redisBackplane({ publisher, subscriber, cluster: "runtimes", interest });
    const end = async () => {
      await backplane.shutdown();
      for (const client of [publisher, subscriber]) client.disconnect();
    };
    return Promise.resolve({ backplane, end });
  };
}

function casesOf(kind: string, start: (interest: Interest) => Promise<Node>): Cases {
  const hears = async (interest: Interest) => {
    const nodes = await Promise.all([start(interest), start(interest)]);
    const [a, b] = nodes.map(({ backplane }) => new Rooms({ backplane }));
    const heard = new Promise<[text: unknown, bytes: unknown]>((resolve) => {
      const messages: unknown[] = [];
      b.listen("lobby", (message) => {
        if (messages.push(message) === 2) resolve([messages[0], messages[1]]);
      });
    });
    await Promise.all(nodes.map(({ backplane }) => backplane.ready()));
    const bytes = new Uint8Array(100_000).fill(3);
    // A broker counts as one node.
    assert.equal(a.broadcast("lobby", "héllo 🎉").peers, 1);
    a.broadcast("lobby", bytes);
    assert.deepEqual(await heard, ["héllo 🎉", bytes]);
    await Promise.all(nodes.map(({ end }) => end()));
  };
  return {
    [`nodes hear each other over a broker: ${kind}`]: () => hears("cluster"),
    [`nodes hear each other over a broker: ${kind}, with interest in the room`]: () =>
      hears("room"),
  };
}

const { ROOMCAST_DRIVERS: folder, ROOMCAST_NATS: nats, ROOMCAST_REDIS: redis } = env;

export const BROKERS: Cases = folder === undefined ? {} : {
  ...nats === undefined ? {} : casesOf("NATS", overNats(folder, nats)),
  ...redis === undefined ? {} : casesOf("Redis", overRedis(folder, redis)),
};
