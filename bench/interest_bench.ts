/**
 * What interest costs: CPU of the whole cluster for a broadcast as it grows, and what it takes to
 * announce rooms. All nodes are in this process, linked over TCP, so figures are sums over all nodes.
 * CPU time is that of the process, which a busy machine changes little. Prints Markdown.
 *
 * `interest_bench.ts [growth|announce|churn]…`; without a name, all of them.
 */

import process from "node:process";
import { encodeRoomBroadcast, type Mesh, Rooms, type RoomSocket, startMesh } from "../mod.ts";

const COOKIE = "for the bench only";
const ROUNDS = 5;
const BROADCASTS = 2_000;
const ROOMS = 100_000;
const CHURN_SECONDS = 5;
const CHURN_PER_SECOND = 5_000;

class Member implements RoomSocket {
  readonly readyState = 1;
  readonly bufferedAmount = 0;
  readonly #onMessage: () => void;
  constructor(onMessage: () => void = () => {}) {
    this.#onMessage = onMessage;
  }
  send(): void {
    this.#onMessage();
  }
  close(): void {}
  addEventListener(): void {}
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** A full mesh of `size` nodes that want what they have members for. */
async function cluster(size: number): Promise<Mesh[]> {
  const nodes: Mesh[] = [];
  for (let i = 0; i < size; i++) {
    const seeds = nodes.slice(0, 1).map(({ name }) => name);
    const name = `n${i}@127.0.0.1:0`;
    nodes.push(await startMesh({ name, cookie: COOKIE, seeds, tls: false, interest: "room" }));
  }
  while (nodes.some(({ peers }) => peers.length < size - 1)) await turn();
  return nodes;
}

async function stop(nodes: readonly Mesh[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.shutdown()));
}

/** CPU of all nodes for a broadcast of node 0, in microseconds: one a turn, heard by `members`. */
async function cpuPerBroadcast(nodes: readonly Mesh[], room: string): Promise<number> {
  const message = encodeRoomBroadcast(room, "m".repeat(64));
  const samples: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = cpuMs();
    for (let i = 0; i < BROADCASTS; i++) {
      nodes[0].publish(message);
      if (i % 4 === 3) await turn();
    }
    samples.push((cpuMs() - before) * 1000 / BROADCASTS);
  }
  return median(samples);
}

async function growth(): Promise<void> {
  console.log("| nodes | room on two nodes: CPU µs | room on all nodes: CPU µs |");
  console.log("| ---: | ---: | ---: |");
  for (const size of [2, 4, 8, 16, 32, 2, 32]) {
    const nodes = await cluster(size);
    const rooms = nodes.map((backplane) => new Rooms({ backplane }));
    for (const some of rooms.slice(0, 2)) some.join(new Member(), "two");
    for (const some of rooms) some.join(new Member(), "all");
    await Promise.all(nodes.map((node) => node.ready()));
    await cpuPerBroadcast(nodes, "two");
    const two = await cpuPerBroadcast(nodes, "two");
    const all = await cpuPerBroadcast(nodes, "all");
    console.log(`| ${size} | ${two.toFixed(1)} | ${all.toFixed(1)} |`);
    for (const some of rooms) some[Symbol.dispose]();
    await stop(nodes);
  }
}

function memory(): number {
  const { rss } = process.memoryUsage();
  return rss / 1024 ** 2;
}

async function announce(): Promise<void> {
  console.log("| peers | rooms | ms | CPU ms | bytes to each peer | MiB in all |");
  console.log("| ---: | ---: | ---: | ---: | ---: | ---: |");
  for (const peers of [3, 15, 31]) {
    const nodes = await cluster(peers + 1);
    const [first] = nodes;
    await first.ready();
    const [ms, cpu, bytes, mib] = [performance.now(), cpuMs(), first.totals.bytesOut, memory()];
    for (let i = 0; i < ROOMS; i++) first.openRoom(`room ${i}`);
    await first.ready();
    const columns = [
      peers,
      ROOMS,
      (performance.now() - ms).toFixed(0),
      (cpuMs() - cpu).toFixed(0),
      Math.round((first.totals.bytesOut - bytes) / peers),
      (memory() - mib).toFixed(0),
    ];
    console.log(`| ${columns.join(" | ")} |`);
    await stop(nodes);
  }
}

async function churn(): Promise<void> {
  console.log(
    "| peers | joins and leaves a second | CPU of a core | bytes a second to each peer |",
  );
  console.log("| ---: | ---: | ---: | ---: |");
  for (const peers of [3, 15, 31]) {
    const nodes = await cluster(peers + 1);
    const [first] = nodes;
    const rooms = new Rooms<Member>({ backplane: first });
    const members: { member: Member; room: string }[] = [];
    const idle = cpuMs();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const idleMs = cpuMs() - idle;
    const [cpu, bytes, start] = [cpuMs(), first.totals.bytesOut, performance.now()];
    let count = 0;
    while (performance.now() - start < CHURN_SECONDS * 1000) {
      const due = (performance.now() - start) / 1000 * CHURN_PER_SECOND;
      for (; count < due; count++) {
        const member = new Member();
        const room = `room ${count}`;
        rooms.join(member, room);
        members.push({ member, room });
        // Each stays for a fifth of a second.
        if (members.length < CHURN_PER_SECOND / 5) continue;
        const oldest = members.shift();
        if (oldest !== undefined) rooms.leave(oldest.member, oldest.room);
      }
      await turn();
    }
    const seconds = (performance.now() - start) / 1000;
    const share = (cpuMs() - cpu - idleMs * seconds) / seconds / 10;
    const perPeer = (first.totals.bytesOut - bytes) / seconds / peers;
    console.log(
      `| ${peers} | ${(count / seconds).toFixed(0)} | ${share.toFixed(0)} % | ` +
        `${perPeer.toFixed(0)} |`,
    );
    rooms[Symbol.dispose]();
    await stop(nodes);
  }
}

const PARTS: Readonly<Record<string, () => Promise<void>>> = { growth, announce, churn };
for (const part of Deno.args.length > 0 ? Deno.args : Object.keys(PARTS)) {
  console.log(`\n${part}\n`);
  await PARTS[part]?.();
}
