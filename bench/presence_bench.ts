/**
 * What presence costs with 100,000 entries on 8 nodes, without network: memory, a newcomer's snapshots,
 * eight nodes that ask at once, and 1,000 changes a second. `--quick` takes a tenth of it.
 * Needs `--v8-flags=--expose-gc`.
 */

import { Core } from "../presence/_core.ts";
import { LIMITS } from "../presence/_limits.ts";

const isQuick = Deno.args.includes("--quick");
const ENTRIES = isQuick ? 10_000 : 100_000;
const NODES = 8;
/** Members of a room, spread over all nodes. */
const ROOM_SIZE = 100;
const HEARTBEAT_MS = 500;

const gc = (globalThis as { gc?: () => void }).gc;
if (gc === undefined) throw new Error("run it with --v8-flags=--expose-gc");

interface Instance {
  readonly core: Core;
  readonly sent: Uint8Array[];
}

let now = 0;

function start(n: number): Instance {
  const sent: Uint8Array[] = [];
  const core = new Core({
    instance: n.toString(16).padStart(16, "0"),
    node: `chat-${n}@10.0.0.${n}:9000/1a2b3c4d5e6f7081`,
    maxMessageBytes: 1024 * 1024,
    heartbeatIntervalMs: HEARTBEAT_MS,
    timeoutMs: 20_000,
    limits: LIMITS,
    random: Math.random,
    send: (message) => sent.push(message),
    onError: console.error,
    joined: () => {},
    left: () => {},
  }, now);
  return { core, sent };
}

/** Entry `i` of all: a user id, and a short meta. */
function track(core: Core, i: number) {
  const texts = {
    room: `room-${Math.floor(i / ROOM_SIZE)}`,
    id: `user-${100_000 + i}`,
    meta: JSON.stringify({ name: `User ${i}`, status: "online" }),
  };
  const tracked = core.newTracked();
  core.check(texts);
  core.track(tracked, texts, now);
  return { tracked, texts };
}

/** Node `n` of 8 with its share of the entries, evenly spread over the rooms. */
function populated(n: number): Instance {
  const instance = start(n);
  for (let i = n; i < ENTRIES; i += NODES) track(instance.core, i);
  instance.core.flush(now);
  instance.sent.length = 0;
  return instance;
}

function snapshotOf({ core, sent }: Instance): Uint8Array[] {
  core.receive(askAll(), "asker", now);
  now += 400;
  core.step(now);
  return sent.splice(0).filter((message) => message[0] === 1);
}

function askAll(): Uint8Array {
  const { core, sent } = start(99);
  core.start(now);
  return sent[1];
}

function deliver(to: Core, messages: readonly Uint8Array[], from: string): number {
  const startedAt = performance.now();
  for (const message of messages) to.receive(message, from, now);
  return performance.now() - startedAt;
}

function heapBytes(): number {
  gc?.();
  gc?.();
  return Deno.memoryUsage().heapUsed;
}

const bytesOf = (messages: readonly Uint8Array[]) => messages.reduce((sum, m) => sum + m.length, 0);
const ms = (value: number) => `${value.toFixed(1)} ms`;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;

/** A warm run of everything below, so that no figure is that of cold code. */
{
  const node = populated(7);
  const other = start(6);
  for (let i = 0; i < 5; i++) deliver(other.core, snapshotOf(node), "warm");
}

// Memory, and a newcomer's snapshots: from seven others, one after the other.
const heapBefore = heapBytes();
const newcomer = start(0);
let encodeMs = 0;
let applyMs = 0;
let snapshotBytes = 0;
let largest = 0;
for (let n = 1; n < NODES; n++) {
  const peer = populated(n);
  const startedAt = performance.now();
  const messages = snapshotOf(peer);
  encodeMs += performance.now() - startedAt;
  snapshotBytes += bytesOf(messages);
  for (const { length } of messages) largest = Math.max(largest, length);
  applyMs += deliver(newcomer.core, messages, `chat-${n}`);
}
const remote = newcomer.core.remoteEntryCount;
const perRemote = (heapBytes() - heapBefore) / remote;
const own = start(8);
const heapOwn = heapBytes();
for (let i = 0; i < ENTRIES; i += NODES) track(own.core, i);
own.core.flush(now);
own.sent.length = 0;
const perOwn = (heapBytes() - heapOwn) / (ENTRIES / NODES);
console.log(`${ENTRIES} entries on ${NODES} nodes, in rooms of ${ROOM_SIZE}`);
console.log(
  `memory        ${perRemote.toFixed(0)} B for an entry of another node, ${
    perOwn.toFixed(0)
  } B for one of this node`,
);
console.log(
  `snapshot      ${mib(snapshotBytes / (NODES - 1))} from each node ` +
    `(${(snapshotBytes / remote).toFixed(1)} B an entry, largest message ${mib(largest)}); ` +
    `made in ${ms(encodeMs / (NODES - 1))}, all ${NODES - 1} applied in ${ms(applyMs)}`,
);

