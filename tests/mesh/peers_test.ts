/** One link for each peer, seen from outside. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodePing, encodePong, PING } from "../../codec/mod.ts";
import { assertMeshError, nextEvent, startNode, startPlainNode } from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

Deno.test("two live nodes with one name do not take turns, because the first is refused from then on", async () => {
  await using a = await startPlainNode("a");
  const name = "twin@127.0.0.1:1";
  const [first, second] = [rawIdentity(name), rawIdentity(name)];
  using one = await RawPeer.dial(a.address);
  await one.initiate(first);
  using two = await RawPeer.dial(a.address);
  await two.initiate(second);
  assertEquals(await one.receive(), null);

  for (let i = 0; i < 3; i++) {
    const refused = nextEvent(a, "refused");
    using again = await RawPeer.dial(a.address);
    await assertRejects(() => again.initiate(first));
    assertEquals((await refused).code, "duplicate-name");
  }
  assertEquals(a.peers.length, 1);
  await two.send(encodePing(new Uint8Array(8)));
  assertEquals(await two.receive(), encodePong(new Uint8Array(8)));
});

Deno.test("the smaller name's link stays when both sides have dialled", async () => {
  await using m = await startPlainNode("m");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  // The smaller name's own dial takes the place of the link that m dialled.
  const smaller = rawIdentity(`a@127.0.0.1:${listener.addr.port}`);
  const accepted = listener.accept();
  const connecting = m.connect(smaller.name);
  using old = new RawPeer(await accepted);
  await old.accept(smaller);
  await connecting;
  const replaced = nextEvent(m, "peerdown");
  using newer = await RawPeer.dial(m.address);
  await newer.initiate(smaller);
  assertEquals((await replaced).reason, "replaced");
  assertEquals(m.peers.map((peer) => peer.direction), ["incoming"]);
});

Deno.test("the larger name's dial is refused while the link of the smaller lives", async () => {
  await using m = await startPlainNode("m");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const larger = rawIdentity(`z@127.0.0.1:${listener.addr.port}`);
  const accepted = listener.accept();
  const connecting = m.connect(larger.name);
  using old = new RawPeer(await accepted);
  await old.accept(larger);
  await connecting;
  using newer = await RawPeer.dial(m.address);
  await assertRejects(() => newer.initiate(larger));
  assertEquals(m.peers.map((peer) => peer.direction), ["outgoing"]);
  // And m sees for itself whether the peer has a reason to dial again.
  assertEquals((await old.receive())?.[0], PING);
});

Deno.test("a restarted node replaces its old link at once", async () => {
  await using a = await startPlainNode("a");
  const name = "b@127.0.0.1:1";
  using ghost = await RawPeer.dial(a.address);
  await ghost.initiate(rawIdentity(name));
  const before = a.peers[0].incarnation;
  const order: string[] = [];
  a.addEventListener("peerdown", ({ reason }) => order.push(reason));
  a.addEventListener("peerup", ({ peer }) => order.push(peer.name));

  using restarted = await RawPeer.dial(a.address);
  await restarted.initiate(rawIdentity(name));

  assertEquals(await ghost.receive(), null);
  assertEquals(a.peers.length, 1);
  assert(a.peers[0].incarnation !== before);
  assertEquals(order, ["replaced", name]);
});

Deno.test("peers beyond maxPeers are refused, whichever side dials", async () => {
  await using a = await startNode("a", { maxPeers: 1 });
  await using b = await startNode("b");
  await using c = await startNode("c");
  await a.connect(b.name);
  const refused = nextEvent(a, "refused");
  await assertMeshError("not-accepted", c.connect(a.name));
  assertEquals((await refused).code, "too-many-peers");
  await assertMeshError("too-many-peers", a.connect(c.name));
  assertEquals(a.peers.map(({ name }) => name), [b.name]);
});
