/** Real brokers, where they are installed. */

import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { type BrokerBackplane, natsBackplane, type NatsOptions } from "../../brokers/nats.ts";
import { redisBackplane, type RedisOptions } from "../../brokers/redis.ts";
import {
  type Broker,
  brokerHint,
  type BrokerName,
  findBroker,
} from "../../examples/chat/broker.ts";

/** True where tests with a broker are skipped. Says so once. */
export function isSkipped(name: BrokerName): boolean {
  if (findBroker(name) !== undefined || Deno.env.get("CI") === "true") return false;
  if (!told.has(name)) {
    told.add(name);
    console.warn(`Tests with ${name} are skipped: it is not installed. ${brokerHint(name)}`);
  }
  return true;
}

const told = new Set<BrokerName>();

/** A node over a broker. */
export interface BrokerNode extends AsyncDisposable {
  readonly backplane: BrokerBackplane;
  /** Ends it and its connections. */
  end(): Promise<void>;
}

/** A connection to NATS that never gives up. */
export function connectNats(
  broker: Broker,
  options: { user?: string; pass?: string; waitOnFirstConnect?: boolean } = {},
): Promise<NatsConnection> {
  return connect({
    ...options,
    servers: `127.0.0.1:${broker.port}`,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
    reconnectJitter: 0,
  });
}

/** A node over NATS, and its connection. */
export async function natsNode(
  broker: Broker,
  options: Partial<NatsOptions> = {},
  login: { user?: string; pass?: string } = {},
): Promise<BrokerNode & { connection: NatsConnection }> {
  const connection = await connectNats(broker, login);
  const backplane = natsBackplane({ connection, cluster: "test", ...options });
  const end = async () => {
    await backplane.shutdown();
    await connection.close();
  };
  return { backplane, connection, end, [Symbol.asyncDispose]: end };
}

/** How a client logs in. */
export interface RedisLogin {
  readonly username?: string;
  readonly password?: string;
}

/** A client of Redis that reconnects soon. */
export function connectRedis(broker: Broker, login: RedisLogin = {}): Redis {
  const redis = new Redis({
    ...login,
    host: "127.0.0.1",
    port: broker.port,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => 50,
  });
  // Without a listener, ioredis prints every failed attempt. The backplane has events of its own.
  redis.on("error", () => {});
  return redis;
}

/** A node over Redis, and its clients. */
export async function redisNode(
  broker: Broker,
  options: Partial<RedisOptions> = {},
  login: RedisLogin = {},
): Promise<BrokerNode & { publisher: Redis; subscriber: Redis }> {
  const publisher = connectRedis(broker, login);
  const subscriber = connectRedis(broker, login);
  await Promise.all([publisher, subscriber].map((client) => client.ping()));
  const backplane = redisBackplane({ publisher, subscriber, cluster: "test", ...options });
  const end = async () => {
    await backplane.shutdown();
    await Promise.all([publisher, subscriber].map(disconnect));
  };
  return { backplane, publisher, subscriber, end, [Symbol.asyncDispose]: end };
}

/** Resolves when the connection is closed. */
export async function disconnect(client: Redis): Promise<void> {
  if (client.status === "end") return;
  const ended = new Promise((resolve) => client.once("end", resolve));
  client.disconnect();
  await ended;
}
