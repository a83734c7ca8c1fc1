import { assert, assertEquals } from "@std/assert";
import { decodePeerList, encodePeerList, encodePing, encodePong } from "../../codec/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { collect, nextEvent, startPlainNode } from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

Deno.test("a node sends the names of its peers after the handshake, without the receiver's", async () => {
  await using a = await startPlainNode("a");
  const [one, two] = [rawIdentity("one@127.0.0.1:1"), rawIdentity("two@127.0.0.1:2")];
  using first = await RawPeer.dial(a.address);
  await first.initiate(one);
  using second = await RawPeer.dial(a.address);
  await second.initiate(two);
  assertEquals(await second.receive(), encodePeerList([one.name]));
  // Nothing is sent if that is empty: the first thing that the first peer hears is its pong.
  await first.send(encodePing(new Uint8Array(8)));
  assertEquals(await first.receive(), encodePong(new Uint8Array(8)));
});

Deno.test("a list with more names than may be learnt is reported once, and does no harm", async () => {
  await using a = await startPlainNode("a", { maxPeers: 4, handshakeTimeoutMs: 200 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const refused = collect(a, "refused");
  const full = nextEvent(a, "refused", ({ code }) => code === "too-many-peers");
  await raw.send(encodePeerList(Array.from({ length: 60_000 }, (_, i) => `n@127.0.0.2:${i + 1}`)));
  await full;
  assertEquals(refused.filter(({ code }) => code === "too-many-peers").length, 1);
  await raw.send(encodePeerList(["no name", "x@127.0.0.1:99999"]));
  assertEquals(
    (await nextEvent(a, "refused", ({ code }) => code === "invalid-address")).address,
    "no name",
  );
  await raw.send(encodePing(new Uint8Array(8)));
  assertEquals(await raw.receive(), encodePong(new Uint8Array(8)));
});

Deno.test("a peer list longer than a message may be is sent in several", async () => {
  await using a = await startPlainNode("a", { maxMessageBytes: 512 });
  const local = "x".repeat(200);
  const names = [1, 2, 3, 4].map((port) => `${local}@127.0.0.1:${port}`);
  const peers: RawPeer[] = [];
  for (const name of names) {
    const peer = await RawPeer.dial(a.address);
    await peer.initiate(rawIdentity(name));
    peers.push(peer);
  }
  using last = await RawPeer.dial(a.address);
  await last.initiate(rawIdentity("z@127.0.0.1:9"));
  const told: string[] = [];
  while (told.length < names.length) {
    const payload = await last.expect();
    assert(payload.length <= 512);
    told.push(...decodePeerList(payload));
  }
  assertEquals(told.sort(), names);
  for (const peer of peers) peer.close();
});

Deno.test("a node repeats its peer list every minute, so a peer that has forgotten a node finds it again", async () => {
  const timers = new FakeTimers();
  const a = await startPlainNode("a", { clock: timers, heartbeatIntervalMs: 1_000_000 });
  const [one, two] = [rawIdentity("one@127.0.0.1:1"), rawIdentity("two@127.0.0.1:2")];
  using first = await RawPeer.dial(a.address);
  await first.initiate(one);
  using second = await RawPeer.dial(a.address);
  await second.initiate(two);
  assertEquals(await second.receive(), encodePeerList([one.name]));
  timers.advance(60_000);
  assertEquals(await first.receive(), encodePeerList([two.name]));
  assertEquals(await second.receive(), encodePeerList([one.name]));
  first.close();
  second.close();
  await a.shutdown();
  assertEquals(timers.pending, 0);
});
