/** The chat over NATS. */

import { connect } from "@nats-io/transport-node";
import { natsBackplane } from "../../brokers/nats.ts";
import { type ChatBackplane, followBroker, reach } from "./backplane.ts";

/** Connects to the NATS server at `nats://host:port`. */
export async function openNats(
  broker: URL,
  onChange: () => void,
): Promise<ChatBackplane> {
  const connection = await reach(
    broker,
    connect({
      servers: broker.host,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 500,
      // The client notices a silently dead connection within 20 s, instead of minutes.
      pingInterval: 10_000,
    }),
  );
  // Each node gets only the messages of rooms that have members on it.
  const backplane = natsBackplane({ connection, cluster: "chat", interest: "room" });
  const peers = await followBroker(backplane, broker, onChange);
  return {
    backplane,
    peers,
    async shutdown() {
      await backplane.shutdown();
      await connection.close();
    },
  };
}
