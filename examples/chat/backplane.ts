/** What carries messages between the nodes of the chat: the mesh, or a broker that stands beside. */

import { type Backplane, startMesh } from "../../mod.ts";
import type { BrokerBackplane } from "../../brokers/nats.ts";
import type { Options } from "./options.ts";

/** A backplane, and what the page is told of it. */
export interface ChatBackplane {
  readonly backplane: Backplane;
  /** Names of the nodes that this one is connected with, or of the broker. */
  peers(): string[];
  /** Leaves. */
  shutdown(): Promise<void>;
}

/** Opens the backplane that the node was told to use. `onNews` gets a line when `peers` changes. */
export async function openBackplane(
  options: Options,
  onNews: (news: string) => void,
): Promise<ChatBackplane> {
  // Loaded only if they are used: whoever tries the mesh needs no client of anything.
  switch (options.broker?.protocol) {
    case "nats:": {
      const { openNats } = await import("./backplane_nats.ts");
      return await openNats(options.broker, onNews);
    }
    case "redis:": {
      const { openRedis } = await import("./backplane_redis.ts");
      return await openRedis(options.broker, onNews);
    }
    default:
      return await openMesh(options, onNews);
  }
}

async function openMesh(
  { name, cookie, seeds }: Options,
  onNews: (news: string) => void,
): Promise<ChatBackplane> {
  const mesh = await startMesh({ name, cookie, seeds });
  mesh.addEventListener("peerup", ({ peer }) => onNews(`${peer.name} is connected`));
  mesh.addEventListener("peerdown", ({ peer, reason }) => {
    if (reason !== "replaced" && reason !== "shut-down") onNews(`${peer.name} is away: ${reason}`);
  });
  mesh.addEventListener("refused", ({ address, code }) => {
    // Nodes that are away are dialled again and again; that they do not answer is no news.
    if (code !== "unreachable") console.warn(`no link with ${address}: ${code}`);
  });
  return {
    backplane: mesh,
    peers: () => mesh.peers.map((peer) => peer.name),
    shutdown: () => mesh.shutdown(),
  };
}

/**
 * Waits for the first connection with a broker.
 *
 * @throws {Error} that says which broker it is that cannot be reached.
 */
export async function reach<T>({ href }: URL, connection: Promise<T>): Promise<T> {
  try {
    return await connection;
  } catch (cause) {
    throw new Error(`${href} cannot be reached: ${(cause as Error).message}`, { cause });
  }
}

/** Tells of a broker as of a single node that is connected, or is away. Returns `peers`. */
export async function followBroker(
  backplane: BrokerBackplane,
  { protocol, host }: URL,
  onNews: (news: string) => void,
): Promise<() => string[]> {
  const name = `${protocol.replace(":", "")}@${host}`;
  let connected = false;
  const update = (news: string) => {
    // Of a broker to which there are two connections, there are two events.
    if (connected === backplane.connected) return;
    connected = backplane.connected;
    onNews(`${name} is ${news}`);
  };
  backplane.addEventListener("up", ({ dropped }) => {
    update(`connected${dropped > 0 ? `; ${dropped} messages were dropped meanwhile` : ""}`);
  });
  backplane.addEventListener("down", ({ unconfirmed }) => {
    update(`away: ${unconfirmed} messages may be lost`);
  });
  await backplane.ready();
  update("connected");
  return () => connected ? [name] : [];
}
