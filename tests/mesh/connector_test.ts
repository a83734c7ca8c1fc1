/** How connections become links, and why some do not. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeName, encodeRoomBroadcast } from "../../codec/mod.ts";
import { type Mesh, startMesh } from "../../mesh/mod.ts";
import {
  assertMeshError,
  collect,
  COOKIE,
  Inbox,
  linkedTo,
  nextEvent,
  startNode,
  startPlainNode,
} from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

Deno.test("connect resolves with the peer, to an address or a name, and at once if it is linked", async () => {
  await using a = await startNode("a");
  await using b = await startNode("b");
  const { hostname, port } = b.address;
  const byAddress = await a.connect(`${hostname}:${port}`);
  const byName = await a.connect(b.name);
  assertEquals([byAddress.name, byName.since], [b.name, byAddress.since]);
  assertEquals(byAddress.incarnation, b.incarnation);
  assertEquals([a.peers.length, b.peers.length], [1, 1]);
  assertEquals([a.peers[0].direction, b.peers[0].direction], ["outgoing", "incoming"]);
});

Deno.test("connect says why there is no link", async () => {
  await using a = await startPlainNode("a");
  await using b = await startPlainNode("b");
  await assertMeshError("invalid-address", a.connect("no address"));
  await assertRejects(() => a.connect(9000 as never), TypeError, "target must be a string");
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  const unreachable = await assertMeshError("unreachable", a.connect(`127.0.0.1:${port}`));
  assert(unreachable.cause instanceof Error);
  const wrongName = await assertMeshError("wrong-name", a.connect(`z@127.0.0.1:${b.address.port}`));
  assertEquals(wrongName.peer, `z@127.0.0.1:${b.address.port}`);
  await a.shutdown();
  await assertMeshError("shut-down", a.connect(b.name));
});

Deno.test("a TLS node and a plain one both report the mismatch, whichever dials", async () => {
  await using secure = await startNode("secure");
  await using plain = await startPlainNode("plain");
  const refused = [secure, plain].map((node) => collect(node, "refused"));
  await assertMeshError("peer-speaks-plain", secure.connect(plain.name));
  await assertMeshError("peer-speaks-tls", plain.connect(secure.name));
  const codes = refused.map((details) => details.map(({ code }) => code));
  assertEquals(codes, [["peer-speaks-plain"], ["peer-speaks-tls"]]);
});

Deno.test("links are encrypted by default, and peers says so", async () => {
  for (const [start, encrypted] of [[startNode, true], [startPlainNode, false]] as const) {
    await using a = await start("a");
    await using b = await start("b");
    await a.connect(b.name);
    await linkedTo(b, [a.name]);
    assertEquals([a, b].map(({ peers }) => peers[0].encrypted), [encrypted, encrypted]);
  }
});

Deno.test("a cluster with an operator's certificates is linked, and its proofs are bound too", async () => {
  const read = (file: string) =>
    Deno.readTextFileSync(new URL(`../testdata/tls/${file}`, import.meta.url));
  const tls = {
    cert: read("loopback.pem"),
    key: read("loopback.key"),
    caCerts: [read("ca.pem")],
  };
  await using a = await startNode("a", { tls });
  await using b = await startNode("b", { tls });
  await a.connect(b.name);
  await using stranger = await startNode("stranger", { tls, cookie: "another cookie altogether" });
  await assertMeshError("not-accepted", stranger.connect(a.name));
  // One whose certificate nobody has signed can dial, since it knows the cookie, but not be dialled.
  await using ephemeral = await startNode("ephemeral");
  await assertMeshError("untrusted-certificate", a.connect(ephemeral.name));
  await ephemeral.connect(a.name);
});

Deno.test("a wrong cookie is refused by both sides, and neither tells the other why", async () => {
  await using a = await startNode("a");
  await using b = await startNode("b", { cookie: "an entirely different secret" });
  const refused = nextEvent(b, "refused");
  await assertMeshError("not-accepted", a.connect(b.name));
  assertEquals((await refused).code, "wrong-cookie");
  assertEquals([a.peers, b.peers], [[], []]);
});

Deno.test("an acceptor that does not know the cookie is refused by the initiator", async () => {
  await using a = await startPlainNode("a");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const impostor = (async () => {
    using peer = new RawPeer(await listener.accept());
    await peer.accept(rawIdentity("z@127.0.0.1:1"), "a guess that is wrong");
    assertEquals(await peer.receive(), null);
  })();
  await assertMeshError("wrong-cookie", a.connect(`127.0.0.1:${listener.addr.port}`));
  await impostor;
  assertEquals(a.peers, []);
});

Deno.test("cookies can be rotated in a running cluster: any of them is accepted, and the first one proves", async () => {
  const [before, after] = ["the old cookie, 16+", "the new cookie, 16+"];
  // Each step of a rolling change, beside the step before and after it.
  const steps = [[before], [before, after], [after, before], [after]];
  for (let i = 0; i + 1 < steps.length; i++) {
    await using a = await startNode("a", { cookie: steps[i] });
    await using b = await startNode("b", { cookie: steps[i + 1] });
    await a.connect(b.name);
  }
  for (let i = 0; i + 1 < steps.length; i++) {
    await using a = await startNode("a", { cookie: steps[i + 1] });
    await using b = await startNode("b", { cookie: steps[i] });
    await a.connect(b.name);
  }
  // One that has not heard of the change gets its answer by the cookie that it knows.
  await using late = await startNode("late", { cookie: [before] });
  await using early = await startNode("early", { cookie: [after, before] });
  await late.connect(early.name);

  await using a = await startNode("a", { cookie: [before] });
  await using b = await startNode("b", { cookie: [after] });
  await assertMeshError("not-accepted", a.connect(b.name));
});

Deno.test("a node does not link to itself, by any address", async () => {
  await using a = await startNode("a");
  const { port } = a.address;
  await assertMeshError("own-name", a.connect(a.name));
  await assertMeshError("own-name", a.connect(`127.0.0.1:${port}`));
  await assertMeshError("own-name", a.connect(`localhost:${port}`));
  assertEquals(a.peers, []);
});

Deno.test("a node reports that another live node has its name", async () => {
  await using a = await startPlainNode("a");
  const twin = await startMesh({
    name: a.name,
    cookie: COOKIE,
    tls: false,
    listen: { hostname: "127.0.0.1", port: 0 },
  });
  const refused = nextEvent(a, "refused");
  using raw = await RawPeer.dial(a.address);
  await assertRejects(() => raw.initiate(rawIdentity(a.name)));
  assertEquals((await refused).code, "duplicate-name");
  await assertMeshError("duplicate-name", a.connect(`127.0.0.1:${twin.address.port}`));
  await twin.shutdown();
});

Deno.test("two nodes that dial each other at once keep the same link on both sides and lose nothing", async () => {
  for (let round = 0; round < 40; round++) {
    // The larger name dials first as often as the smaller.
    const [a, b] = await Promise.all([startNode(round % 2 ? "a" : "z"), startNode("m")]);
    const downs = [a, b].map((node) => collect(node, "peerdown"));
    const refused = [a, b].map((node) => collect(node, "refused"));
    const inboxes = [a, b].map((node) => new Inbox(node));
    const greet = (node: Mesh) => node.publish(encodeRoomBroadcast("lobby", node.name));
    a.addEventListener("peerup", () => greet(a));
    b.addEventListener("peerup", () => greet(b));

    await Promise.all([a.connect(b.name), b.connect(a.name)]);

    assertEquals([a.peers.length, b.peers.length], [1, 1]);
    assert(a.peers[0].direction !== b.peers[0].direction);
    assertEquals([...downs.flat(), ...refused.flat()], []);
    await Promise.all(inboxes.map((inbox) => inbox.has(1)));
    await Promise.all([a.shutdown(), b.shutdown()]);
    assertEquals(inboxes.map((inbox) => inbox.messages.length), [1, 1]);
  }
});

Deno.test("a dial ends in time even if strangers keep up handshakes in its target's name", async () => {
  await using a = await startPlainNode("a", { handshakeTimeoutMs: 200 });
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const target = rawIdentity(`z@127.0.0.1:${listener.addr.port}`);
  const strangers: RawPeer[] = [];
  const stall = async () => {
    const stranger = await RawPeer.dial(a.address);
    strangers.push(stranger);
    await stranger.send(encodeName({ name: target.name, creation: 1, extension: target }));
    await stranger.receive();
  };
  await stall();
  const connecting = assertMeshError("not-accepted", a.connect(target.name));
  using acceptor = new RawPeer(await listener.accept());
  await acceptor.accept(target, undefined, { refuse: true });
  const stalling = setInterval(() => void stall().catch(() => {}), 50);
  await connecting;
  clearInterval(stalling);
  for (const stranger of strangers) stranger.close();
});

Deno.test("a dialler that finds the link already up is not reported as refused", async () => {
  await using a = await startPlainNode("a");
  const refused = collect(a, "refused");
  const self = rawIdentity("z@127.0.0.1:1");
  using linked = await RawPeer.dial(a.address);
  await linked.initiate(self);
  using again = await RawPeer.dial(a.address);
  await again.send(encodeName({ name: self.name, creation: 1, extension: self }));
  await again.expect();
  again.close();
  // A stranger who hangs up in the same place under another name is one.
  const closed = nextEvent(a, "refused");
  using stranger = await RawPeer.dial(a.address);
  const other = rawIdentity("y@127.0.0.1:1");
  await stranger.send(encodeName({ name: other.name, creation: 1, extension: other }));
  await stranger.expect();
  stranger.close();
  assertEquals((await closed).code, "closed");
  assertEquals(refused.length, 1);
});

Deno.test("a node whose source of randomness fails refuses the connection and goes on", async () => {
  let isDry = false;
  const randomBytes = (size: number) => {
    if (isDry) throw new Error("no entropy");
    return crypto.getRandomValues(new Uint8Array(size));
  };
  await using a = await startPlainNode("a", { randomBytes });
  await using b = await startPlainNode("b");
  isDry = true;
  const refused = nextEvent(a, "refused");
  await assertMeshError("closed", b.connect(a.name));
  const { code, cause } = await refused;
  assertEquals([code, (cause as Error).message], ["unexpected", "no entropy"]);
  isDry = false;
  await b.connect(a.name);
});
