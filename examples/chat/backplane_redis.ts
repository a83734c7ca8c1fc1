/** The chat over Redis. */

import { Redis } from "ioredis";
import { redisBackplane } from "../../brokers/redis.ts";
import { type ChatBackplane, followBroker, reach } from "./backplane.ts";

/** Connects to the Redis server at `redis://host:port`. */
export async function openRedis(
  broker: URL,
  onChange: () => void,
): Promise<ChatBackplane> {
  const connect = () => {
    const client = new Redis({
      host: broker.hostname,
      port: Number(broker.port || 6379),
      autoResendUnfulfilledCommands: false,
      // The system's keep-alive probes find a silently dead connection.
      keepAlive: 10_000,
    });
    // Redis is away: the backplane reports that by its own events.
    client.on("error", () => {});
    return client;
  };
  const [publisher, subscriber] = [connect(), connect()];
  const refused = new Promise<never>((_, reject) => publisher.once("error", reject));
  const disconnect = () => [publisher, subscriber].forEach((client) => client.disconnect());
  try {
    await reach(broker, Promise.race([publisher.ping(), refused]));
  } catch (error) {
    disconnect();
    throw error;
  }
  // Each node gets only the messages of rooms that have members on it.
  const backplane = redisBackplane({ publisher, subscriber, cluster: "chat", interest: "room" });
  const peers = await followBroker(backplane, broker, onChange);
  return {
    backplane,
    peers,
    async shutdown() {
      await backplane.shutdown();
      disconnect();
    },
  };
}
