/** The chat over Redis. */

import { Redis } from "ioredis";
import { redisBackplane } from "../../brokers/redis.ts";
import { type ChatBackplane, followBroker, reach } from "./backplane.ts";

/** Connects with the Redis server at `redis://host:port`. */
export async function openRedis(
  broker: URL,
  onChange: () => void,
): Promise<ChatBackplane> {
  const connect = () => {
    const client = new Redis({
      host: broker.hostname,
      port: Number(broker.port || 6379),
      autoResendUnfulfilledCommands: false,
      // A connection that is dead without a word is found out, by the system's probes.
      keepAlive: 10_000,
    });
    // While Redis is away; the backplane tells of that by its own events.
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
  // Each node gets the messages of those rooms alone that have somebody on it.
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
