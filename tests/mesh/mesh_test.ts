import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  decodePeerList,
  encodeFrame,
  encodeGoodbye,
  encodeName,
  encodePeerList,
  encodePing,
  encodePong,
  GOODBYE,
  PEER_LIST,
  PING,
} from "../../codec/mod.ts";
import {
  encodeRoomBroadcast,
  FrameError,
  type Mesh,
  MeshError,
  ROOM_BROADCAST,
  Rooms,
  startMesh,
  type Transport,
} from "../../mod.ts";
import { tcpTransport, tlsTransport } from "../../mesh/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import {
  collect,
  COOKIE,
  fullyLinked,
  Inbox,
  linkedTo,
  nextEvent,
  startNode,
  startPlainNode,
} from "./_cluster.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };

async function assertMeshError(code: string, promise: Promise<unknown>): Promise<MeshError> {
  const error = await assertRejects(() => promise, MeshError) as MeshError;
  assertEquals(error.code, code);
  return error;
}

/** Takes a millisecond for each message, as if it were for many sockets. */
class BusyInbox {
  delivered = 0;

  constructor(mesh: Mesh) {
    mesh.subscribe(() => {
      this.delivered++;
      const end = performance.now() + 1;
      while (performance.now() < end);
    });
  }
}

/** Frames of short messages, to be sent in one go. */
function flood(count: number): Uint8Array {
  const frame = encodeFrame(encodeRoomBroadcast("r", ""));
  const bytes = new Uint8Array(count * frame.length);
  for (let at = 0; at < bytes.length; at += frame.length) bytes.set(frame, at);
  return bytes;
}

Deno.test("two nodes: a broadcast on one reaches the members on the other, and only there", async () => {
  await using a = await startNode("a");
  await using b = await startNode("b");
  await a.connect(b.name);
  const roomsA = new Rooms<FakeSocket>({ backplane: a });
  const roomsB = new Rooms<FakeSocket>({ backplane: b });
  const [sender, here, there, elsewhere] = Array.from({ length: 4 }, () => new FakeSocket());
  roomsA.join(sender, "café");
  roomsA.join(here, "café");
  roomsB.join(there, "café");
  roomsB.join(elsewhere, "kitchen");
  const heard = new Promise<unknown>((resolve) => there.onSend = resolve);

  const report = roomsA.broadcast("café", "naïve 🎉", { except: sender });

  assertEquals(report, { sent: 1, slow: 0, failed: 0, peers: 1, dropped: 0 });
  assertEquals(await heard, "naïve 🎉");
  assertEquals([sender.heard, here.heard, elsewhere.heard], [[], ["naïve 🎉"], []]);
});

Deno.test("five nodes form a full mesh from one seed, and each reaches all others once", async () => {
  const seed = await startNode("seed");
  const others = ["a", "b", "c", "d"].map((local) => startNode(local, { seeds: [seed.name] }));
  const nodes = [seed, ...await Promise.all(others)];
  await fullyLinked(nodes);

  const inboxes = nodes.map((node) => new Inbox(node));
  for (const node of nodes) {
    assertEquals(node.publish(encodeRoomBroadcast("lobby", node.name)), { peers: 4, dropped: 0 });
  }
  for (const [i, inbox] of inboxes.entries()) {
    const messages = await inbox.has(4);
    const expected = nodes.filter((_, j) => j !== i)
      .map((node) => encodeRoomBroadcast("lobby", node.name));
    assertEquals(messages.map(String).sort(), expected.map(String).sort());
  }
  await Promise.all(nodes.map((node) => node.shutdown()));
  // All that was sent has been written and read by now: there was no fifth message.
  assertEquals(inboxes.map((inbox) => inbox.messages.length), [4, 4, 4, 4, 4]);
});

