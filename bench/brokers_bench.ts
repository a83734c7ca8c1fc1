/**
 * Every way to connect nodes, in the same run: messages a second from one node to all others, the
 * latency from node to node, and what a node without members is sent. Prints Markdown.
 *
 * Each node is a process: this file again, started with `node`. It is told what to do on its standard
 * input and answers on its standard output, a JSON value a line, so that neither adds to what is
 * measured. The sender is this process. So that no broker cuts off a slow node, it runs ahead of the
 * slowest by a bounded number of bytes.
 */

import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { natsBackplane } from "../brokers/nats.ts";
import { redisBackplane } from "../brokers/redis.ts";
import { Broker, brokerHint, type BrokerName, findBroker } from "../examples/chat/broker.ts";
import { lines } from "../examples/chat/node_process.ts";
import {
  type Backplane,
  type MeshOptions,
  Rooms,
  type RoomSocket,
  startMesh,
  workerSeeds,
} from "../mod.ts";

interface Kind {
  /** Nodes are workers of this process, instead of processes. */
  readonly workers?: boolean;
  readonly broker?: BrokerName;
  readonly interest?: "cluster" | "room";
  readonly mesh?: Partial<MeshOptions>;
}

/** What is compared, the first with all others. A mesh with other options is one line more. */
const KINDS: Record<string, Kind> = {
  "mesh": {},
  "mesh, plain TCP": { mesh: { tls: false } },
  "workers, each a node": { workers: true },

  "NATS": { broker: "nats" },
  "NATS, by room": { broker: "nats", interest: "room" },
  "Redis": { broker: "redis" },
  "Redis, by room": { broker: "redis", interest: "room" },
};

const NODES = [2, 4];
const SIZES = [64, 1024];
const ROUNDS = 5;
/** How long a round is to take. */
const ROUND_MS = 700;
const PINGS = 2_000;
const COOKIE = "for the bench only";
/** How far the sender may be ahead of the slowest node. */
const AHEAD_BYTES = 2 * 1024 * 1024;
const ACK_EVERY = 500;

class Listener implements RoomSocket {
  readonly readyState = 1;
  readonly bufferedAmount = 0;
  readonly send: (data: string) => void;
  constructor(onMessage: (data: string) => void) {
    this.send = onMessage;
  }
  close(): void {}
  addEventListener(): void {}
}

/** A node, in whichever process. */
interface Connected {
  readonly backplane: Backplane;
  /** Its name in a mesh. */
  readonly name: string;
  bytesIn(): number;
  ready(): Promise<void>;
  end(): Promise<void>;
}

async function connectNode(kind: Kind, port: number, others: string[]): Promise<Connected> {
  const { broker, interest } = kind;
  if (broker === undefined) {
    const seeds = kind.workers ? workerSeeds() : others;
    const mesh = await startMesh({ name: "n@127.0.0.1:0", cookie: COOKIE, seeds, ...kind.mesh });
    return {
      backplane: mesh,
      name: mesh.name,
      bytesIn: () => mesh.peers.reduce((sum, peer) => sum + peer.bytesIn, 0),
      ready: () => Promise.resolve(),
      end: () => mesh.shutdown(),
    };
  }
  const options = { cluster: "bench", interest };
  if (broker === "nats") {
    const connection = await connect({ servers: `127.0.0.1:${port}` });
    const backplane = natsBackplane({ ...options, connection });
    const end = async () => {
      await backplane.shutdown();
      await connection.close();
    };
    return {
      ...{ backplane, name: "", end },
      bytesIn: () => backplane.stats.bytesIn,
      ready: () => backplane.ready(),
    };
  }
  const redis = () => new Redis({ port, autoResendUnfulfilledCommands: false });
  const [publisher, subscriber] = [redis(), redis()];
  const backplane = redisBackplane({ ...options, publisher, subscriber });
  await publisher.ping();
  const end = async () => {
    await backplane.shutdown();
    publisher.disconnect();
    subscriber.disconnect();
  };
  return {
    ...{ backplane, name: "", end },
    bytesIn: () => backplane.stats.bytesIn,
    ready: () => backplane.ready(),
  };
}

// The other processes

type Order =
  | { readonly kind: "join"; readonly room: string }
  | { readonly kind: "expect"; readonly count: number }
  | { readonly kind: "bytes" };

/** How a node hears what to do, and answers. */
interface Channel {
  readonly orders: ReadableStream<Order>;
  say(value: unknown): void;
}

