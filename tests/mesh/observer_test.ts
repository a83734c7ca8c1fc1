import { assertEquals, assertThrows } from "@std/assert";
import {
  decodePeerList,
  encodePeerList,
  encodeRoomBroadcast,
  FEATURE_GOODBYE,
  FEATURE_OBSERVER,
  FEATURE_ROOM_INTEREST,
  PEER_LIST,
} from "../../codec/mod.ts";
import type { Mesh, MeshEventMap } from "../../mesh/mod.ts";
import { resolveOptions } from "../../mesh/options.ts";
import {
  assertMeshError,
  COOKIE,
  fullyLinked,
  Inbox,
  linkedTo,
  nextEvent,
  startNode,
  startPlainNode,
} from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

const EVENTS: (keyof MeshEventMap)[] = [
  ...["peerup", "peerdown", "nodedown", "missed", "refused"] as const,
  ...["malformed", "overflow", "unsupported"] as const,
];

const hello = (room: string) => encodeRoomBroadcast(room, "hello");

/** The types of all events that a node dispatches from now on. */
function eventsOf(mesh: Mesh): string[] {
  const types: string[] = [];
  for (const type of EVENTS) mesh.addEventListener(type, () => types.push(type));
  return types;
}

Deno.test("an observer finds all nodes from one, and no node notices when it comes and goes", async () => {
  await using a = await startNode("a");
  await using b = await startNode("b", { seeds: [a.name] });
  await fullyLinked([a, b]);
  const events = [a, b].map(eventsOf);
  const observer = await startNode("o", { observer: true, seeds: [a.name] });
  await linkedTo(observer, [a.name, b.name]);
  await observer.ready();
  assertEquals([a, b].map(({ peers }) => peers.map(({ name }) => name)), [[b.name], [a.name]]);
  await observer.shutdown();
  await a.ready();
  assertEquals(events, [[], []]);
});

Deno.test("a node tells nobody of an observer", async () => {
  await using a = await startNode("a");
  await using observer = await startNode("o", { observer: true });
  await observer.connect(a.name);
  await using b = await startNode("b", { seeds: [a.name] });
  await b.ready();
  assertEquals(b.peers.map(({ name }) => name), [a.name]);
  await linkedTo(observer, [a.name]);
});

Deno.test("an observer gets only messages for its rooms, and a report counts it only for those", async () => {
  await using a = await startNode("a");
  await using observer = await startNode("o", { observer: true });
  const inbox = new Inbox(observer);
  await observer.connect(a.name);
  assertEquals(a.publish(hello("elsewhere")).peers, 0);
  observer.openRoom("here");
  await observer.ready();
  assertEquals(a.publish(hello("elsewhere")).peers, 0);
  assertEquals(a.publish(hello("here")).peers, 1);
  assertEquals(await inbox.has(1), [hello("here")]);
});

Deno.test("an observer can publish, and the nodes get its id with the message", async () => {
  await using a = await startNode("a");
  await using observer = await startNode("o", { observer: true });
  await observer.connect(a.name);
  const heard = Promise.withResolvers<unknown>();
  a.subscribe((message, from) => heard.resolve([message.slice(), from]));
  assertEquals(observer.publish(hello("room")).peers, 1);
  assertEquals(await heard.promise, [hello("room"), observer.nodeId]);
});

Deno.test("an observer takes no node's place, and a node has 16 places for observers", async () => {
  await using a = await startPlainNode("a", { maxPeers: 1 });
  const raws: RawPeer[] = [];
  const features = FEATURE_GOODBYE | FEATURE_ROOM_INTEREST | FEATURE_OBSERVER;
  const come = async (i: number) => {
    const raw = await RawPeer.dial(a.address);
    raws.push(raw);
    await raw.initiate({ ...rawIdentity(`o${i}@127.0.0.1:${i + 1}`), features });
  };
  for (let i = 0; i < 16; i++) await come(i);
  const refused = nextEvent(a, "refused");
  await come(16).catch(() => {});
  assertEquals((await refused).code, "too-many-peers");
  await using b = await startPlainNode("b");
  await b.connect(a.name);
  assertEquals(a.peers.map(({ name }) => name), [b.name]);
  for (const raw of raws) raw.close();
});

