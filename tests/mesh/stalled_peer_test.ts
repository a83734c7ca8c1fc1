/** A peer that stops reading: it delays nobody, and what it misses is counted and reported. */

import { assert, assertEquals } from "@std/assert";
import { encodeRoomBroadcast, type Mesh } from "../../mod.ts";
import { collect, Inbox, nextEvent, startNode, startPlainNode } from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

const MIB = 1024 * 1024;

/** Publishes until the link to `name` drops; gives how many messages went out in all. */
async function publishUntilDropped(mesh: Mesh, message: Uint8Array): Promise<number> {
  for (let count = 1;; count++) {
    if (mesh.publish(message).dropped > 0) return count;
    // Let sockets make progress, so that the others keep up.
    await new Promise((resolve) => setTimeout(resolve));
  }
}

Deno.test("a stalled peer delays nobody else, its queue is bounded, and drops are reported once", async () => {
  await using a = await startPlainNode("a", { maxQueuedBytes: 2 * MIB });
  await using b = await startPlainNode("b");
  await b.connect(a.name);
  using stalled = await RawPeer.dial(a.address);
  await stalled.initiate(rawIdentity("z@127.0.0.1:1"));
  const inbox = new Inbox(b);
  const overflows = collect(a, "overflow");
  const message = encodeRoomBroadcast("r", "m".repeat(256 * 1024));

  let published = await publishUntilDropped(a, message);
  let dropped = 1;
  for (let i = 0; i < 20; i++) {
    const report = a.publish(message);
    assertEquals(report, { peers: 1, dropped: 1 });
    published++;
    dropped++;
    const info = a.peers.find(({ name }) => name.startsWith("z@"));
    assert(info !== undefined && info.queuedBytes <= 2 * MIB);
    assertEquals([info?.dropped, info?.messagesOut], [dropped, published - dropped]);
    await inbox.has(published);
  }

  assertEquals(inbox.messages.length, published);
  assertEquals(overflows.length, 1);
  assertEquals(overflows[0].peer.name, "z@127.0.0.1:1");
  assertEquals(overflows[0].dropped, 1);
});

Deno.test("a peer that reads again gets the queued messages, whole and in order, and then new ones", async () => {
  await using a = await startPlainNode("a", { maxQueuedBytes: MIB });
  using stalled = await RawPeer.dial(a.address);
  await stalled.initiate(rawIdentity("z@127.0.0.1:1"));
  const overflows = collect(a, "overflow");
  const numbered = (i: number) => encodeRoomBroadcast("r", `${i}:${"m".repeat(100 * 1024)}`);
  const expected: Uint8Array[] = [];
  const stall = async () => {
    for (let i = 0;; i++) {
      if (a.publish(numbered(i)).dropped > 0) return;
      expected.push(numbered(i));
      await new Promise((resolve) => setTimeout(resolve));
    }
  };
  for (let episode = 1; episode <= 2; episode++) {
    await stall();
    for (const message of expected.splice(0)) assertEquals(await stalled.receive(), message);
    while (a.peers[0].queuedBytes > 0) await new Promise((resolve) => setTimeout(resolve));
    assertEquals(overflows.length, episode);
  }
});

Deno.test("a message longer than the queue's limit still travels when nothing waits", async () => {
  await using a = await startNode("a", { maxQueuedBytes: 1000 });
  await using b = await startNode("b");
  await a.connect(b.name);
  const inbox = new Inbox(b);
  const long = encodeRoomBroadcast("r", "m".repeat(5000));
  assertEquals(a.publish(long), { peers: 1, dropped: 0 });
  assertEquals(a.publish(long), { peers: 0, dropped: 1 });
  assertEquals(await inbox.has(1), [long]);
});

Deno.test("messages that are queued for a link that ends are lost, and peerdown says how many bytes", async () => {
  await using a = await startPlainNode("a");
  using stalled = await RawPeer.dial(a.address);
  await stalled.initiate(rawIdentity("z@127.0.0.1:1"));
  const down = nextEvent(a, "peerdown");
  const message = encodeRoomBroadcast("r", "m".repeat(MIB));
  while (a.peers[0].queuedBytes < 8 * MIB) a.publish(message);
  stalled.close();
  const { peer } = await down;
  assert(peer.queuedBytes > 0 && peer.queuedBytes <= 8 * MIB + message.length);
  assertEquals(peer.dropped, 0);
  assertEquals(a.publish(message), { peers: 0, dropped: 0 });
});

Deno.test("a stall that outlasts the heartbeat ends the link", async () => {
  await using a = await startPlainNode("a", { heartbeatIntervalMs: 50, heartbeatTimeoutMs: 100 });
  using stalled = await RawPeer.dial(a.address);
  await stalled.initiate(rawIdentity("z@127.0.0.1:1"));
  const down = nextEvent(a, "peerdown");
  const message = encodeRoomBroadcast("r", "m".repeat(MIB));
  while (a.peers.length > 0 && a.peers[0].queuedBytes < 4 * MIB) a.publish(message);
  assertEquals((await down).reason, "heartbeat");
});

Deno.test("a ping overtakes the queue, so a link that is slow but alive stays up", async () => {
  await using a = await startPlainNode("a", { heartbeatIntervalMs: 30, heartbeatTimeoutMs: 5_000 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const message = encodeRoomBroadcast("r", "m".repeat(200 * 1024));
  let published = 0;
  for (; a.peers[0].queuedBytes < 12 * MIB; published++) a.publish(message);
  // Long after it is due, the ping has overtaken most of what was there before it.
  await new Promise((resolve) => setTimeout(resolve, 60));
  let before = 0;
  for (let payload = await raw.receive(); payload?.[0] === 0x1e; payload = await raw.receive()) {
    before++;
  }
  assert(before < published, `${before} of ${published} messages came before the ping`);
  assertEquals(a.peers.length, 1);
});

Deno.test("a peer that pings without end and reads no pongs makes a node queue a bounded amount", async () => {
  await using a = await startPlainNode("a");
  const inbox = new Inbox(a);
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const count = 1_000_000;
  const pings = new Uint8Array(13 * count);
  for (let at = 0; at < pings.length; at += 13) pings.set([9, 0, 0, 0, 0xf0], at);
  await raw.write(pings);
  await raw.send(encodeRoomBroadcast("r", "all pings have been read"));
  await inbox.has(1);
  // More than the kernel has taken and 64 besides were never kept.
  raw.connection.closeWrite();
  let pongs = 0;
  while (await raw.receive() !== null) pongs++;
  assert(pongs > 0 && pongs < count, `${pongs} pongs for ${count} pings`);
});

Deno.test("shutdown does not wait for a peer that does not read", async () => {
  const a = await startPlainNode("a");
  using stalled = await RawPeer.dial(a.address);
  await stalled.initiate(rawIdentity("z@127.0.0.1:1"));
  const message = encodeRoomBroadcast("r", "m".repeat(MIB));
  while (a.peers[0].queuedBytes < 8 * MIB) a.publish(message);
  const start = performance.now();
  await a.shutdown();
  assert(performance.now() - start < 4_000);
});
