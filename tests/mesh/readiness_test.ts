import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  encodePing,
  encodeRoomBroadcast,
  FEATURE_GOODBYE,
  FEATURE_ROOM_INTEREST,
  PEER_LIST,
  PONG,
} from "../../codec/mod.ts";
import type { Mesh } from "../../mesh/mod.ts";
import { collect, linkedTo, startNode, startPlainNode } from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

const hello = (room: string) => encodeRoomBroadcast(room, "hello");

/** Resolves to whether a promise has settled when other things have had their turn. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  const later = new Promise((resolve) => setTimeout(() => resolve(pending), 20));
  return await Promise.race([promise, later]) === pending;
}

Deno.test("a node is ready when its seeds function has given seeds and these have been tried", async () => {
  await using a = await startNode("a");
  const asked = Promise.withResolvers<string[]>();
  await using b = await startNode("b", { seeds: () => asked.promise });
  const ready = b.ready();
  assertEquals(await isPending(ready), true);
  asked.resolve([a.name, "dead@127.0.0.1:1"]);
  await ready;
  assertEquals(b.peers.map(({ name }) => name), [a.name]);
});

Deno.test("seeds that fail, refuse or cannot be parsed do not keep a node from being ready", async () => {
  await using a = await startNode("a", { cookie: "another cookie altogether" });
  await using b = await startNode("b", {
    seeds: () => Promise.reject(new Error("vault is sealed")),
  });
  await b.ready();
  const seeds = ["nonsense:", a.name, "nobody@127.0.0.1:1"];
  await using c = await startNode("c", { seeds: () => seeds });
  const refused = collect(c, "refused");
  await c.ready();
  assertEquals(
    refused.map(({ address }) => address).sort(),
    [
      a.name.split("@")[1],
      "127.0.0.1:1",
      "nonsense:",
    ].sort(),
  );
});

Deno.test("a seed that accepts the connection and is silent delays readiness until the handshake times out", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  await using a = await startPlainNode("a", {
    seeds: [`127.0.0.1:${listener.addr.port}`],
    handshakeTimeoutMs: 200,
  });
  const ready = a.ready();
  using _connection = await accepted;
  assertEquals(await isPending(ready), true);
  await ready;
});

Deno.test("a node is ready after it has linked the nodes that a seed lists, however long the list is", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  await using b = await startPlainNode("b", { seeds: [a.name] });
  await b.ready();
  for (let i = 0; i < 50_000; i++) a.openRoom(`room number ${i}`);
  await using c = await startPlainNode("c", { seeds: [a.name] });
  await c.ready();
  assertEquals(c.peers.map(({ name }) => name).sort(), [a.name, b.name].sort());
});

Deno.test("a peer list comes before the answer to a ping, however many rooms are announced", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  await using b = await startPlainNode("b", { seeds: [a.name] });
  await b.ready();
  // More than the buffers of a connection take.
  for (let i = 0; i < 90_000; i++) a.openRoom(`room number ${i}`.padEnd(80, "x"));
  using raw = await RawPeer.dial(a.address);
  const features = FEATURE_GOODBYE | FEATURE_ROOM_INTEREST;
  await raw.initiate({ ...rawIdentity("z@127.0.0.1:1"), features });
  await raw.send(encodePing(new Uint8Array(8)));
  const tags: number[] = [];
  while (!tags.includes(PONG)) tags.push((await raw.expect())[0]);
  assertEquals(tags.filter((tag) => tag === PEER_LIST || tag === PONG), [PEER_LIST, PONG]);
});

Deno.test("ready may be called several times, and again after a change", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  await using b = await startPlainNode("b", { interest: "room", seeds: [a.name] });
  await Promise.all([b.ready(), b.ready()]);
  b.openRoom("r");
  await Promise.all([b.ready(), b.ready()]);
  assertEquals(a.publish(hello("r")).peers, 1);
});

Deno.test("property: a ready node hears every message that another node publishes to its rooms from then on", async () => {
  const interest = fc.constantFrom("cluster" as const, "room" as const);
  const plans = fc.array(fc.record({ interest, seed: fc.nat(), rooms: fc.nat({ max: 3 }) }), {
    minLength: 2,
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(plans, async (plans) => {
      const nodes: Mesh[] = [];
      try {
        for (const [i, { interest, seed, rooms }] of plans.entries()) {
          const seeds = i === 0 ? [] : [nodes[seed % i].name];
          const node = await startPlainNode(`n${i}`, { interest, seeds });
          for (let room = 0; room < rooms; room++) node.openRoom(`${i}/${room}`);
          await node.ready();
          const names = nodes.map(({ name }) => name).sort();
          assertEquals(node.peers.map(({ name }) => name).sort(), names);
          for (let room = 0; room < rooms; room++) {
            const message = hello(`${i}/${room}`);
            for (const other of nodes) await heard(node, other, message);
          }
          nodes.push(node);
        }
        for (const node of nodes) {
          await linkedTo(node, nodes.filter((other) => other !== node).map(({ name }) => name));
        }
      } finally {
        await Promise.all(nodes.map((node) => node.shutdown()));
      }
    }),
    { numRuns: 15 },
  );
});

/** Publishes a message on one node, and resolves when another has heard it from that one. */
async function heard(receiver: Mesh, sender: Mesh, message: Uint8Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  using _subscription = receiver.subscribe((_, from) => {
    if (from === sender.nodeId) resolve();
  });
  const before = sender.publish(message);
  assertEquals(before.dropped, 0);
  assertEquals(before.peers >= 1, true, "it was queued for nobody");
  await promise;
}