Deno.test("messages of all rooms reach another node in the order in which they were broadcast", async () => {
  await using a = await startNode("a");
  await using b = await startNode("b");
  await a.connect(b.name);
  const inbox = new Inbox(b);
  const messages = Array.from(
    { length: 5000 },
    (_, i) => encodeRoomBroadcast(`room ${i % 7}`, `${i} ${"x".repeat(i % 3 === 0 ? 4000 : 1)}`),
  );
  for (const message of messages) assertEquals(a.publish(message).dropped, 0);
  assertEquals(await inbox.has(messages.length), messages);
});

Deno.test("a message as long as the limit arrives whole, one byte more is refused before it is sent", async () => {
  await using a = await startNode("a", { maxMessageBytes: 1_000_000 });
  await using b = await startNode("b", { maxMessageBytes: 1_000_000 });
  await a.connect(b.name);
  const inbox = new Inbox(b);
  const longest = encodeRoomBroadcast("r", "m".repeat(1_000_000 - 8));
  assertEquals(a.publish(longest), { peers: 1, dropped: 0 });
  assertEquals(await inbox.has(1), [longest]);

  const error = assertThrows(
    () => a.publish(encodeRoomBroadcast("r", "m".repeat(1_000_000 - 7))),
    FrameError,
  ) as FrameError;
  assertEquals(error.code, "message-too-long");
  const rooms = new Rooms({ backplane: a });
  assertThrows(() => rooms.broadcast("r", "m".repeat(1_000_000 - 7)), FrameError, "1000001 bytes");
});

Deno.test("what is no room broadcast cannot be published: peers would take it for something else", async () => {
  await using a = await startNode("a");
  assertThrows(() => a.publish(encodePing(new Uint8Array(8))), FrameError, "tag");
  const empty = assertThrows(() => a.publish(new Uint8Array(0)), FrameError) as FrameError;
  const cut = assertThrows(() => a.publish(Uint8Array.of(0x1e, 0, 0, 9, 0, 0, 0)), FrameError);
  assertEquals([empty, cut as FrameError].map(({ code }) => code), ["truncated", "truncated"]);
});

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

Deno.test("a TLS node and a plain one find out about each other, whichever dials, on both sides", async () => {
  await using secure = await startNode("secure");
  await using plain = await startPlainNode("plain");
  const refused = [secure, plain].map((node) => collect(node, "refused"));
  await assertMeshError("peer-speaks-plain", secure.connect(plain.name));
  await assertMeshError("peer-speaks-tls", plain.connect(secure.name));
  const codes = refused.map((details) => details.map(({ code }) => code));
  assertEquals(codes, [["peer-speaks-plain"], ["peer-speaks-tls"]]);
});

Deno.test("links are encrypted unless told otherwise, and peers says so", async () => {
  for (const [start, encrypted] of [[startNode, true], [startPlainNode, false]] as const) {
    await using a = await start("a");
    await using b = await start("b");
    await a.connect(b.name);
    await linkedTo(b, [a.name]);
    assertEquals([a, b].map(({ peers }) => peers[0].encrypted), [encrypted, encrypted]);
  }
});