async function node(
  kind: Kind,
  port: number,
  seeds: string[],
  { orders, say }: Channel,
): Promise<void> {
  const connected = await connectNode(kind, port, seeds);
  const rooms = new Rooms<Listener>({ backplane: connected.backplane });
  let heard = 0;
  let expected = 0;
  const members: Record<string, Listener> = {
    load: new Listener(() => {
      heard++;
      if (heard % ACK_EVERY === 0 || heard === expected) say({ heard });
    }),
    ping: new Listener((data) => rooms.broadcast("pong", data)),
  };
  say({ name: connected.name });
  for await (const order of orders) {
    if (order.kind === "join") {
      rooms.join(members[order.room], order.room);
      await connected.ready();
      say({ joined: order.room });
    } else if (order.kind === "expect") {
      heard = 0;
      expected = order.count;
      say({ expecting: order.count });
    } else {
      say({ bytes: connected.bytesIn() });
    }
  }
  await connected.end();
}

function overStdio(): Channel {
  return {
    orders: ReadableStream.from(lines(Deno.stdin.readable)).pipeThrough(
      new TransformStream({ transform: (line, out) => out.enqueue(JSON.parse(line)) }),
    ),
    say: (value) => console.log(JSON.stringify(value)),
  };
}

/** What a worker's global scope has, as it is not in the types of a main module. */
interface WorkerScope {
  onmessage: (event: MessageEvent<Order | null>) => void;
  postMessage(value: unknown): void;
}

function overWorker(): Channel {
  const scope = self as unknown as WorkerScope;
  return {
    orders: new ReadableStream({
      start: (controller) => {
        scope.onmessage = ({ data }) => data ? controller.enqueue(data) : controller.close();
      },
    }),
    say: (value) => scope.postMessage(value),
  };
}

/** One of the other nodes, seen from the sender. */
class Peer {
  readonly #send: (order: Order) => void;
  readonly #end: () => Promise<void>;
  #answer = Promise.withResolvers<Record<string, unknown>>();
  heard = 0;

  constructor(kind: Kind, args: string[]) {
    [this.#send, this.#end] = kind.workers ? this.#startWorker(args[0]) : this.#startProcess(args);
  }

  #startWorker(kind: string): [(order: Order) => void, () => Promise<void>] {
    const worker = new Worker(`${import.meta.url}#worker`, { type: "module", name: kind });
    const { promise, resolve } = Promise.withResolvers<void>();
    worker.onmessage = ({ data }) => data === null ? resolve() : this.#take(data);
    const end = async () => {
      worker.postMessage(null);
      await promise;
      worker.terminate();
    };
    return [(order) => worker.postMessage(order), end];
  }

  #startProcess(args: string[]): [(order: Order) => void, () => Promise<void>] {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", import.meta.filename ?? "", "node", ...args],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const stdin = child.stdin.getWriter();
    const encoder = new TextEncoder();
    const read = async () => {
      for await (const line of lines(child.stdout)) this.#take(JSON.parse(line));
    };
    const output = read();
    const end = async () => {
      await stdin.close();
      await child.status;
      await output;
    };
    return [(order) => void stdin.write(encoder.encode(`${JSON.stringify(order)}\n`)), end];
  }

  #take(value: Record<string, unknown>): void {
    if (typeof value.heard === "number") this.heard = value.heard;
    else this.#answer.resolve(value);
  }

  async answer(): Promise<Record<string, unknown>> {
    const value = await this.#answer.promise;
    this.#answer = Promise.withResolvers();
    return value;
  }

  async tell(order: Order): Promise<Record<string, unknown>> {
    if (order.kind === "expect") this.heard = 0;
    this.#send(order);
    return await this.answer();
  }

  end(): Promise<void> {
    return this.#end();
  }
}

/** Lets the event loop turn once. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve);
  return promise;
}

interface Result {
  /** Messages a second, for each of the sizes. */
  readonly rates: number[];
  /** Microseconds one way, for each of the sizes. */
  readonly latencies: { readonly p50: number; readonly p99: number }[];
  /** For each message of the load, what reached a node that has no member. */
  readonly idleBytes: number;
}

