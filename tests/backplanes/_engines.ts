/** Real engines, where they are installed. */

import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { type BrokerBackplane, natsBackplane, type NatsOptions } from "../../backplanes/nats.ts";
import { redisBackplane, type RedisOptions } from "../../backplanes/redis.ts";
import {
  type Engine,
  engineHint,
  type EngineName,
  findEngine,
} from "../../examples/chat/engine.ts";

/** True where tests with an engine are to be skipped, which is said once. */
export function isSkipped(name: EngineName): boolean {
  if (findEngine(name) !== undefined || Deno.env.get("CI") === "true") return false;
  if (!told.has(name)) {
    told.add(name);
    console.warn(`Nothing is tried with ${name}: it is not installed. ${engineHint(name)}`);
  }
  return true;
}

const told = new Set<EngineName>();

/** A node over an engine. */
export interface EngineNode extends AsyncDisposable {
  readonly backplane: BrokerBackplane;
  /** Ends it and its connections. */
  end(): Promise<void>;
}

/** A connection to NATS that never gives up. */
export function connectNats(
  engine: Engine,
  login: { user?: string; pass?: string } = {},
): Promise<NatsConnection> {
  return connect({
    ...login,
    servers: `127.0.0.1:${engine.port}`,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
    reconnectJitter: 0,
  });
}

/** A node over NATS, and its connection. */
export async function natsNode(
  engine: Engine,
  options: Partial<NatsOptions> = {},
  login: { user?: string; pass?: string } = {},
): Promise<EngineNode & { connection: NatsConnection }> {
  const connection = await connectNats(engine, login);
  const backplane = natsBackplane({ connection, cluster: "test", ...options });
  const end = async () => {
    await backplane.shutdown();
    await connection.close();
  };
  return { backplane, connection, end, [Symbol.asyncDispose]: end };
}

/** A client of Redis that comes back soon. */
export function connectRedis(engine: Engine): Redis {
  const redis = new Redis({
    host: "127.0.0.1",
    port: engine.port,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => 50,
  });
  // While the engine is away; the backplane tells of that by its own events.
  redis.on("error", () => {});
  return redis;
}

/** A node over Redis, and its clients. */
export async function redisNode(
  engine: Engine,
  options: Partial<RedisOptions> = {},
): Promise<EngineNode & { publisher: Redis; subscriber: Redis }> {
  const publisher = connectRedis(engine);
  const subscriber = connectRedis(engine);
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
