/** Brokers whose permissions a test can change, each behind the same few methods. */

import { Broker } from "../../examples/chat/broker.ts";
import type { BrokerBackplane, BrokerOptions } from "../../brokers/redis.ts";
import { connectRedis, disconnect, isSkipped, natsNode, redisNode } from "./_servers.ts";

/** A node with its connections. */
export interface Node extends AsyncDisposable {
  readonly backplane: BrokerBackplane;
}

/** A broker with one user whose permissions change. */
export interface GuardedBroker extends AsyncDisposable {
  /** A node of the user whose permissions change. */
  guarded(options?: Partial<BrokerOptions>): Promise<Node>;
  /** A node of a user who may do everything. */
  free(options?: Partial<BrokerOptions>): Promise<Node>;
  /** From now on, the user may subscribe to these topics only; they may end in `*`. */
  allow(topics: string): Promise<void>;
  /** Breaks all connections of the user; clients reconnect. */
  disconnect?(): Promise<void>;
}

/** A kind of broker. */
export interface GuardedKind {
  readonly name: "nats" | "redis";
  readonly ignore: boolean;
  /** Starts one where the user may subscribe to these topics only. */
  start(topics: string): Promise<GuardedBroker>;
}

export const GUARDED: readonly GuardedKind[] = [
  { name: "nats", ignore: isSkipped("nats"), start: startNats },
  { name: "redis", ignore: isSkipped("redis"), start: startRedis },
];

/** Everything that belongs to the cluster of the tests. */
export const EVERYTHING = "roomcast.*";

async function startRedis(topics: string): Promise<GuardedBroker> {
  const broker = await Broker.start("redis");
  const admin = connectRedis(broker);
  const login = { username: "guarded", password: "secret" };
  const allow = async (topics: string) => {
    const rules = ["on", ">secret", "+@all", "resetchannels", `&${topics}`];
    await admin.call("ACL", "SETUSER", "guarded", ...rules);
  };
  await allow(topics);
  return {
    guarded: (options) => redisNode(broker, options, login),
    free: (options) => redisNode(broker, options),
    allow,
    async disconnect() {
      await admin.call("CLIENT", "KILL", "USER", "guarded");
    },
    async [Symbol.asyncDispose]() {
      await disconnect(admin);
      await broker.stop();
    },
  };
}

async function startNats(topics: string): Promise<GuardedBroker> {
  const folder = await Deno.makeTempDir();
  const config = `${folder}/nats.conf`;
  const pidFile = `${folder}/nats.pid`;
  const write = (topics: string) => {
    const subject = topics === EVERYTHING ? "roomcast.>" : topics;
    return Deno.writeTextFile(
      config,
      `authorization { users = [
         { user: free, password: secret }
         { user: guarded, password: secret, permissions: { publish: ">", subscribe: "${subject}" } }
       ] }`,
    );
  };
  await write(topics);
  const broker = await Broker.start("nats", ["--config", config, "--pid", pidFile]);
  return {
    guarded: (options) => natsNode(broker, options, { user: "guarded", pass: "secret" }),
    free: (options) => natsNode(broker, options, { user: "free", pass: "secret" }),
    async allow(topics) {
      await write(topics);
      Deno.kill(Number(await Deno.readTextFile(pidFile)), "SIGHUP");
    },
    async [Symbol.asyncDispose]() {
      await broker.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
