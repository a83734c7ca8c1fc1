/** The chat over NATS. */

import { connect } from "@nats-io/transport-node";
import { natsBackplane } from "../../backplanes/nats.ts";
import { type ChatBackplane, followEngine, reach } from "./backplane.ts";

/** Connects with the NATS server at `nats://host:port`. */
export async function openNats(
  engine: URL,
  onNews: (news: string) => void,
): Promise<ChatBackplane> {
  const connection = await reach(
    engine,
    connect({
      servers: engine.host,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 500,
      // A connection that is dead without a word is found out in 20 s, instead of minutes.
      pingInterval: 10_000,
    }),
  );
  // Each node gets the messages of those rooms alone that have somebody on it.
  const backplane = natsBackplane({ connection, cluster: "chat", interest: "room" });
  const peers = await followEngine(backplane, engine, onNews);
  return {
    backplane,
    peers,
    async shutdown() {
      await backplane.shutdown();
      await connection.close();
    },
  };
}
