/** What the shared suite runs against: every way to connect nodes, each behind the same few methods. */

import { broadcastChannelBackplane } from "../../backplanes/broadcast_channel.ts";
import type { BrokerBackplane } from "../../backplanes/nats.ts";
import { compose } from "../../backplanes/compose.ts";
import { type GatewayBackplane, gatewayBackplane } from "../../backplanes/gateway.ts";
import type { Backplane, Mesh } from "../../mod.ts";
import { Engine, type EngineName } from "../../examples/chat/engine.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { fullyLinked, linkedTo, startNode } from "../mesh/_cluster.ts";
import { freePort } from "../../examples/chat/cluster_plan.ts";
import {
  connectNats,
  connectRedis,
  disconnect,
  isSkipped,
  natsNode,
  redisNode,
} from "./_engines.ts";
import { nextEvent } from "./_inbox.ts";

/** The room in which nodes talk; it is open on each. */
export const ROOM = "a room * > {1}";

/** A node. */
export interface TestNode {
  readonly backplane: Backplane;
  /** Where its events come from. */
  readonly events: EventTarget;
  /** Ends it, and what it needs. */
  end(): Promise<void>;
}

/** Nodes that hear each other. */
export interface Rig extends AsyncDisposable {
  readonly nodes: TestNode[];
  /**
   * Puts a message where the first node hears it, in the place of an encoded ROOM_BROADCAST but
   * whatever it holds; it begins with the tag and has 7 bytes or more.
   */
  inject(message: Uint8Array): Promise<void>;
  /** Puts something where the first node hears it that is no message at all, if that is possible. */
  injectRaw?(bytes: Uint8Array): Promise<void>;
  /**
   * What is between the first node and the last goes away, and comes back when `during` is over.
   * Resolves when it is back, with the last node, which may be another then.
   */
  outage(during: () => Promise<void>): Promise<TestNode>;
}

/** A way to connect nodes. */
export interface RigKind {
  readonly name: string;
  readonly ignore: boolean;
  /** Three nodes that hear each other. */
  start(): Promise<Rig>;
}

export const RIGS: readonly RigKind[] = [
  { name: "mesh", ignore: false, start: startMeshRig },
  { name: "workers", ignore: false, start: startWorkerRig },
  { name: "workers with a gateway to a mesh", ignore: false, start: startGatewayRig },
  ...(["nats", "redis"] as const).flatMap((engine) =>
    (["cluster", "room"] as const).map((interest): RigKind => ({
      name: `${engine}, interest in the ${interest}`,
      ignore: isSkipped(engine),
      start: () => startEngineRig(engine, { interest }),
    }))
  ),
  {
    name: "redis, sharded, interest in the room",
    ignore: isSkipped("redis"),
    start: () => startEngineRig("redis", { interest: "room", sharded: true }),
  },
];

const COUNT = 3;

async function endAll(nodes: readonly { end(): Promise<void> }[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.end()));
}

// NATS, Redis

async function startEngineRig(
  name: EngineName,
  options: { interest: "cluster" | "room"; sharded?: boolean },
): Promise<Rig> {
  const engine = await Engine.start(name);
  const start = (interest = options.interest) =>
    name === "nats"
      ? natsNode(engine, { interest })
      : redisNode(engine, { interest, sharded: options.sharded });
  const nodes: (TestNode & { backplane: BrokerBackplane })[] = [];
  for (let i = 0; i < COUNT; i++) {
    const { backplane, end } = await start();
    backplane.openRoom?.(ROOM);
    await backplane.ready();
    nodes.push({ backplane, events: backplane, end });
  }
  const topic = nodes[0].backplane.openRoom === undefined
    ? "roomcast.test"
    : "roomcast.test.a=20room=20=2A=20=3E=20=7B1=7D";
  const publish = name === "nats" ? publishNats : publishRedis(options.sharded ?? false);
  return {
    nodes,
    inject: (message) => publish(engine, topic, envelope(message)),
    injectRaw: (bytes) => publish(engine, topic, bytes),
    async outage(during) {
      const gone = nodes.map(({ backplane }) => isAway(backplane));
      await engine.stop();
      await Promise.all(gone);
      await during();
      const back = nodes.map(({ events }) => nextEvent(events, "up"));
      await engine.start();
      await Promise.all(back);
      await Promise.all(nodes.map(({ backplane }) => within("ready", backplane.ready())));
      return nodes[COUNT - 1];
    },
    async [Symbol.asyncDispose]() {
      await endAll(nodes);
      await engine.stop();
    },
  };
}

/** Resolves when a node can neither send nor hear. */
async function isAway(backplane: BrokerBackplane): Promise<void> {
  await nextEvent<{ sends: boolean; hears: boolean }>(
    backplane,
    "down",
    ({ sends, hears }) => !sends && !hears,
  );
}

/** The envelope of a sender that is none of the nodes. */
function envelope(message: Uint8Array): Uint8Array {
  return Uint8Array.of(0xe1, 1, 2, 3, 4, 5, 6, 7, 8, ...message);
}

async function publishNats(engine: Engine, topic: string, payload: Uint8Array): Promise<void> {
  const connection = await connectNats(engine);
  connection.publish(topic, payload);
  await connection.flush();
  await connection.close();
}

function publishRedis(sharded: boolean) {
  return async (engine: Engine, topic: string, payload: Uint8Array) => {
    const client = connectRedis(engine);
    // Of this type is what ioredis takes; no more is needed of it.
    const { Buffer } = await import("node:buffer");
    await client[sharded ? "spublish" : "publish"](topic, Buffer.from(payload));
    await disconnect(client);
  };
}

// The mesh