// All eight ask at once, and hear each other's snapshots: what each of them sends.
{
  const nodes = Array.from({ length: NODES }, (_, n) => populated(n));
  for (const { core } of nodes) core.start(now);
  let messages = 0;
  let bytes = 0;
  let snapshots = 0;
  const startedAt = performance.now();
  const begin = now;
  for (; now < begin + 2_000; now += 5) {
    const said = nodes.map(({ core, sent }) => {
      core.step(now);
      return sent.splice(0);
    });
    for (const [n, list] of said.entries()) {
      messages += list.length;
      bytes += bytesOf(list);
      snapshots += list.filter((message) => message[0] === 1 && isFirstPart(message)).length;
      for (const [other, { core }] of nodes.entries()) {
        if (other !== n) deliver(core, list, `chat-${n}`);
      }
    }
  }
  const agree = nodes.every(({ core }) => core.remoteEntryCount === ENTRIES - ENTRIES / NODES);
  console.log(
    `all ask       ${snapshots} snapshots in ${messages} messages and ${
      mib(bytes)
    } published by all ` +
      `${NODES} together in 2 s; ${ms((performance.now() - startedAt) / NODES)} of work each; ` +
      `${agree ? "all agree" : "THEY DO NOT AGREE"}`,
  );
}

function isFirstPart(message: Uint8Array): boolean {
  const at = 11 + (message[9] | message[10] << 8) + 6;
  return message[at] === 0 && message[at + 1] === 0;
}

// 1,000 changes a second of one node, gathered in turns of 10 ms.
{
  const sender = populated(1);
  const receiver = start(2);
  deliver(receiver.core, snapshotOf(sender), "chat-1");
  const tracked = Array.from({ length: 1_000 }, (_, i) => track(sender.core, i));
  sender.core.flush(now);
  deliver(receiver.core, sender.sent.splice(0), "chat-1");
  const seconds = isQuick ? 5 : 20;
  let bytes = 0;
  let messages = 0;
  let sendMs = 0;
  let receiveMs = 0;
  for (let turn = 0; turn < 100 * seconds; turn++) {
    now += 10;
    const startedAt = performance.now();
    for (let i = 0; i < 5; i++) {
      const one = tracked[(turn * 5 + i) % tracked.length];
      sender.core.untrack(one.tracked, now);
      one.tracked = sender.core.newTracked();
      sender.core.track(one.tracked, one.texts, now);
    }
    sender.core.flush(now);
    sender.core.step(now);
    sendMs += performance.now() - startedAt;
    const said = sender.sent.splice(0);
    messages += said.length;
    bytes += bytesOf(said);
    receiveMs += deliver(receiver.core, said, "chat-1");
  }
  const changes = 1_000 * seconds;
  console.log(
    `1,000 changes a second   ${(bytes / seconds / 1024).toFixed(1)} KiB/s in ${
      messages / seconds
    } messages/s ` +
      `(${(bytes / changes).toFixed(1)} B a change); ${
        (1_000 * sendMs / changes).toFixed(1)
      } µs a change to send, ` +
      `${(1_000 * receiveMs / changes).toFixed(1)} µs to apply`,
  );
}

// Questions.
{
  const { roster } = newcomer.core;
  const times = 200_000;
  const time = (act: (i: number) => unknown, count: number) => {
    const startedAt = performance.now();
    for (let i = 0; i < count; i++) act(i);
    return 1e6 * (performance.now() - startedAt) / count;
  };
  const rooms = ENTRIES / ROOM_SIZE;
  const count = time((i) => roster.count(`room-${i % rooms}`), times);
  const has = time((i) => roster.has(`room-${i % rooms}`, "user-100001"), times);
  const list = time((i) => roster.list(`room-${i % rooms}`), times / 100);
  console.log(
    `questions     count ${count.toFixed(0)} ns, has ${has.toFixed(0)} ns, list of ${
      roster.count("room-1")
    } ${(list / 1e3).toFixed(1)} µs`,
  );
}
console.log(
  `quiet         ${1000 / HEARTBEAT_MS} heartbeats a second and node, of ${heartbeatBytes()} B`,
);

function heartbeatBytes(): number {
  const { core, sent } = start(1);
  core.start(now);
  return sent[0].length;
}
