/** How a client joins and broadcasts: with plain JSON, or in the protocol of Socket.IO or Centrifugo. */

import type { BroadcastOrder, JoinOrder } from "../contenders/node_config.ts";

/** What a contender speaks. */
export type DialectName = "plain" | "socket.io" | "centrifugo";

/** A way to say things to a server. */
export interface Dialect {
  /** What is asked for when a connection is made. */
  readonly path: string;
  /** Said at once after that; undefined: nothing. */
  readonly hello: string | undefined;
  /** Messages of the server until it takes orders. */
  readonly greetings: number;
  /** A ping that is a message of this length, and its answer. */
  readonly ping: { readonly bytes: number; readonly answer: string } | undefined;
  /** One frame may hold several messages, a line each. */
  readonly hasLines: boolean;
  /** What a message has besides what was broadcast. */
  readonly envelopeBytes: number;
  join(order: JoinOrder): string;
  /** Messages that answer a request to join so many rooms. */
  joinAnswers(rooms: number): number;
  broadcast(order: BroadcastOrder): string;
}

/** All dialects. */
export const DIALECTS: Record<DialectName, Dialect> = {
  "plain": {
    path: "/",
    hello: undefined,
    greetings: 0,
    ping: undefined,
    hasLines: false,
    envelopeBytes: 0,
    join: (order) => JSON.stringify(order),
    joinAnswers: () => 1,
    broadcast: (order) => JSON.stringify(order),
  },
  // Engine.IO 4: `0` opens, `2` pings, `3` answers, `4` is a message. Within it, Socket.IO 5: `0`
  // connects to a namespace, `2` is an event.
  "socket.io": {
    path: "/socket.io/?EIO=4&transport=websocket",
    hello: "40",
    greetings: 2,
    ping: { bytes: 1, answer: "3" },
    hasLines: false,
    envelopeBytes: '42["m",""]'.length,
    join: ({ join }) => `42${JSON.stringify(["join", join])}`,
    joinAnswers: () => 1,
    broadcast: (order) => `42${JSON.stringify(["broadcast", order])}`,
  },
  // Its JSON protocol: a command or an answer a line. Nobody looks at the ids of answers here.
  "centrifugo": {
    path: "/connection/websocket",
    hello: JSON.stringify({ id: 1, connect: {} }),
    greetings: 1,
    ping: { bytes: "{}".length, answer: "{}" },
    hasLines: true,
    // Of the first room. It grows with the name.
    envelopeBytes: JSON.stringify({
      push: {
        channel: "r0",
        pub: { data: "", info: { user: "", client: "00000000-0000-0000-0000-000000000000" } },
      },
    }).length,
    join: ({ join }) =>
      join.map((channel) => JSON.stringify({ id: 1, subscribe: { channel } })).join("\n"),
    joinAnswers: (rooms) => rooms,
    broadcast({ room, body, times }) {
      const command = JSON.stringify({ id: 1, publish: { channel: room, data: body } });
      return new Array(times).fill(command).join("\n");
    },
  },
};
