/** What a server program is told, and what its clients say to it; the same for all contenders. */

/** In the first argument of a program. */
export interface NodeConfig {
  /** Which of the contenders that share a program. */
  readonly kind: string;
  readonly hostname: string;
  /** How many nodes are to be started by this one program; all others start one. */
  readonly nodes: number;
  /** Where the broker listens; 0 if there is none. */
  readonly brokerPort: number;
  /** Nodes that are there already, as they have called themselves. */
  readonly seeds: readonly string[];
}

/** What a client says. With Socket.IO, the content of an event `join` or `broadcast`. */
export type Order = JoinOrder | BroadcastOrder;

/** Joins rooms, and is answered by one message. */
export interface JoinOrder {
  readonly join: readonly string[];
}

/** Broadcasts `body` to the members of `room`, so many times without a pause. */
export interface BroadcastOrder {
  readonly room: string;
  readonly body: string;
  readonly times: number;
}

/** True for an order to join. */
export function isJoin(order: Order): order is JoinOrder {
  return "join" in order;
}