Deno.test("with an operator's certificates a cluster is linked, and the proofs are bound all the same", async () => {
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

Deno.test("a wrong cookie is refused on both sides, and the other side is told nothing", async () => {
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

Deno.test("cookies can be rotated with the cluster running: any is accepted, the first proves", async () => {
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

Deno.test("a node refuses its own name: it does not link to itself, by any address", async () => {
  await using a = await startNode("a");
  const { port } = a.address;
  await assertMeshError("own-name", a.connect(a.name));
  await assertMeshError("own-name", a.connect(`127.0.0.1:${port}`));
  await assertMeshError("own-name", a.connect(`localhost:${port}`));
  assertEquals(a.peers, []);
});

Deno.test("a node among its own seeds does no harm", async () => {
  await using b = await startNode("b");
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using a = await startMesh({
    name: `a@127.0.0.1:${port}`,
    cookie: COOKIE,
    seeds: [`127.0.0.1:${port}`, `localhost:${port}`, b.name],
  });
  const refused = collect(a, "refused");
  await fullyLinked([a, b]);
  assertEquals(refused, []);
});

Deno.test("a node that another live node shares its name with says so", async () => {
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

Deno.test("two live nodes with one name do not take turns: the first is refused from then on", async () => {
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

Deno.test("both dial at once, many times over: one link, the same one on both sides, nothing lost", async () => {
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

Deno.test("of two links dialled from both sides the one of the smaller name stays", async () => {
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

Deno.test("a restarted node replaces its ghost at once", async () => {
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

Deno.test("after the handshake a node sends the names of its peers, the receiver left out", async () => {
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

Deno.test("a receiver never forwards: what comes from one peer does not go to another", async () => {
  await using a = await startPlainNode("a");
  const inbox = new Inbox(a);
  using one = await RawPeer.dial(a.address);
  await one.initiate(rawIdentity("one@127.0.0.1:1"));
  using two = await RawPeer.dial(a.address);
  await two.initiate(rawIdentity("two@127.0.0.1:2"));
  assertEquals((await two.receive())?.[0], PEER_LIST);

  await one.send(encodeRoomBroadcast("lobby", "hello"));
  await inbox.has(1);

  await two.send(encodePing(new Uint8Array(8)));
  assertEquals(await two.receive(), encodePong(new Uint8Array(8)));
});

Deno.test("a malformed message is dropped, counted and reported, and the link goes on", async () => {
  await using a = await startPlainNode("a");
  const rooms = new Rooms<FakeSocket>({ backplane: a });
  const socket = new FakeSocket();
  rooms.join(socket, "r");
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const malformed = collect(a, "malformed");
  await raw.send(Uint8Array.of(0x1e, 0xff, 0xff, 0x61));
  await raw.send(Uint8Array.of(0x1e, 1, 0, 0x72, 1, 0, 0, 0, 0xff));
  await raw.send(Uint8Array.of(PEER_LIST, 1));
  await raw.send(Uint8Array.of(PING, 1, 2, 3));
  await raw.send(Uint8Array.of(GOODBYE, 1));
  const heard = new Promise<unknown>((resolve) => socket.onSend = resolve);
  await raw.send(encodeRoomBroadcast("r", "still here"));

  assertEquals(await heard, "still here");
  assertEquals(malformed.map(({ code }) => code), [
    "truncated",
    "invalid-utf8",
    "truncated",
    "truncated",
    "trailing-bytes",
  ]);
  assertEquals(a.peers[0].malformed, 5);
});

Deno.test("tags that mean nothing here are ignored and counted, and so are empty frames skipped", async () => {
  await using a = await startPlainNode("a");
  const inbox = new Inbox(a);
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const malformed = collect(a, "malformed");
  const known = [0x12, 0x1e, 0xe0, 0xe2, 0xe3, 0xe4, 0xe5, 0xf0, 0xf1];
  const tags = Array.from({ length: 256 }, (_, tag) => tag).filter((tag) => !known.includes(tag));
  for (const tag of tags) await raw.send(Uint8Array.of(tag, 1, 2, 3));
  await raw.send(new Uint8Array(0));
  await raw.send(encodeRoomBroadcast("r", "still here"));
  await inbox.has(1);
  assertEquals(malformed, []);
  assertEquals([a.peers[0].ignored, a.peers[0].malformed], [tags.length, 0]);
});

Deno.test("a frame above the limit ends the link: the stream cannot be trusted any more", async () => {
  await using a = await startPlainNode("a", { maxMessageBytes: 1000 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const down = nextEvent(a, "peerdown");
  await raw.write(Uint8Array.of(0xe9, 3, 0, 0)); // 1,001
  assertEquals((await down).reason, "frame-too-long");
  assertEquals(await raw.receive(), null);
});

Deno.test("a receiver that throws something of its own is logged, and costs neither the link nor other receivers", async () => {
  await using a = await startPlainNode("a");
  const logged: unknown[][] = [];
  const { error } = console;
  console.error = (...values: unknown[]) => void logged.push(values);
  using _restored = { [Symbol.dispose]: () => void (console.error = error) };
  a.subscribe(() => {
    throw new TypeError("a fault of the application");
  });
  const inbox = new Inbox(a);
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  await raw.send(encodeRoomBroadcast("r", "hello"));
  await inbox.has(1);
  assertEquals(logged.map(([, fault]) => fault instanceof TypeError), [true]);
  assertEquals([a.peers.length, a.peers[0].malformed], [1, 0]);
});

Deno.test("each side pings on its own schedule, and peers show the round trip", async () => {
  await using a = await startPlainNode("a", { heartbeatIntervalMs: 20 });
  await using b = await startPlainNode("b");
  await b.connect(a.name);
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  for (let pings = 0; pings < 3;) {
    const payload = await raw.receive();
    if (payload?.[0] !== PING) continue;
    pings++;
    await raw.send(encodePong(payload.subarray(1)));
  }
  const peer = a.peers.find(({ name }) => name === b.name);
  assert(peer?.roundTripMs !== undefined && peer.roundTripMs < 5_000);
  assertEquals(a.peers.length, 2);
});

Deno.test("a peer that does not answer a ping is down, whatever TCP says", async () => {
  await using a = await startPlainNode("a", { heartbeatIntervalMs: 20, heartbeatTimeoutMs: 30 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const { reason } = await nextEvent(a, "peerdown");
  assertEquals(reason, "heartbeat");
  assertEquals((await raw.receive())?.[0], PING);
  assertEquals(await raw.receive(), null);
});

Deno.test("a pong that echoes no ping in flight is no sign of life", async () => {
  await using a = await startPlainNode("a", { heartbeatIntervalMs: 20, heartbeatTimeoutMs: 30 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const down = nextEvent(a, "peerdown");
  assertEquals((await raw.receive())?.[0], PING);
  await raw.send(encodePong(new Uint8Array(8).fill(0xaa)));
  assertEquals((await down).reason, "heartbeat");
});

Deno.test("goodbye is reported down at once, and a node that was only learnt is not redialled", async () => {
  await using a = await startPlainNode("a");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity(`z@127.0.0.1:${listener.addr.port}`));
  const down = nextEvent(a, "peerdown");
  await raw.send(encodeGoodbye());
  assertEquals((await down).reason, "goodbye");

  // Another peer that breaks off instead is redialled; by then, the first would have been too.
  using listener2 = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const raw2 = await RawPeer.dial(a.address);
  await raw2.initiate(rawIdentity(`y@127.0.0.1:${listener2.addr.port}`));
  raw2.close();
  const redial = await listener2.accept();
  redial.close();
  const dialled = await Promise.race([
    listener.accept().then(() => true),
    nextEvent(a, "refused").then(() => false),
  ]);
  assertEquals(dialled, false);
});

Deno.test("a lost node is redialled until it is back", async () => {
  await using a = await startPlainNode("a");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity(`z@127.0.0.1:${listener.addr.port}`));
  const up = nextEvent(a, "peerup", ({ peer }) => peer.name.startsWith("z@"));
  raw.close();
  using again = new RawPeer(await listener.accept());
  await again.accept(rawIdentity(`z@127.0.0.1:${listener.addr.port}`));
  assertEquals((await up).peer.direction, "outgoing");
});

Deno.test("a seed that says goodbye is awaited: when it is back, it is linked again", async () => {
  const seed = await startNode("seed");
  await using a = await startNode("a", { seeds: [seed.name] });
  await fullyLinked([seed, a]);
  const { name, address: { port } } = seed;
  await seed.shutdown();
  await linkedTo(a, []);
  await using back = await startMesh({ name, cookie: COOKIE, listen: { port } });
  await fullyLinked([back, a]);
  assert(back.incarnation !== seed.incarnation);
});

Deno.test("seeds given as a function are asked again while the node runs", async () => {
  await using b = await startNode("b");
  let asked = 0;
  await using a = await startNode("a", {
    seeds: () => {
      asked++;
      if (asked === 1) throw new Error("the resolver is not up yet");
      return Promise.resolve([b.name, "not an address"]);
    },
  });
  const refused = collect(a, "refused");
  await fullyLinked([a, b]);
  assertEquals(asked, 2);
  assertEquals(refused.map(({ code }) => code), ["seeds-failed", "invalid-address"]);
});

Deno.test("peers beyond maxPeers are refused, dialled or dialling", async () => {
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

Deno.test("a list of names beyond what may be learnt is reported once, and the node stays well", async () => {
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

Deno.test("shutdown flushes what is queued, says goodbye, and leaves nothing behind", async () => {
  const a = await startNode("a");
  await using b = await startNode("b");
  await a.connect(b.name);
  const inbox = new Inbox(b);
  const down = nextEvent(b, "peerdown");
  const message = encodeRoomBroadcast("r", "m".repeat(100_000));
  for (let i = 0; i < 100; i++) assertEquals(a.publish(message).peers, 1);

  await a.shutdown();

  assertEquals((await down).reason, "goodbye");
  assertEquals(inbox.messages.length, 100);
  assertEquals([a.peers, a.publish(message)], [[], { peers: 0, dropped: 0 }]);
});

Deno.test("shutdown may be called again, at the same time and later, by any of its ways", async () => {
  const controller = new AbortController();
  const a = await startNode("a", { signal: controller.signal });
  await using b = await startNode("b");
  await a.connect(b.name);
  const first = a.shutdown();
  controller.abort();
  await Promise.all([first, a.shutdown(), a[Symbol.asyncDispose]()]);
  await a.shutdown();
});

Deno.test("an aborted signal shuts the node down, and one aborted before keeps it from starting", async () => {
  const controller = new AbortController();
  const a = await startNode("a", { signal: controller.signal });
  await using b = await startNode("b");
  await a.connect(b.name);
  const down = nextEvent(b, "peerdown");
  controller.abort();
  assertEquals((await down).reason, "goodbye");
  await a.shutdown();
  await assertMeshError("shut-down", startNode("c", { signal: controller.signal }));
});

Deno.test("shutdown in the midst of dialling and shaking hands leaves nothing behind", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const a = await startPlainNode("a", { seeds: [`127.0.0.1:${silent.addr.port}`] });
  using dialled = await silent.accept();
  using stranger = await Deno.connect(a.address);
  const connecting = assertMeshError("shut-down", a.connect(`x@127.0.0.1:${silent.addr.port}`));
  const first = new Uint8Array(1);
  await dialled.read(first); // The node has begun to speak.
  await a.shutdown();
  await connecting;
  assertEquals(await stranger.read(first).catch(() => null), null);
});

Deno.test("startMesh says why it cannot listen", async () => {
  await using a = await startNode("a");
  const error = await assertMeshError(
    "listen-failed",
    startMesh({ name: `b@127.0.0.1:${a.address.port}`, cookie: COOKIE }),
  );
  assert(error.cause instanceof Deno.errors.AddrInUse);
});

Deno.test("bad options are refused by startMesh with what would be right", async () => {
  await assertRejects(
    () => startNode("a", { cookie: "too short" }),
    RangeError,
    "16 bytes or more",
  );
  await assertRejects(
    () => startMesh({ name: "10.0.0.5:9000", cookie: COOKIE }),
    RangeError,
    "name",
  );
  await assertRejects(() => startNode("a", { maxPeers: 0 }), RangeError, "maxPeers must be");
});

Deno.test("a listener may shut the node down from within an event", async () => {
  const a = await startNode("a");
  await using b = await startNode("b");
  a.addEventListener("peerup", () => void a.shutdown());
  await a.connect(b.name);
  await a.shutdown();
  await linkedTo(b, []);
});

Deno.test("nodes behind one name find each other, though each is first led to itself", async () => {
  const names = ["127.0.0.2", "127.0.0.3"];
  const probe = Deno.listen({ hostname: names[0], port: 0 });
  const { port } = probe.addr;
  probe.close();
  const nodes = await Promise.all(names.map((own, i) => {
    let turn = i;
    return startMesh({
      name: `n${i}@${own}:${port}`,
      cookie: COOKIE,
      seeds: [`all.nodes.test:${port}`],
      transport: {
        ...tcpTransport,
        connect: (address, options) =>
          tcpTransport.connect({ ...address, hostname: names[turn++ % 2] }, options),
      },
    });
  }));
  await fullyLinked(nodes);
  await Promise.all(nodes.map((node) => node.shutdown()));
});

Deno.test("a leaving node answers no pings behind its goodbye, so what it has flushed arrives", async () => {
  const a = await startPlainNode("a");
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const message = encodeRoomBroadcast("r", "m".repeat(10_000));
  for (let i = 0; i < 300; i++) a.publish(message);
  const shutdown = a.shutdown();
  // The peer is busy while it is being left, but its pings go on.
  for (let i = 0; i < 20; i++) {
    await raw.send(encodePing(new Uint8Array(8))).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  let broadcasts = 0;
  let payload = await raw.receive();
  for (; payload !== null && payload[0] !== GOODBYE; payload = await raw.receive()) {
    if (payload[0] === ROOM_BROADCAST) broadcasts++;
  }
  assertEquals([broadcasts, payload], [300, encodeGoodbye()]);
  raw.close();
  await shutdown;
});

Deno.test("a flood of messages that are costly to deliver leaves timers their turn", async () => {
  await using a = await startPlainNode("a");
  const inbox = new BusyInbox(a);
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  await raw.write(flood(1000));
  let turns = 0;
  for (; inbox.delivered < 1000; turns++) await new Promise((resolve) => setTimeout(resolve, 10));
  // Without a pause, a single turn would see all of them.
  assert(turns >= 10, `${turns} turns for 1,000 messages`);
});

Deno.test("a dial ends in time, though strangers keep handshakes in its target's name going", async () => {
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

Deno.test("a seeds function that does not answer is asked again", async () => {
  await using b = await startNode("b");
  const timers = new FakeTimers();
  let asked = 0;
  const a = await startNode("a", {
    clock: timers,
    seeds: () => ++asked === 1 ? new Promise<string[]>(() => {}) : [b.name],
  });
  const failed = nextEvent(a, "refused");
  // Time passes whenever the node waits for it, and not before.
  const passing = setInterval(() => timers.advance(500), 1);
  assertEquals((await failed).code, "seeds-failed");
  await linkedTo(a, [b.name]);
  assertEquals(asked, 2);
  clearInterval(passing);
  await a.shutdown();
  assertEquals(timers.pending, 0);
});

Deno.test("a pong behind more than this node can keep up with is not taken for missing", async () => {
  await using a = await startPlainNode("a", { heartbeatIntervalMs: 30, heartbeatTimeoutMs: 60 });
  const downs = collect(a, "peerdown");
  const inbox = new BusyInbox(a);
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  // Every pong comes behind messages that take ten times as long as it may.
  await raw.write(flood(600));
  const ping = await raw.expect();
  await raw.send(encodePong(ping.subarray(1)));
  while (a.peers[0]?.roundTripMs === undefined && downs.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assertEquals([inbox.delivered, downs], [600, []]);
  // Caught up, the node is as strict as ever.
  assertEquals((await nextEvent(a, "peerdown")).reason, "heartbeat");
});

Deno.test("who hangs up on finding the link that is there already is no refusal", async () => {
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

Deno.test("in peerdown the peer is gone from peers, and in peerup it is there", async () => {
  const a = await startNode("a");
  await using b = await startNode("b");
  const seen: string[][] = [];
  const look = () => void seen.push(b.peers.map(({ name }) => name));
  b.addEventListener("peerup", look);
  b.addEventListener("peerdown", look);
  await a.connect(b.name);
  await a.shutdown();
  await linkedTo(b, []);
  assertEquals(seen, [[a.name], []]);
});

Deno.test("shutdown reports its own links as shut-down, and nobody as refused", async () => {
  const a = await startPlainNode("a");
  await using b = await startPlainNode("b");
  await a.connect(b.name);
  using stranger = await Deno.connect(a.address);
  const [downs, refused] = [collect(a, "peerdown"), collect(a, "refused")];
  await a.shutdown();
  assertEquals(downs.map(({ reason }) => reason), ["shut-down"]);
  assertEquals(refused, []);
  assertEquals(await stranger.read(new Uint8Array(1)).catch(() => null), null);
});

Deno.test("goodbye is said only to a peer that has announced that it understands it", async () => {
  const a = await startPlainNode("a");
  using raw = await RawPeer.dial(a.address);
  await raw.initiate({ ...rawIdentity("z@127.0.0.1:1"), features: 0 });
  const shutdown = a.shutdown();
  assertEquals(await raw.receive(), null);
  raw.close();
  await shutdown;
});

Deno.test("nothing that follows a goodbye is delivered", async () => {
  await using a = await startPlainNode("a");
  const inbox = new Inbox(a);
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const down = nextEvent(a, "peerdown");
  const payloads = [
    encodeRoomBroadcast("r", "last"),
    encodeGoodbye(),
    encodeRoomBroadcast("r", "?"),
  ];
  await raw.write(Uint8Array.from(payloads.flatMap((payload) => [...encodeFrame(payload)])));
  await down;
  assertEquals(inbox.messages, [encodeRoomBroadcast("r", "last")]);
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

Deno.test("a node goes on accepting after a connection could not be accepted", async () => {
  let failures = 2;
  const secure = tlsTransport();
  await using a = await startNode("a", {
    transport: {
      ...secure,
      async listen(address) {
        const listener = await secure.listen(address);
        return {
          address: listener.address,
          accept: () =>
            failures-- > 0 ? Promise.reject(new Error("no descriptors")) : listener.accept(),
          close: () => listener.close(),
        };
      },
    },
  });
  const refused = nextEvent(a, "refused");
  await using b = await startNode("b");
  await b.connect(a.name);
  assertEquals((await refused).code, "accept-failed");
});

Deno.test("shutdown takes its listener off the signal", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  const a = await startNode("a", { signal });
  assertEquals(listeners, 1);
  await a.shutdown();
  assertEquals(listeners, 0);
});

Deno.test("a leaving node waits for no pong: its way is closed, it could not ask again", async () => {
  const a = await startPlainNode("a", { heartbeatIntervalMs: 50, heartbeatTimeoutMs: 50 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const message = encodeRoomBroadcast("r", "m".repeat(10_000));
  for (let i = 0; i < 200; i++) a.publish(message);
  const shutdown = a.shutdown();
  // The peer takes longer to read than a ping may take to be answered.
  await new Promise((resolve) => setTimeout(resolve, 300));
  let payload = await raw.receive();
  while (payload !== null && payload[0] !== GOODBYE) payload = await raw.receive();
  assertEquals(payload, encodeGoodbye());
  raw.close();
  await shutdown;
});

Deno.test("a message that takes longer to cross than a pong may is delivered: the link lives", async () => {
  const times = { heartbeatIntervalMs: 50, heartbeatTimeoutMs: 100 };
  // A slow path: 64 KiB every 4 ms, so that 4 MiB take over twice the timeout.
  const slow: Transport = {
    ...tcpTransport,
    async connect(address, options) {
      const connection = await tcpTransport.connect(address, options);
      return {
        ...connection,
        async write(bytes) {
          await new Promise((resolve) => setTimeout(resolve, 4));
          return await connection.write(bytes.subarray(0, 64 * 1024));
        },
      };
    },
  };
  await using a = await startNode("a", { ...times, transport: slow });
  await using b = await startPlainNode("b", times);
  const downs = [...[a, b].map((node) => collect(node, "peerdown"))];
  await a.connect(b.name);
  const inbox = new Inbox(b);
  const message = encodeRoomBroadcast("r", "m".repeat(4 * 1024 * 1024));
  a.publish(message);
  const down = nextEvent(b, "peerdown");
  await Promise.race([inbox.has(1), down]);
  assertEquals([inbox.messages.length, downs.flat()], [1, []]);
});

Deno.test("peers are told of each other again every minute: who has forgotten a node finds it again", async () => {
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

Deno.test("when a place is free again, the node that waits for one is dialled, and not before", async () => {
  await using b = await startNode("b");
  await using c = await startNode("c");
  await using a = await startNode("a", { maxPeers: 1, seeds: [b.name, c.name] });
  const refused = [a, b, c].map((node) => collect(node, "refused"));
  const { peer } = await nextEvent(a, "peerup");
  const [linked, waiting] = peer.name === b.name ? [b, c] : [c, b];
  await linked.shutdown();
  await linkedTo(a, [waiting.name]);
  // A dial beside the one link would have been refused.
  assertEquals(refused.flat(), []);
});

Deno.test("a transport that fails with no Error is told of all the same", async () => {
  const transport: Transport = {
    listen: ({ port }) => port === 1 ? Promise.reject("no ports") : tcpTransport.listen(LOOPBACK),
    connect: () => Promise.reject("no route"),
  };
  const unheard = await assertMeshError(
    "listen-failed",
    startMesh({ name: "a@127.0.0.1:1", cookie: COOKIE, transport }),
  );
  assert(unheard.message.endsWith(": no ports"), unheard.message);
  await using a = await startNode("a", { transport });
  const unreached = await assertMeshError("unreachable", a.connect("10.0.0.1:9000"));
  assert(unreached.message.endsWith(": no route"), unreached.message);
});

Deno.test("a transport whose connections throw when they are closed costs neither link nor node", async () => {
  const transport: Transport = {
    listen: (address) => tcpTransport.listen(address),
    connect: async (address, options) => {
      const connection = await tcpTransport.connect(address, options);
      return {
        remoteAddress: connection.remoteAddress,
        read: (buffer) => connection.read(buffer),
        write: (bytes) => connection.write(bytes),
        closeWrite: () => connection.closeWrite(),
        close: () => {
          connection.close();
          throw new Error("closed in anger");
        },
      };
    },
  };
  await using a = await startNode("a", { transport });
  const b = await startPlainNode("b");
  await a.connect(b.name);
  const down = nextEvent(a, "peerdown");
  await b.shutdown();
  assertEquals((await down).reason, "goodbye");
});

Deno.test("a signal that is aborted while the node begins to listen keeps it from starting", async () => {
  const controller = new AbortController();
  const transport: Transport = {
    listen: async (address) => {
      const listener = await tcpTransport.listen(address);
      controller.abort();
      return listener;
    },
    connect: () => Promise.reject(new Error("nobody dials")),
  };
  // The sanitizer sees that the listener has been closed.
  await assertMeshError("shut-down", startNode("a", { transport, signal: controller.signal }));
});

Deno.test("a source of randomness that fails refuses who comes, and the node goes on", async () => {
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

Deno.test("seeds that are no strings are refused one by one, and the others dialled", async () => {
  await using b = await startNode("b");
  const seeds = () => [42, b.name, undefined] as unknown as string[];
  await using a = await startNode("a", { seeds });
  const refused = collect(a, "refused");
  await linkedTo(a, [b.name]);
  assertEquals(refused.map(({ address, code }) => [address, code]), [
    ["42", "invalid-address"],
    ["undefined", "invalid-address"],
  ]);
});

Deno.test("shutdown does not wait for a seeds function that does not answer", async () => {
  const asked = Promise.withResolvers<void>();
  const a = await startNode("a", {
    seeds: () => {
      asked.resolve();
      return new Promise<string[]>(() => {});
    },
  });
  await asked.promise;
  await a.shutdown();
});