Deno.test("an observer whose link breaks is neither reported as missed nor redialled", async () => {
  await using a = await startPlainNode("a", { heartbeatIntervalMs: 50, heartbeatTimeoutMs: 50 });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const events = eventsOf(a);
  using raw = await RawPeer.dial(a.address);
  const name = `o@127.0.0.1:${listener.addr.port}`;
  await raw.initiate({ ...rawIdentity(name), features: FEATURE_OBSERVER });
  // It answers no ping, so the node ends the link.
  while (await raw.receive() !== null);
  const dialled = listener.accept().then(() => true, () => false);
  await a.ready();
  assertEquals([events, a.peers], [[], []]);
  listener.close();
  assertEquals(await dialled, false);
});

Deno.test("a node that restarts under an observer's name becomes a peer", async () => {
  await using a = await startPlainNode("a");
  using observer = await RawPeer.dial(a.address);
  const identity = rawIdentity("b@127.0.0.1:1");
  await observer.initiate({ ...identity, features: FEATURE_OBSERVER });
  const up = nextEvent(a, "peerup");
  using node = await RawPeer.dial(a.address);
  await node.initiate(rawIdentity("b@127.0.0.1:1"));
  assertEquals((await up).peer.name, "b@127.0.0.1:1");
});

Deno.test("an observer is not dialled, and the code `observer` says so", async () => {
  await using a = await startNode("a");
  await using observer = await startNode("o", { observer: true });
  await assertMeshError("observer", a.connect(observer.name));
  assertEquals([a.peers, observer.peers], [[], []]);
});

Deno.test("an older node lists an observer as a node, and others do not dial it", async () => {
  await using a = await startPlainNode("a");
  await using observer = await startPlainNode("o", { observer: true });
  await observer.connect(a.name);
  using old = await RawPeer.dial(a.address);
  await old.initiate(rawIdentity("old@127.0.0.1:1"));
  const events = eventsOf(a);
  await old.send(encodePeerList([observer.name]));
  // Malformed, and read after the list.
  const read = nextEvent(a, "malformed");
  await old.send(Uint8Array.of(PEER_LIST));
  await read;
  await observer.shutdown();
  assertEquals([a.peers.map(({ name }) => name), events], [["old@127.0.0.1:1"], ["malformed"]]);
});

Deno.test("a node that learns of an unknown observer finds out what it is", async () => {
  await using a = await startPlainNode("a");
  await using observer = await startPlainNode("o", { observer: true });
  using old = await RawPeer.dial(a.address);
  await old.initiate(rawIdentity("old@127.0.0.1:1"));
  const refused = nextEvent(a, "refused");
  await old.send(encodePeerList([observer.name]));
  assertEquals((await refused).code, "observer");
  assertEquals(observer.peers, []);
});

Deno.test("an observer gets the list of nodes", async () => {
  await using a = await startPlainNode("a");
  await using b = await startPlainNode("b");
  await b.connect(a.name);
  using observer = await RawPeer.dial(a.address);
  await observer.initiate({ ...rawIdentity("o@127.0.0.1:1"), features: FEATURE_OBSERVER });
  for (;;) {
    const payload = await observer.expect();
    if (payload[0] !== PEER_LIST) continue;
    assertEquals(decodePeerList(payload), [b.name]);
    break;
  }
});

Deno.test("an observer cannot want everything", () => {
  const options = { name: "o@127.0.0.1:0", cookie: COOKIE, observer: true };
  assertEquals(resolveOptions(options).interest, "room");
  assertEquals(resolveOptions({ ...options, interest: "room" }).interest, "room");
  assertThrows(() => resolveOptions({ ...options, interest: "cluster" }), RangeError, "observer");
});

Deno.test("a node that shuts down says goodbye to its observers", async () => {
  const a = await startNode("a");
  await using observer = await startNode("o", { observer: true });
  await observer.connect(a.name);
  const down = nextEvent(observer, "peerdown");
  await a.shutdown();
  assertEquals((await down).reason, "goodbye");
});