async function startMeshRig(): Promise<Rig> {
  const nodes: (TestNode & { backplane: Mesh })[] = [];
  const start = async (name: string) => {
    const mesh = await startNode("x", { name, seeds: nodes.map((node) => node.backplane.name) });
    return { backplane: mesh, events: mesh, end: () => mesh.shutdown() };
  };
  for (let i = 0; i < COUNT; i++) nodes.push(await start(`node-${i}@127.0.0.1:0`));
  const linked = () => within("links", fullyLinked(nodes.map((node) => node.backplane)));
  await linked();
  return {
    nodes,
    async inject(message) {
      // A mesh looks at no more than tag and length of what it publishes.
      const stranger = await startNode("stranger");
      await stranger.connect(nodes[0].backplane.name);
      stranger.publish(message);
      await stranger.shutdown();
    },
    async outage(during) {
      const last = nodes[COUNT - 1];
      const { name } = last.backplane;
      const others = nodes.slice(0, -1).map((node) => node.backplane);
      const gone = others.map((mesh) => nextEvent(mesh, "peerdown"));
      await last.end();
      await Promise.all(gone);
      // The first node is alone then: what it publishes reaches nobody.
      await nodes[1].end();
      await linkedTo(others[0], []);
      await during();
      nodes[1] = await start(`node-1@127.0.0.1:0`);
      nodes[COUNT - 1] = await start(name);
      await linked();
      return nodes[COUNT - 1];
    },
    [Symbol.asyncDispose]: () => endAll(nodes),
  };
}

// Workers of one process; here they are in one isolate, whose channels hear each other as well

async function startWorkerRig(): Promise<Rig> {
  const cluster = `test-${crypto.randomUUID()}`;
  const start = () => {
    const backplane = broadcastChannelBackplane({ cluster });
    return { backplane, events: backplane, end: () => backplane.shutdown() };
  };
  const nodes = Array.from({ length: COUNT }, start);
  const met = (count: number) =>
    Promise.all(
      nodes.filter(({ backplane }) => backplane.peers.length < count).map(({ backplane, events }) =>
        nextEvent(events, "peerup", () => backplane.peers.length === count)
      ),
    );
  await met(COUNT - 1);
  const post = (value: unknown) => {
    const channel = new BroadcastChannel(`roomcast.${cluster}`);
    channel.postMessage(value);
    channel.close();
    return Promise.resolve();
  };
  let posts = 0;
  return {
    nodes,
    inject(message) {
      const frames = new Uint8Array(4 + message.length);
      new DataView(frames.buffer).setUint32(0, message.length, true);
      frames.set(message, 4);
      posts++;
      return post({ kind: "data", from: "stranger", post: posts, lane: 0, first: posts, frames });
    },
    injectRaw: post,
    async outage(during) {
      const gone = nextEvent(
        nodes[0].events,
        "peerdown",
        () => nodes[0].backplane.peers.length === 0,
      );
      await endAll(nodes.splice(1));
      await gone;
      await during();
      nodes.push(start(), start());
      await met(COUNT - 1);
      return nodes[COUNT - 1];
    },
    [Symbol.asyncDispose]: () => endAll(nodes),
  };
}

// Two workers of one process, of which one is the gateway, and a server elsewhere

async function startGatewayRig(): Promise<Rig> {
  const cluster = `test-${crypto.randomUUID()}`;
  const name = `workers@127.0.0.1:${freePort()}`;
  const elsewhere = await startNode("elsewhere");
  let open = Promise.withResolvers<void>();
  open.resolve();
  const startWorker = () => {
    const workers = broadcastChannelBackplane({ cluster });
    const gateway = gatewayBackplane({
      cluster,
      async connect() {
        await open.promise;
        const mesh = await startNode("x", { name, seeds: [elsewhere.name] });
        await linkedTo(mesh, [elsewhere.name]);
        return mesh;
      },
    });
    const end = async () => {
      await gateway.shutdown();
      await workers.shutdown();
    };
    return { workers, gateway, backplane: compose(workers, gateway), events: workers, end };
  };
  const gateway = startWorker();
  await hasGateway(gateway.gateway);
  const worker = startWorker();
  const met = [gateway, worker].map(({ workers }) => nextEvent(workers, "peerup"));
  await Promise.all([hasGateway(worker.gateway), ...met]);
  const far: TestNode = {
    backplane: elsewhere,
    events: elsewhere,
    end: () => elsewhere.shutdown(),
  };
  const nodes: TestNode[] = [worker, gateway, far];
  const workers = [worker, gateway];
  return {
    nodes,
    inject(message) {
      const channel = new BroadcastChannel(`roomcast.${cluster}`);
      const frames = new Uint8Array(4 + message.length);
      new DataView(frames.buffer).setUint32(0, message.length, true);
      frames.set(message, 4);
      channel.postMessage({ kind: "data", from: "stranger", post: 1, lane: 0, first: 0, frames });
      channel.close();
      return Promise.resolve();
    },
    async outage(during) {
      open = Promise.withResolvers();
      const gone = nextEvent(worker.gateway, "gatewaydown");
      await gateway.end();
      await gone;
      await during();
      open.resolve();
      await hasGateway(worker.gateway);
      // Another in its place, which stands by.
      const next = startWorker();
      workers[1] = next;
      nodes[1] = next;
      await Promise.all([hasGateway(next.gateway), nextEvent(next.workers, "peerup")]);
      return far;
    },
    async [Symbol.asyncDispose]() {
      for (const each of workers) await each.end();
      await far.end();
    },
  };
}

async function hasGateway(backplane: GatewayBackplane): Promise<void> {
  if (backplane.gateway === undefined) await nextEvent(backplane, "gatewayup");
}
