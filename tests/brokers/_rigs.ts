/** What the shared suite runs against: every way to connect nodes, each behind the same few methods. */

import type { BrokerBackplane, DownEvent } from "../../brokers/nats.ts";
import type { Backplane, Mesh } from "../../mod.ts";
import { Broker, type BrokerName } from "../../examples/chat/broker.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { fullyLinked, linkedTo, startNode } from "../mesh/_cluster.ts";
import {
  connectNats,
  connectRedis,
  disconnect,
  isSkipped,
  natsNode,
  redisNode,
} from "./_servers.ts";
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
  ...(["nats", "redis"] as const).flatMap((broker) =>
    (["cluster", "room"] as const).map((interest): RigKind => ({
      name: `${broker}, interest in the ${interest}`,
      ignore: isSkipped(broker),
      start: () => startBrokerRig(broker, { interest }),
    }))
  ),
  {
    name: "redis, sharded, interest in the room",
    ignore: isSkipped("redis"),
    start: () => startBrokerRig("redis", { interest: "room", sharded: true }),
  },
];

const COUNT = 3;

async function endAll(nodes: readonly { end(): Promise<void> }[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.end()));
}

// NATS, Redis

async function startBrokerRig(
  name: BrokerName,
  options: { interest: "cluster" | "room"; sharded?: boolean },
): Promise<Rig> {
  const broker = await Broker.start(name);
  const start = (interest = options.interest) =>
    name === "nats"
      ? natsNode(broker, { interest })
      : redisNode(broker, { interest, sharded: options.sharded });
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
    inject: (message) => publish(broker, topic, envelope(message)),
    injectRaw: (bytes) => publish(broker, topic, bytes),
    async outage(during) {
      const gone = nodes.map(({ backplane }) => isAway(backplane));
      await broker.stop();
      await Promise.all(gone);
      await during();
      const back = nodes.map(({ events }) => nextEvent(events, "up"));
      await broker.start();
      await Promise.all(back);
      await Promise.all(nodes.map(({ backplane }) => within("ready", backplane.ready())));
      return nodes[COUNT - 1];
    },
    async [Symbol.asyncDispose]() {
      await endAll(nodes);
      await broker.stop();
    },
  };
}

/** Resolves when a node can neither send nor hear. */
async function isAway(backplane: BrokerBackplane): Promise<void> {
  await nextEvent<DownEvent>(
    backplane,
    "down",
    ({ sends, hears }) => !sends && !hears,
  );
}

/** The envelope of a sender that is none of the nodes. */
function envelope(message: Uint8Array): Uint8Array {
  return Uint8Array.of(0xe1, 1, 2, 3, 4, 5, 6, 7, 8, ...message);
}

async function publishNats(broker: Broker, topic: string, payload: Uint8Array): Promise<void> {
  const connection = await connectNats(broker);
  connection.publish(topic, payload);
  await connection.flush();
  await connection.close();
}

function publishRedis(sharded: boolean) {
  return async (broker: Broker, topic: string, payload: Uint8Array) => {
    const client = connectRedis(broker);
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
