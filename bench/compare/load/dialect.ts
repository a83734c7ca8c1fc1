/** How one joins and broadcasts: as plain JSON, or in Socket.IO's own protocol on top. */

import type { BroadcastOrder, JoinOrder } from "../contenders/node_config.ts";

/** What a contender speaks. */
export type DialectName = "plain" | "socket.io";

/** A way to say things to a server. */
export interface Dialect {
  /** What is asked for when a connection is made. */
  readonly path: string;
  /** Said at once after that; undefined: nothing. */
  readonly hello: string | undefined;
  /** Messages of the server until it takes orders. */
  readonly greetings: number;
  /** A ping that is a message of one byte, and its answer. */
  readonly pong: string | undefined;
  /** What a message has besides what was broadcast. */
  readonly envelopeBytes: number;
  join(order: JoinOrder): string;
  broadcast(order: BroadcastOrder): string;
}

/** All dialects. */
export const DIALECTS: Record<DialectName, Dialect> = {
  "plain": {
    path: "/",
    hello: undefined,
    greetings: 0,
    pong: undefined,
    envelopeBytes: 0,
    join: (order) => JSON.stringify(order),
    broadcast: (order) => JSON.stringify(order),
  },
  // Broker.IO 4: `0` opens, `2` pings, `3` answers, `4` is a message. Within it, Socket.IO 5: `0`
  // connects to a namespace, `2` is an event.
  "socket.io": {
    path: "/socket.io/?EIO=4&transport=websocket",
    hello: "40",
    greetings: 2,
    pong: "3",
    envelopeBytes: '42["m",""]'.length,
    join: ({ join }) => `42${JSON.stringify(["join", join])}`,
    broadcast: (order) => `42${JSON.stringify(["broadcast", order])}`,
  },
};
