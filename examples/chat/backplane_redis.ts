/** The chat over Redis. */

import { Redis } from "ioredis";
import { redisBackplane } from "../../backplanes/redis.ts";
import { type ChatBackplane, followEngine } from "./backplane.ts";

/** Connects with the Redis server at `redis://host:port`. */
export async function openRedis(
  engine: URL,
  onNews: (news: string) => void,
): Promise<ChatBackplane> {
  const connect = () => {
    const client = new Redis({
      host: engine.hostname,
      port: Number(engine.port || 6379),
      autoResendUnfulfilledCommands: false,
    });
    // While Redis is away; the backplane tells of that by its own events.
    client.on("error", () => {});
    return client;
  };
  const [publisher, subscriber] = [connect(), connect()];
  // Each node gets the messages of those rooms alone that have somebody on it.
  const backplane = redisBackplane({ publisher, subscriber, cluster: "chat", interest: "room" });
  await publisher.ping();
  const peers = await followEngine(backplane, engine, onNews);
  return {
    backplane,
    peers,
    async shutdown() {
      await backplane.shutdown();
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}
