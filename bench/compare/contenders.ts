/** What is compared: which program each is, on which runtime, over what. */

import { type BrokerName, findBroker } from "../../examples/chat/broker.ts";
import type { DialectName } from "./load/dialect.ts";

/** Where npm has put the peers. */
export const PEERS_FOLDER = new URL("peers/", import.meta.url);
const OUR_FOLDER = new URL("contenders/", import.meta.url);

/** A runtime that the peers run on. */
export type Runtime = "deno" | "node" | "bun";

/** Something that one could build rooms on. */
export interface Contender {
  /** As `--contender` names it. */
  readonly key: string;
  /** As the report names it. */
  readonly name: string;
  /** Ours, or what else one could take. */
  readonly ours: boolean;
  /** Several nodes, or one. */
  readonly place: "cluster" | "alone";
  readonly runtime: Runtime;
  readonly program: URL;
  /** Which of the contenders in that program. */
  readonly kind: string;
  readonly broker?: BrokerName;
  readonly dialect: DialectName;
  /** All nodes are started by one process, which hands messages from one to the other. */
  readonly oneProgram?: true;
  /** Says by an event that another node is gone. */
  readonly tellsOfPeers?: true;
}

const roomcast = {
  ours: true,
  runtime: "deno",
  program: new URL("roomcast.ts", OUR_FOLDER),
  dialect: "plain",
} as const;
const socketIo = {
  ours: false,
  runtime: "node",
  program: new URL("socket_io.mjs", PEERS_FOLDER),
  dialect: "socket.io",
} as const;
const crossws = {
  ours: false,
  runtime: "deno",
  program: new URL("crossws.mjs", PEERS_FOLDER),
  dialect: "plain",
} as const;
const ws = {
  ours: false,
  runtime: "node",
  program: new URL("ws.mjs", PEERS_FOLDER),
  dialect: "plain",
} as const;
const bun = {
  ours: false,
  runtime: "bun",
  program: new URL("bun.mjs", PEERS_FOLDER),
  dialect: "plain",
} as const;
const bareDeno = {
  ours: false,
  runtime: "deno",
  program: new URL("bare_deno.ts", OUR_FOLDER),
  dialect: "plain",
} as const;

const cluster = "cluster";
const alone = "alone";

/** All contenders; of each place the first is the one that the others are measured by. */
export const CONTENDERS: readonly Contender[] = [
  {
    ...roomcast,
    place: cluster,
    key: "roomcast",
    name: "roomcast",
    kind: "tls",
    tellsOfPeers: true,
  },
  {
    ...roomcast,
    place: cluster,
    key: "roomcast-tcp",
    name: "roomcast, plain TCP",
    kind: "plain",
    tellsOfPeers: true,
  },
  {
    ...roomcast,
    place: cluster,
    key: "roomcast-nats",
    name: "roomcast, NATS",
    kind: "nats",
    broker: "nats",
  },
  {
    ...roomcast,
    place: cluster,
    key: "roomcast-redis",
    name: "roomcast, Redis",
    kind: "redis",
    broker: "redis",
  },
  {
    ...socketIo,
    place: cluster,
    key: "socket.io-redis",
    name: "Socket.IO, Redis",
    kind: "redis",
    broker: "redis",
  },
  {
    ...socketIo,
    place: cluster,
    key: "socket.io-cluster",
    name: "Socket.IO, cluster",
    kind: "cluster",
    oneProgram: true,
  },
  {
    ...crossws,
    place: cluster,
    key: "crossws-redis",
    name: "crossws, Redis",
    kind: "redis",
    broker: "redis",
  },
  { ...ws, place: cluster, key: "ws-redis", name: "ws, Redis", kind: "redis", broker: "redis" },

  { ...roomcast, place: alone, key: "roomcast-alone", name: "roomcast", kind: "alone" },
  { ...socketIo, place: alone, key: "socket.io", name: "Socket.IO", kind: "alone" },
  { ...crossws, place: alone, key: "crossws", name: "crossws", kind: "alone" },
  { ...ws, place: alone, key: "ws", name: "ws", kind: "alone" },
  { ...bun, place: alone, key: "bun", name: "Bun publish", kind: "alone" },
  { ...bareDeno, place: alone, key: "deno-loop", name: "bare Deno loop", kind: "alone" },
];

/** What runs the program of a contender. */
export function commandOf({ runtime, program }: Contender): { command: string; args: string[] } {
  const path = program.pathname;
  switch (runtime) {
    case "deno": {
      const args = ["run", "-A", "--quiet", "--v8-flags=--expose-gc", path];
      return { command: Deno.execPath(), args };
    }
    case "node":
      return { command: "node", args: ["--expose-gc", path] };
    case "bun":
      return { command: findBun() ?? "bun", args: [path] };
  }
}

/** Bun as npm has installed it: linked by its own script, or, where npm runs none, in its package. */
export function findBun(): string | undefined {
  const modules = new URL("node_modules/", PEERS_FOLDER);
  const platform = Deno.build.arch === "aarch64" ? "linux-aarch64" : "linux-x64";
  const places = ["bun/bin/bun.exe", `@oven/bun-${platform}/bin/bun`];
  return places.map((place) => new URL(place, modules).pathname).find(isProgram);
}

function isProgram(path: string): boolean {
  // Without its script, npm leaves a short text in the place of the program.
  const MIN_PROGRAM_BYTES = 1_000_000;
  try {
    return Deno.statSync(path).size > MIN_PROGRAM_BYTES;
  } catch {
    return false;
  }
}

/** Why a contender cannot run here; undefined if it can. */
export function obstacle({ broker, runtime }: Contender): string | undefined {
  if (broker === "redis" && findBroker("redis") === undefined) {
    return "redis-server is not installed (on Debian: apt-get install redis-server)";
  }
  if (broker === "nats" && findBroker("nats") === undefined) {
    return "nats-server is not installed (on Debian: apt-get install nats-server)";
  }
  if (runtime === "bun" && findBun() === undefined) {
    return "npm has not installed Bun for this platform";
  }
  return undefined;
}
