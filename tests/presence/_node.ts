/**
 * A node with presence as a process of its own: `_node.ts OPTIONS`, which are JSON. It does what it
 * is told on its standard input, a JSON value a line, and says what happens on its standard output
 * in the same way. It ends with its standard input.
 */

import process from "node:process";
import { connect } from "@nats-io/transport-node";
import { TextLineStream } from "./_lines.ts";
import { Redis } from "ioredis";
import type { Backplane } from "../../backplane/mod.ts";
import { natsBackplane } from "../../brokers/nats.ts";
import { redisBackplane } from "../../brokers/redis.ts";
import { startMesh } from "../../mesh/mod.ts";
import { Presence } from "../../presence/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { switchableTransport } from "./_switchable_transport.ts";

export interface NodeOptions {
  readonly kind: "mesh" | "nats" | "redis";
  /** Name of a mesh node, and its seeds. */
  readonly name: string;
  readonly seeds: readonly string[];
  readonly port: number;
  readonly timeoutMs: number;
  /** Heartbeat of the mesh. */
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
}

/** What it is told. */
export type Order =
  | { readonly track: number; readonly room: string; readonly id: string; readonly meta?: unknown }
  /** Many sockets at once, each with an id of its own, in rooms of a hundred. */
  | { readonly fill: number; readonly from: number }
  /** Changes a second, for so many seconds. */
  | { readonly churn: number; readonly seconds: number }
  | { readonly close: number }
  /** Mesh: nobody is reached, until it is over. */
  | { readonly cut: boolean }
  | { readonly report: number; readonly room: string; readonly collect?: boolean }
  /** Says so when it knows of so many sockets on other nodes. */
  | { readonly until: number }
  | { readonly end: true };

const options: NodeOptions = JSON.parse(Deno.args[0]);
const say = (value: Record<string, unknown>) =>
  console.log(JSON.stringify({ at: Date.now(), ...value }));

const network = switchableTransport();
const ends: (() => unknown)[] = [];
let published = 0;
let publishedBytes = 0;
const backplane = counting(await startBackplane());
backplane.addEventListener?.("nodedown", ({ nodeId }) => say({ type: "nodedown", nodeId }));
const rooms = new Rooms<FakeSocket>({ backplane });
const { timeoutMs } = options;
const presence = new Presence(rooms, { timeoutMs });
// Not of the many that `fill` makes: saying so would take longer than anything else.
presence.addEventListener("join", ({ type, room, id }) => {
  if (room === "lobby") say({ type, room, id });
});
presence.addEventListener("leave", ({ type, room, id }) => {
  if (room === "lobby") say({ type, room, id });
});
const sockets = new Map<number, FakeSocket>();
void backplane.ready?.().then(() => say({ type: "linked" }));
void presence.ready().then(() => {
  say({ type: "ready", nodeId: backplane.nodeId, remote: presence.remoteCount });
});

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(
  new TextLineStream(),
);
for await (const line of lines) {
  if (obey(JSON.parse(line))) break;
}
presence[Symbol.dispose]();
rooms[Symbol.dispose]();
for (const end of ends) await end();

function obey(order: Order): boolean {
  if ("track" in order) {
    const { track, room, id, meta } = order;
    presence.track(socketOf(track), room, id, meta);
  } else if ("fill" in order) {
    for (let i = order.from; i < order.from + order.fill; i++) {
      const meta = { name: `User ${i}`, status: "online" };
      presence.track(socketOf(i), `room-${i % 1000}`, `user-${100_000 + i}`, meta);
    }
    say({ type: "filled" });
  } else if ("churn" in order) {
    churn(order.churn, order.seconds);
  } else if ("close" in order) {
    sockets.get(order.close)?.emitClose();
    sockets.delete(order.close);
  } else if ("cut" in order) {
    network.isCut = order.cut;
  } else if ("report" in order) {
    const list = presence.list(order.room).map(({ id, metas }) => [id, metas.length]);
    say({
      type: "report",
      token: order.report,
      list,
      local: presence.localCount,
      remote: presence.remoteCount,
      heapBytes: order.collect ? heapBytes() : undefined,
      rssBytes: Deno.memoryUsage().rss,
      cpuMs: cpuMs(),
      published,
      publishedBytes,
    });
  } else if ("until" in order) {
    const timer = setInterval(() => {
      if (presence.remoteCount < order.until) return;
      clearInterval(timer);
      say({ type: "complete" });
    }, 5);
  }
  return "end" in order;
}

function heapBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return Deno.memoryUsage().heapUsed;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** The same backplane, which counts what presence publishes: nothing else does here. */
function counting(backplane: Backplane): Backplane {
  return {
    maxMessageBytes: backplane.maxMessageBytes,
    nodeId: backplane.nodeId,
    publish(message, from) {
      published++;
      publishedBytes += message.length;
      return backplane.publish(message, from);
    },
    subscribe: (receive) => backplane.subscribe(receive),
    openRoom: (room) => backplane.openRoom?.(room),
    closeRoom: (room) => backplane.closeRoom?.(room),
    ready: async () => await backplane.ready?.(),
    addEventListener: (type: "missed" | "nodedown", listener: (event: never) => void) =>
      backplane.addEventListener?.(type as "missed", listener as (event: unknown) => void),
    removeEventListener: (type: "missed" | "nodedown", listener: (event: never) => void) =>
      backplane.removeEventListener?.(type as "missed", listener as (event: unknown) => void),
  };
}

function socketOf(n: number): FakeSocket {
  let socket = sockets.get(n);
  if (socket === undefined) {
    socket = new FakeSocket();
    sockets.set(n, socket);
  }
  return socket;
}

function churn(perSecond: number, seconds: number): void {
  const numbers = [...sockets.keys()];
  const perTurn = perSecond / 100;
  let turn = 0;
  const timer = setInterval(() => {
    if (turn++ === 100 * seconds) {
      clearInterval(timer);
      say({ type: "churned" });
      return;
    }
    for (let i = 0; i < perTurn / 2; i++) {
      const n = numbers[(turn * perTurn + i) % numbers.length];
      const [room] = rooms.roomsOf(socketOf(n));
      presence.untrack(socketOf(n), room);
      presence.track(socketOf(n), room, `user-${100_000 + n}`, { name: `User ${n}` });
    }
  }, 10);
}

async function startBackplane(): Promise<Backplane> {
  const { kind, name, seeds, port, heartbeatIntervalMs, heartbeatTimeoutMs } = options;
  if (kind === "nats") {
    const connection = await connect({
      servers: `127.0.0.1:${port}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
    });
    const backplane = natsBackplane({ connection, cluster: "presence" });
    backplane.addEventListener("up", ({ type }) => say({ type }));
    ends.push(() => backplane.shutdown(), () => connection.close());
    return backplane;
  }
  if (kind === "redis") {
    const client = () =>
      new Redis({
        host: "127.0.0.1",
        port,
        autoResendUnfulfilledCommands: false,
        retryStrategy: () => 50,
      }).on("error", () => {});
    const [publisher, subscriber] = [client(), client()];
    const backplane = redisBackplane({ publisher, subscriber, cluster: "presence" });
    backplane.addEventListener("up", ({ type }) => say({ type }));
    ends.push(
      () => backplane.shutdown(),
      () => publisher.disconnect(),
      () => subscriber.disconnect(),
    );
    return backplane;
  }
  const mesh = await startMesh({
    name,
    cookie: COOKIE,
    seeds,
    transport: network,
    heartbeatIntervalMs,
    heartbeatTimeoutMs,
  });
  mesh.addEventListener("peerup", ({ peer }) => say({ type: "peerup", id: peer.name }));
  ends.push(() => mesh.shutdown());
  return mesh;
}
