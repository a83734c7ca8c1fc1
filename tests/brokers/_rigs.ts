/** What the shared suites run against: every backplane, each behind the same few methods. */

import type { BrokerBackplane, DownEvent } from "../../brokers/nats.ts";
import type { Backplane, Mesh } from "../../mod.ts";
import { Broker, type BrokerName } from "../../examples/chat/broker.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { encodeGoodbye } from "../../codec/mod.ts";
import { fullyLinked, linkedTo, startPlainNode } from "../mesh/_cluster.ts";
import { rawIdentity, RawPeer } from "../mesh/_raw_peer.ts";
import {
  connectNats,
  connectRedis,
  disconnect,
  isSkipped,
  natsNode,
  redisNode,
} from "./_servers.ts";
import { nextEvent } from "./_inbox.ts";

/** The rooms that are open on every node. */
export const ROOMS = ["a room * > {1}", "another room", "user:ann"] as const;

/** The room in which nodes talk. */
export const ROOM = ROOMS[0];

/** A node. */
export interface TestNode {
  readonly backplane: Backplane;
  /** Where its events come from. */
  readonly events: EventTarget;
  /** Ends it and its connections. */
  end(): Promise<void>;
}

/** Nodes that hear each other. */
export interface Rig extends AsyncDisposable {
  readonly nodes: TestNode[];
  /** Sends bytes to the first node in the place of a message, whatever they are. */
  inject(message: Uint8Array): Promise<void>;
  /** Sends the first node a payload that need not even have an envelope, if that is possible. */
  injectRaw?(bytes: Uint8Array): Promise<void>;
  /**
   * Disconnects the first node from the last, and connects them again after `during`. Resolves when
   * they are connected, with the last node, which may be a new one.
   */
  outage(during: () => Promise<void>): Promise<TestNode>;
}

/** A kind of backplane. */
export interface RigKind {
  readonly name: string;
  readonly ignore: boolean;
  /** True if it connects nodes through a broker. */
  readonly isBroker: boolean;
  /** Starts three nodes that hear each other. */
  start(): Promise<Rig>;
}

export const RIGS: readonly RigKind[] = [
  ...(["cluster", "room"] as const).map((interest): RigKind => ({
    name: `mesh, interest in the ${interest}`,
    ignore: false,
    isBroker: false,
    start: () => startMeshRig(interest),
  })),
  ...(["nats", "redis"] as const).flatMap((broker) =>
    (["cluster", "room"] as const).map((interest): RigKind => ({
      name: `${broker}, interest in the ${interest}`,
      ignore: isSkipped(broker),
      isBroker: true,
      start: () => startBrokerRig(broker, { interest }),
    }))
  ),
  {
    name: "redis, sharded, interest in the room",
    ignore: isSkipped("redis"),
    isBroker: true,
    start: () => startBrokerRig("redis", { interest: "room", sharded: true }),
  },
];

const COUNT = 3;

async function openRooms(backplane: Backplane): Promise<void> {
  for (const room of ROOMS) backplane.openRoom?.(room);
  await within("ready", backplane.ready?.() ?? Promise.resolve());
}

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
    await openRooms(backplane);
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
  await nextEvent<DownEvent>(backplane, "down", ({ sends, hears }) => !sends && !hears);
}

/** Puts a message into the envelope of a sender that is none of the nodes. */
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
    // ioredis takes bytes only as this type.
    const { Buffer } = await import("node:buffer");
    await client[sharded ? "spublish" : "publish"](topic, Buffer.from(payload));
    await disconnect(client);
  };
}

// The mesh, without TLS: its own tests try that.

async function startMeshRig(interest: "cluster" | "room"): Promise<Rig> {
  const nodes: (TestNode & { backplane: Mesh })[] = [];
  const start = async (name: string) => {
    const options = { name, interest, seeds: nodes.map((node) => node.backplane.name) };
    const mesh = await startPlainNode("x", options);
    await openRooms(mesh);
    return { backplane: mesh, events: mesh, end: () => mesh.shutdown() };
  };
  for (let i = 0; i < COUNT; i++) nodes.push(await start(`node-${i}@127.0.0.1:0`));
  const linked = () => within("links", fullyLinked(nodes.map((node) => node.backplane)));
  await linked();
  return {
    nodes,
    async inject(message) {
      const port = Number(nodes[0].backplane.name.split(":").at(-1));
      using member = await RawPeer.dial({ hostname: "127.0.0.1", port });
      await member.initiate(rawIdentity("member@127.0.0.1:1"));
      await member.send(message);
      await member.send(encodeGoodbye());
      // The node closes once it has read the goodbye.
      while (await member.receive() !== null);
    },
    async outage(during) {
      const last = nodes[COUNT - 1];
      const { name } = last.backplane;
      const others = nodes.slice(0, -1).map((node) => node.backplane);
      const gone = others.map((mesh) => nextEvent(mesh, "peerdown"));
      await last.end();
      await Promise.all(gone);
      // The first node is alone now, so what it publishes reaches nobody.
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
