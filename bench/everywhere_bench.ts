/**
 * A room with a member on every node: the processor time of a broadcast, over the mesh and over
 * brokers, as the cluster grows. Each node is a process: this file again, started with `node`. They
 * are told to begin on their standard input, and say on their standard output, a JSON value a line,
 * when they have heard everything. Prints Markdown.
 *
 * `everywhere_bench.ts [KIND]… [--nodes 2,4,8,16,32]`; without a kind, all of them. Needs Linux.
 */

import { parseArgs } from "node:util";
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { natsBackplane } from "../brokers/nats.ts";
import { redisBackplane } from "../brokers/redis.ts";
import { Broker, type BrokerName } from "../examples/chat/broker.ts";
import { lines } from "../examples/chat/node_process.ts";
import { type Backplane, Rooms, type RoomSocket, startMesh } from "../mod.ts";
import { childrenOf, cpuSecondsOf } from "./compare/proc.ts";

const KINDS: Readonly<Record<string, BrokerName | undefined>> = {
  mesh: undefined,
  plain: undefined,
  nats: "nats",
  redis: "redis",
};
const COOKIE = "for the bench only";
const ROOM = "everywhere";
const TEXT = "m".repeat(64);
const PER_SECOND = 1_000;
const WARM_UP = 1_000;
const BROADCASTS = 3_000;

class Member implements RoomSocket {
  readonly readyState = 1;
  readonly bufferedAmount = 0;
  readonly send: () => void;
  constructor(onMessage: () => void) {
    this.send = onMessage;
  }
  close(): void {}
  addEventListener(): void {}
}

// A node

interface Connected {
  readonly backplane: Backplane;
  /** Its name, if it is in a mesh. */
  readonly name: string;
  /** Resolves when it is linked to all others. */
  ready(): Promise<void>;
}

async function connectNode(kind: string, nodes: number, port: number, seed: string) {
  const broker = KINDS[kind];
  return broker === undefined
    ? await meshNode(kind === "plain", nodes, seed)
    : await brokerNode(broker, port);
}

async function meshNode(isPlain: boolean, nodes: number, seed: string): Promise<Connected> {
  const mesh = await startMesh({
    name: "n@127.0.0.1:0",
    cookie: COOKIE,
    seeds: seed === "" ? [] : [seed],
    tls: isPlain ? false : undefined,
  });
  const ready = async () => {
    while (mesh.peers.length < nodes - 1) {
      await new Promise((resolve) => mesh.addEventListener("peerup", resolve, { once: true }));
    }
  };
  return { backplane: mesh, name: mesh.name, ready };
}

async function brokerNode(broker: BrokerName, port: number): Promise<Connected> {
  if (broker === "nats") {
    const connection = await connect({ servers: `127.0.0.1:${port}` });
    const backplane = natsBackplane({ cluster: "bench", connection });
    return { backplane, name: "", ready: () => backplane.ready() };
  }
  const redis = () => new Redis({ port, autoResendUnfulfilledCommands: false });
  const [publisher, subscriber] = [redis(), redis()];
  const backplane = redisBackplane({ cluster: "bench", publisher, subscriber });
  return { backplane, name: "", ready: () => backplane.ready() };
}

async function node([kind, nodes, port, seed]: string[]): Promise<never> {
  const { backplane, name, ready } = await connectNode(kind, Number(nodes), Number(port), seed);
  const say = (value: unknown) => console.log(JSON.stringify(value));
  const rooms = new Rooms<Member>({ backplane });
  let heard = 0;
  let expected = 0;
  rooms.join(new Member(() => ++heard === expected && say("heard")), ROOM);
  say(name);
  await ready();
  say("ready");
  for await (const order of lines(Deno.stdin.readable)) {
    const { count, isSender } = JSON.parse(order);
    expected = heard + count;
    say("set");
    if (isSender) void broadcast(rooms, count);
  }
  Deno.exit();
}

/** At a steady rate, so that what is measured is not how many travel together. */
async function broadcast(rooms: Rooms<Member>, count: number): Promise<void> {
  const start = performance.now();
  for (let sent = 0; sent < count;) {
    const due = Math.min(count, (performance.now() - start) * PER_SECOND / 1_000);
    for (; sent < due; sent++) rooms.broadcast(ROOM, TEXT);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

// The measurement

class NodeProcess {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  constructor(args: readonly string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", import.meta.filename ?? "", "node", ...args],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#lines = lines(this.#child.stdout)[Symbol.asyncIterator]();
    this.#input = this.#child.stdin.getWriter();
  }

  get cpuSeconds(): number {
    return cpuSecondsOf(this.#child.pid);
  }

  async says(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error("a node has ended");
    return JSON.parse(value);
  }

  async expect(count: number, isSender: boolean): Promise<void> {
    const order = JSON.stringify({ count, isSender });
    await this.#input.write(new TextEncoder().encode(`${order}\n`));
    await this.says();
  }

  async end(): Promise<void> {
    await this.#input.close();
    await this.#lines.return?.();
    await this.#child.status;
  }
}

/** Has the first node broadcast, and waits until all have heard it. */
async function run(nodes: readonly NodeProcess[], count: number): Promise<void> {
  for (const other of nodes.slice(1)) await other.expect(count, false);
  await nodes[0].expect(count, true);
  for (const each of nodes) await each.says();
}

async function measure(kind: string, size: number): Promise<string> {
  const name = KINDS[kind];
  await using broker = name && await Broker.start(name);
  const nodes: NodeProcess[] = [];
  let seed = "";
  for (let i = 0; i < size; i++) {
    const started = new NodeProcess([kind, `${size}`, `${broker?.port ?? 0}`, seed]);
    nodes.push(started);
    seed = await started.says() || seed;
  }
  for (const each of nodes) await each.says();
  const brokerCpu = () =>
    broker ? childrenOf(broker.pid).reduce((sum, pid) => sum + cpuSecondsOf(pid), 0) : 0;
  const nodeCpu = () => nodes.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  await run(nodes, WARM_UP);
  const before = [nodeCpu(), brokerCpu()];
  await run(nodes, BROADCASTS);
  const [ofNodes, ofBroker] = [nodeCpu() - before[0], brokerCpu() - before[1]].map((seconds) =>
    (1e6 * seconds / BROADCASTS).toFixed(0)
  );
  await Promise.all(nodes.map((each) => each.end()));
  return broker ? `${ofNodes} + ${ofBroker}` : ofNodes;
}

if (Deno.args[0] === "node") await node(Deno.args.slice(1));
const { values, positionals } = parseArgs({
  args: Deno.args,
  options: { nodes: { type: "string", default: "2,4,8,16,32" } },
  allowPositionals: true,
});
const sizes = values.nodes.split(",").map(Number);
console.log(`| CPU µs for a broadcast | ${sizes.map((size) => `${size} nodes`).join(" | ")} |`);
console.log(`| --- | ${sizes.map(() => "---:").join(" | ")} |`);
for (const kind of positionals.length > 0 ? positionals : Object.keys(KINDS)) {
  const columns: string[] = [];
  for (const size of sizes) columns.push(await measure(kind, size));
  console.log(`| ${kind} | ${columns.join(" | ")} |`);
}
