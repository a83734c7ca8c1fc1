import { assert, assertEquals } from "@std/assert";
import { encodeRoomBroadcast } from "../../codec/mod.ts";
import { Inbox, linkedTo, startNode, startPlainNode } from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

Deno.test("totals count what was published and received, and outlive peers", async () => {
  await using a = await startNode("a");
  const message = encodeRoomBroadcast("r", "hello");
  assertEquals(Object.values(a.totals), [0, 0, 0, 0, 0, 0, 0]);
  for (let round = 1; round <= 3; round++) {
    const b = await startNode("b");
    await b.connect(a.name);
    await linkedTo(a, [b.name]);
    const [atA, atB] = [new Inbox(a), new Inbox(b)];
    a.publish(message);
    b.publish(message);
    b.publish(message);
    await Promise.all([atA.has(2), atB.has(1)]);
    assertEquals([b.totals.published, b.totals.received], [2, 1]);
    const [peer] = a.peers;
    assert(a.totals.bytesIn >= peer.bytesIn && a.totals.bytesOut >= peer.bytesOut);
    await b.shutdown();
    await linkedTo(a, []);
    const { published, received, dropped, malformed, bytesIn, bytesOut } = a.totals;
    assertEquals([published, received, dropped, malformed], [round, 2 * round, 0, 0]);
    assert(bytesIn > round * 2 * message.length && bytesOut > round * message.length);
  }
});

Deno.test("a message without receivers counts as published, and one after shutdown does not", async () => {
  const a = await startNode("a");
  const message = encodeRoomBroadcast("r", "hello");
  a.publish(message);
  await a.shutdown();
  a.publish(message);
  assertEquals(a.totals.published, 1);
});

Deno.test("totals count what was dropped and what was malformed", async () => {
  await using a = await startPlainNode("a", { maxQueuedBytes: 1 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const message = encodeRoomBroadcast("r", "hello");
  for (let i = 0; i < 3; i++) a.publish(message);
  assertEquals([a.totals.published, a.totals.dropped], [3, 2]);
  const inbox = new Inbox(a);
  await raw.send(Uint8Array.of(0x12, 1));
  await raw.send(message);
  await inbox.has(1);
  assertEquals([a.totals.malformed, a.totals.received], [1, 1]);
  raw.close();
  await linkedTo(a, []);
  assertEquals([a.totals.malformed, a.totals.dropped], [1, 2]);
});

Deno.test("totals that were read do not change later", async () => {
  await using a = await startNode("a");
  const { totals } = a;
  a.publish(encodeRoomBroadcast("r", "hello"));
  assertEquals([totals.published, a.totals.published], [0, 1]);
});