/** Runs one kind with so many nodes. */
async function measure(kind: Kind, count: number, port: number): Promise<Result> {
  const self = await connectNode(kind, port, []);
  const rooms = new Rooms<Listener>({ backplane: self.backplane });
  let pong = () => {};
  rooms.join(new Listener(() => pong()), "pong");
  await self.ready();

  const peers: Peer[] = [];
  const start = async () => {
    const peer = new Peer(kind, [JSON.stringify(kind), String(port), self.name]);
    await peer.answer();
    peers.push(peer);
    return peer;
  };
  for (let i = 1; i < count; i++) await start();
  for (const peer of peers) await peer.tell({ kind: "join", room: "load" });
  await peers[0].tell({ kind: "join", room: "ping" });
  if (kind.broker === undefined) {
    while (rooms.broadcast("nobody", "").peers < peers.length) await turn();
  }

  /** Messages a second, of which each other node has heard all. */
  const load = async (message: string, count: number, hearers: Peer[]): Promise<number> => {
    for (const peer of hearers) await peer.tell({ kind: "expect", count });
    const slowest = () => Math.min(...hearers.map((peer) => peer.heard));
    const ahead = Math.max(ACK_EVERY, Math.floor(AHEAD_BYTES / message.length));
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      if (rooms.broadcast("load", message).dropped > 0) throw new Error("the bench has overrun it");
      if (i % 100 === 0) { while (i - slowest() > ahead) await turn(); }
    }
    while (slowest() < count) await turn();
    return count / (performance.now() - start) * 1000;
  };

  const rates: number[] = [];
  for (const bytes of SIZES) {
    const message = "m".repeat(bytes);
    // The first rate is that of cold code, so it tells how long to warm up, and not more.
    let count = 10_000;
    for (let i = 0; i < 2; i++) {
      count = Math.ceil(await load(message, count, peers) * ROUND_MS / 1000);
    }
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push(await load(message, count, peers));
    rates.push(median(rounds));
  }

  const ping = async (message: string) => {
    const times: number[] = [];
    for (let i = 0; i < PINGS; i++) {
      const back = new Promise<void>((resolve) => pong = resolve);
      const start = performance.now();
      rooms.broadcast("ping", message);
      await back;
      times.push((performance.now() - start) * 1000 / 2);
    }
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.floor(times.length * share)];
    return { p50: at(0.5), p99: at(0.99) };
  };
  const latencies: Result["latencies"] = [];
  for (const bytes of SIZES) latencies.push(await ping("m".repeat(bytes)));

  // One more that is a member of nothing.
  const hearers = [...peers];
  const idle = await start();
  if (kind.broker === undefined) {
    while (rooms.broadcast("nobody", "").peers < peers.length) await turn();
  }
  const before = await settledBytes(idle);
  const messages = 5_000;
  await load("m".repeat(64), messages, hearers);
  const idleBytes = (await settledBytes(idle) - before) / messages;

  await Promise.all(peers.map((peer) => peer.end()));
  await self.end();
  return { rates, latencies, idleBytes };
}

/** The bytes that a node has received, once no more come. */
async function settledBytes(peer: Peer): Promise<number> {
  for (let last = -1;;) {
    const { bytes } = await peer.tell({ kind: "bytes" });
    if (bytes === last || bytes === null || Number.isNaN(bytes)) return Number(bytes ?? NaN);
    last = Number(bytes);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function format(value: number): string {
  return Math.round(value).toLocaleString("en");
}

async function main(): Promise<void> {
  const brokers = new Map<BrokerName, Broker>();
  for (const name of ["nats", "redis"] as const) {
    if (findBroker(name) === undefined) {
      console.error(`Skipping ${name}: it is not installed. ${brokerHint(name)}`);
    } else brokers.set(name, await Broker.start(name));
  }
  const columns = ["messages/s", "of mesh", "p50 / p99"];
  const titles = ["64 B", "1 KiB"].flatMap((size) => columns.map((column) => `${size} ${column}`));
  console.log(`| nodes | | ${titles.join(" | ")} |`);
  console.log(`| --- | --- |${" ---: |".repeat(titles.length)}`);
  const idle = new Map<string, number>();
  for (const nodes of NODES) {
    let first: Result | undefined;
    for (const [name, kind] of Object.entries(KINDS)) {
      const broker = kind.broker && brokers.get(kind.broker);
      if (kind.broker && !broker) continue;
      const result = await measure(kind, nodes, broker?.port ?? 0);
      first ??= result;
      idle.set(name, result.idleBytes);
      const cells = result.rates.flatMap((rate, i) => {
        const { p50, p99 } = result.latencies[i];
        const ofMesh = rate / (first?.rates[i] ?? rate);
        return [format(rate), ofMesh.toFixed(2), `${format(p50)} / ${format(p99)} µs`];
      });
      console.log(`| ${nodes} | ${name} | ${cells.join(" | ")} |`);
    }
  }
  console.log("\n| | bytes for each message of 64 B at a node that has no member |");
  console.log("| --- | ---: |");
  for (const [name, bytes] of idle) {
    if (bytes >= 0) console.log(`| ${name} | ${bytes.toFixed(1)} |`);
  }
  for (const broker of brokers.values()) await broker.stop();
}

const [role, kind = "{}", port = "0", ...seeds] = Deno.args;
if (import.meta.url.endsWith("#worker")) {
  const channel = overWorker();
  await node(JSON.parse(self.name), 0, [], channel);
  channel.say(null);
} else if (role === "node") {
  await node(JSON.parse(kind), Number(port), seeds.filter((seed) => seed), overStdio());
} else {
  await main();
}
