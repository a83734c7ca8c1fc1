/** Carries messages between the nodes of the chat: the mesh, or a broker. */

import { type Backplane, logEvents, startMesh } from "../../mod.ts";
import type { BrokerBackplane } from "../../brokers/nats.ts";
import { answerInspections, type InspectedRooms } from "../inspect/answer.ts";
import type { Options } from "./options.ts";

/** A backplane, and what the page shows of it. */
export interface ChatBackplane {
  readonly backplane: Backplane;
  /** Names of the nodes that this one is linked to, or the name of the broker. */
  peers(): string[];
  /** Answers `examples/inspect`, if there is a mesh to inspect. */
  answerInspections?(rooms: InspectedRooms): void;
  /** Leaves the cluster. */
  shutdown(): Promise<void>;
}

/** Opens the backplane that the options name. Calls `onChange` when `peers` changes. */
export async function openBackplane(
  options: Options,
  onChange: () => void,
): Promise<ChatBackplane> {
  // Loaded only when used, so that the mesh needs no broker's client.
  switch (options.broker?.protocol) {
    case "nats:": {
      const { openNats } = await import("./backplane_nats.ts");
      return await openNats(options.broker, onChange);
    }
    case "redis:": {
      const { openRedis } = await import("./backplane_redis.ts");
      return await openRedis(options.broker, onChange);
    }
    default:
      return await openMesh(options, onChange);
  }
}

async function openMesh(
  { name, cookie, seeds }: Options,
  onChange: () => void,
): Promise<ChatBackplane> {
  const mesh = await startMesh({ name, cookie, seeds });
  logEvents(mesh);
  mesh.addEventListener("peerup", onChange);
  mesh.addEventListener("peerdown", onChange);
  return {
    backplane: mesh,
    peers: () => mesh.peers.map((peer) => peer.name),
    answerInspections: (rooms) => void answerInspections(mesh, rooms),
    shutdown: () => mesh.shutdown(),
  };
}

/**
 * Waits for the first connection to a broker.
 *
 * @throws {Error} names the broker that cannot be reached.
 */
export async function reach<T>({ href }: URL, connection: Promise<T>): Promise<T> {
  try {
    return await connection;
  } catch (cause) {
    throw new Error(`${href} cannot be reached: ${(cause as Error).message}`, { cause });
  }
}

/** Shows a broker as a single node, connected or away. Returns `peers`. */
export async function followBroker(
  backplane: BrokerBackplane,
  { protocol, host }: URL,
  onChange: () => void,
): Promise<() => string[]> {
  const name = `${protocol.replace(":", "")}@${host}`;
  logEvents(backplane);
  backplane.addEventListener("up", onChange);
  backplane.addEventListener("down", onChange);
  await backplane.ready();
  return () => backplane.connected ? [name] : [];
}
