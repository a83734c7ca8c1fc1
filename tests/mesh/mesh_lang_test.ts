/** Nodes of the Mesh runtime in a cluster, played by a stand-in that knows `docs/wire.md` alone. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { encodeRoomBroadcast, FrameError, type Mesh, MeshError, Rooms } from "../../mod.ts";
import { FrameDecoder } from "../../codec/mod.ts";
import { tcpTransport, tlsTransport, type Transport } from "../../mesh/mod.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { collect, Inbox, linkedTo, nextEvent, startNode } from "./_cluster.ts";
import { MeshLangPeer } from "./_mesh_lang_peer.ts";
import { TextLineStream } from "../presence/_lines.ts";
import { FRAMES, MESSAGE_BYTES } from "./_stalling_node.ts";

const MIB = 1024 * 1024;

/** How long a test waits for what will never come, if it fails. */
const HEARD_LIMIT_MS = 20_000;
/** Tag, room's length, message's length. */
const OVERHEAD = 7;
const FREE_FOR_OURS = [0xe0, 0xef];

const TEXT = "смотри: 部屋 🎉 \ufeff\ufffd";

/** Checks that there is one link and one session, and that a message gets across either way, once. */
async function assertLinked(mesh: Mesh, peer: MeshLangPeer): Promise<void> {
  await linkedTo(mesh, [peer.name]);
  await peer.sessionWith(mesh.name);
  const inbox = new Inbox(mesh);
  const before = peer.broadcasts.length;
  mesh.publish(encodeRoomBroadcast("部屋", TEXT));
  assertEquals(peer.broadcast("部屋", TEXT), 1);
  assertEquals(await inbox.has(1), [encodeRoomBroadcast("部屋", TEXT)]);
  const heard = (await peer.next(before + 1)).slice(before);
  assertEquals(heard, [{ room: "部屋", message: TEXT }]);
  assertEquals(mesh.peers.map(({ name, meshLang }) => [name, meshLang]), [[peer.name, true]]);
  assertEquals(peer.malformed, []);
}

/** Starts a peer by the name of one that has stopped listening. */
function restart({ name }: MeshLangPeer): Promise<MeshLangPeer> {
  const [local, , port] = name.split(/[@:]/);
  return MeshLangPeer.start(local, { port: Number(port) });
}

for (const tls of [undefined, false] as const) {
  const over = tls === undefined ? "TLS" : "plain TCP";

  Deno.test(`a node of the Mesh runtime initiates a link over ${over}`, async () => {
    await using mesh = await startNode("a", { allowMeshLang: true, tls });
    await using peer = await MeshLangPeer.start("x", { tls: tls !== false });
    await peer.dial(mesh.name);
    await assertLinked(mesh, peer);
    const [{ incarnation, encrypted, direction }] = mesh.peers;
    assertEquals([incarnation, encrypted, direction], ["", tls !== false, "incoming"]);
  });

  Deno.test(`a node of the Mesh runtime accepts a link over ${over}`, async () => {
    await using mesh = await startNode("a", { allowMeshLang: true, tls });
    await using peer = await MeshLangPeer.start("x", { tls: tls !== false });
    assertEquals((await mesh.connect(peer.name)).meshLang, true);
    await assertLinked(mesh, peer);
  });
}

Deno.test("members of a room hear each other across runtimes, and the excluded one does not", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  await using peer = await MeshLangPeer.start("x");
  await mesh.connect(peer.name);
  const rooms = new Rooms<FakeSocket>({ backplane: mesh });
  const [author, member] = [new FakeSocket(), new FakeSocket()];
  rooms.join(author, "部屋");
  rooms.join(member, "部屋");
  const { sent, peers } = rooms.broadcast("部屋", TEXT, { except: author });
  assertEquals([sent, peers], [1, 1]);
  assertEquals(await peer.next(1), [{ room: "部屋", message: TEXT }]);
  const inbox = new Inbox(mesh);
  peer.broadcast("部屋", "back");
  await inbox.has(1);
  assertEquals([author.heard, member.heard], [["back"], [TEXT, "back"]]);
});

Deno.test("a node of the Mesh runtime is refused in either role unless allowed, and gets no proof", async () => {
  await using mesh = await startNode("a");
  await using peer = await MeshLangPeer.start("x");
  const refused = nextEvent(mesh, "refused");
  await assertRejects(() => peer.dial(mesh.name), Error, "closed");
  assertEquals((await refused).code, "mesh-lang-handshake");
  const error = await assertRejects(() => mesh.connect(peer.name), MeshError) as MeshError;
  assertEquals(error.code, "mesh-lang-handshake");
  await peer.until(() => peer.handshakes.failed === 1);
  assertEquals([mesh.peers, peer.sessionNames], [[], []]);
});

Deno.test("a node of the Mesh runtime with another cookie is refused in either role", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  await using peer = await MeshLangPeer.start("x", { cookie: "another" });
  const refused = nextEvent(mesh, "refused");
  await assertRejects(() => peer.dial(mesh.name));
  assertEquals((await refused).code, "wrong-cookie");
  const error = await assertRejects(() => mesh.connect(peer.name), MeshError) as MeshError;
  assertEquals(error.code, "not-accepted");
});

Deno.test("a cookie may be short with nodes of the Mesh runtime", async () => {
  const cookie = "ab";
  await assertRejects(() => startNode("a", { cookie }), RangeError, "16 bytes");
  await using mesh = await startNode("a", { cookie, allowMeshLang: true });
  await using peer = await MeshLangPeer.start("x", { cookie });
  await peer.dial(mesh.name);
  await assertLinked(mesh, peer);
});

Deno.test("two simultaneous dials leave one link that works both ways, whichever name is smaller", async () => {
  for (let round = 0; round < 30; round++) {
    const writeDelayMs = round % 3;
    await using mesh = await startNode("m", { allowMeshLang: true });
    await using peer = await MeshLangPeer.start(round % 2 ? "a" : "z", { writeDelayMs });
    // Our dial may be to an address alone, so that the peer's name is learnt from its CHALLENGE.
    const target = round % 4 < 2 ? peer.name : peer.name.slice(peer.name.indexOf("@") + 1);
    await Promise.allSettled([mesh.connect(target), peer.dial(mesh.name)]);
    await assertLinked(mesh, peer);
    assertEquals(peer.handshakes.surplus, 0);
  }
});

Deno.test("simultaneous dials from both sides leave one link that works both ways", async () => {
  for (const local of ["a", "z"]) {
    await using mesh = await startNode("m", { allowMeshLang: true });
    await using peer = await MeshLangPeer.start(local);
    const dials = Array.from({ length: 4 }, () => [mesh.connect(peer.name), peer.dial(mesh.name)]);
    await Promise.allSettled(dials.flat());
    await assertLinked(mesh, peer);
  }
});

Deno.test("a node of the Mesh runtime that dials again while its link is alive is refused, and the link stays", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  await using peer = await MeshLangPeer.start("x");
  await mesh.connect(peer.name);
  const [downs, refused] = [collect(mesh, "peerdown"), collect(mesh, "refused")];
  await assertRejects(() => peer.dial(mesh.name), Error, "closed");
  await assertLinked(mesh, peer);
  assertEquals([downs, refused], [[], []]);
});

Deno.test("a node of the Mesh runtime that is killed and comes back under its name is linked again", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  const first = await MeshLangPeer.start("x");
  await first.dial(mesh.name);
  await linkedTo(mesh, [first.name]);
  await first.kill();
  await linkedTo(mesh, []);
  await using second = await restart(first);
  // Both dial: it by itself, and this node because it knows the name.
  await Promise.allSettled([second.dial(mesh.name)]);
  await assertLinked(mesh, second);
});

Deno.test("a node of the Mesh runtime that comes back replaces its old link, even if that looks alive", async () => {
  // By default, too, these are the same; the handshake's time must not run while the ghost has its own.
  const times = { heartbeatIntervalMs: 60_000, heartbeatTimeoutMs: 300, handshakeTimeoutMs: 300 };
  await using mesh = await startNode("a", { allowMeshLang: true, ...times });
  await using ghost = await MeshLangPeer.start("x");
  await ghost.dial(mesh.name);
  await linkedTo(mesh, [ghost.name]);
  ghost.ghost();
  await using restarted = await restart(ghost);
  const down = nextEvent(mesh, "peerdown");
  // Its knock has the old link prove itself, long before the heartbeat would have.
  await restarted.dial(mesh.name);
  assertEquals((await down).reason, "heartbeat");
  await assertLinked(mesh, restarted);
});

Deno.test("one of several dials of a node of the Mesh runtime waits while its old link is pinged", async () => {
  const times = { heartbeatIntervalMs: 60_000, heartbeatTimeoutMs: 300 };
  await using mesh = await startNode("a", { allowMeshLang: true, ...times });
  await using ghost = await MeshLangPeer.start("x");
  await ghost.dial(mesh.name);
  await linkedTo(mesh, [ghost.name]);
  ghost.ghost();
  await using restarted = await restart(ghost);
  const knocks = Array.from({ length: 5 }, () => restarted.dial(mesh.name));
  const outcomes = (await Promise.allSettled(knocks)).map(({ status }) => status);
  assertEquals(outcomes.sort(), ["fulfilled", ...Array(4).fill("rejected")]);
  await assertLinked(mesh, restarted);
});

Deno.test("a node of the Mesh runtime with the name of a live roomcast node is refused and reported", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  await using ours = await startNode("x");
  await ours.connect(mesh.name);
  await linkedTo(mesh, [ours.name]);
  // On another port, but it goes by the same name.
  await using impostor = await MeshLangPeer.start("x", { name: ours.name });
  const [downs, refused] = [collect(mesh, "peerdown"), nextEvent(mesh, "refused")];
  await assertRejects(() => impostor.dial(mesh.name), Error, "closed");
  assertEquals((await refused).code, "duplicate-name");
  const error = await assertRejects(() => mesh.connect(impostor.address), MeshError) as MeshError;
  assertEquals(error.code, "duplicate-name");
  assertEquals([downs, mesh.peers[0].meshLang], [[], false]);
});

Deno.test("a node that shuts down sends no added tag to a peer of the Mesh runtime", async () => {
  const mesh = await startNode("a", { allowMeshLang: true });
  await using peer = await MeshLangPeer.start("x");
  await mesh.connect(peer.name);
  const session = await peer.sessionWith(mesh.name);
  mesh.publish(encodeRoomBroadcast("r", "last words"));
  await mesh.shutdown();
  await session.closed;
  assertEquals(await peer.next(1), [{ room: "r", message: "last words" }]);
  const [from, to] = FREE_FOR_OURS;
  assertEquals(peer.receivedTags.filter((tag) => tag >= from && tag <= to), []);
});

Deno.test("other tags of the Mesh runtime are counted and ignored", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  await using peer = await MeshLangPeer.start("x");
  await mesh.connect(peer.name);
  const malformed = collect(mesh, "malformed");
  const session = await peer.sessionWith(mesh.name);
  const tags = Array.from({ length: 0x26 - 0x10 + 1 }, (_, i) => 0x10 + i)
    .filter((tag) => tag !== 0x12 && tag !== 0x1e);
  for (const tag of tags) await session.send(Uint8Array.of(tag, 1, 2, 3));
  await assertLinked(mesh, peer);
  // One more: what it sends to every new session, with the global names that it knows.
  assertEquals(mesh.peers[0].ignored, tags.length + 1);
  assertEquals(malformed, []);
});

Deno.test("a frame that arrives in two halves is not lost", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  await using peer = await MeshLangPeer.start("x");
  await mesh.connect(peer.name);
  const session = await peer.sessionWith(mesh.name);
  const inbox = new Inbox(mesh);
  const message = encodeRoomBroadcast("r", TEXT);
  const frame = Uint8Array.of(message.length, 0, 0, 0, ...message);
  for (const cut of [2, 4, 20]) {
    await session.sendBytes(frame.subarray(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 150));
    await session.sendBytes(frame.subarray(cut));
  }
  assertEquals(await inbox.has(3), [message, message, message]);
  await assertLinked(mesh, peer);
});

Deno.test("a node of the Mesh runtime that writes slowly is not considered dead", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true, heartbeatIntervalMs: 50 });
  await using peer = await MeshLangPeer.start("x", { writeDelayMs: 110 });
  const downs = collect(mesh, "peerdown");
  await mesh.connect(peer.name);
  const session = await peer.sessionWith(mesh.name);
  for (let i = 0; i < 3; i++) assert(await session.ping());
  await assertLinked(mesh, peer);
  const { roundTripMs = 0 } = mesh.peers[0];
  assert(roundTripMs >= 100, `${roundTripMs} ms`);
  assertEquals(downs, []);
});

Deno.test("a broadcast of 16 MiB in all crosses both ways, and a byte more is refused before it is sent", async () => {
  const options = { allowMeshLang: true, maxMessageBytes: 32 * MIB, maxQueuedBytes: 64 * MIB };
  await using mesh = await startNode("a", options);
  await using peer = await MeshLangPeer.start("x");
  await mesh.connect(peer.name);
  await peer.sessionWith(mesh.name);
  const rooms = new Rooms<FakeSocket>({ backplane: mesh, maxMessageBytes: 32 * MIB });
  const socket = new FakeSocket();
  rooms.join(socket, "r");
  const longest = "m".repeat(16 * MIB - OVERHEAD - 1);

  const { message } = assertThrows(() => rooms.broadcast("r", longest + "m"), FrameError) as Error;
  assert(message.includes(String(16 * MIB)), message);
  assertEquals(socket.heard, []); // Nor has anybody here heard it.

  const inbox = new Inbox(mesh);
  rooms.broadcast("r", longest);
  peer.broadcast("r", longest);
  assertEquals((await peer.next(1))[0].message, longest);
  assertEquals((await inbox.has(1))[0].length, 16 * MIB);
  await assertLinked(mesh, peer);
});

Deno.test("a node of the Mesh runtime that sends more than the limit is cut off, and can come back", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  await using peer = await MeshLangPeer.start("x");
  await peer.dial(mesh.name);
  await linkedTo(mesh, [peer.name]);
  const down = nextEvent(mesh, "peerdown");
  peer.broadcast("r", "m".repeat(16 * MIB - OVERHEAD));
  assertEquals((await down).reason, "frame-too-long");
  await assertLinked(mesh, peer);
});

Deno.test("nodes of the Mesh runtime and of roomcast learn of each other from peer lists, and form one mesh", async () => {
  const options = { allowMeshLang: true };
  await using a = await startNode("a", options);
  await using x = await MeshLangPeer.start("x");
  await using y = await MeshLangPeer.start("y");
  await using b = await startNode("b", { ...options, seeds: [a.name] });
  // Each knows one other, and all are found: by our dials, and by theirs.
  await x.dial(a.name);
  await y.dial(x.name);
  await Promise.all([
    linkedTo(a, [b.name, x.name, y.name]),
    linkedTo(b, [a.name, x.name, y.name]),
    x.until(() => x.sessionNames.length === 3),
    y.until(() => y.sessionNames.length === 3),
  ]);
  const inboxes = [new Inbox(a), new Inbox(b)];
  a.publish(encodeRoomBroadcast("r", "from a"));
  x.broadcast("r", "from x");
  assertEquals((await inboxes[0].has(1)).length, 1);
  assertEquals((await inboxes[1].has(2)).length, 2);
  assertEquals((await y.next(2)).map(({ message }) => message).sort(), ["from a", "from x"]);
});

Deno.test("a name without a port, or with a bare IPv6 host, is accepted from the Mesh runtime, and stays as it is", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  for (const name of ["m@localhost", "m@::1", "m@::1:9001"]) {
    await using peer = await MeshLangPeer.start("m", { name });
    const up = nextEvent(mesh, "peerup");
    await peer.dial(mesh.name);
    assertEquals((await up).peer.name, name);
    const down = nextEvent(mesh, "peerdown");
    await peer.kill();
    await down;
  }
});

Deno.test("a node dials a name without a port that it has learnt, and accepts the node that answers", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  // Port 9000 may be taken here, so the transport sends what is for it elsewhere.
  await using peer = await MeshLangPeer.start("m", { name: "m@localhost" });
  const [hostname, port] = peer.address.split(":");
  const dialled: string[] = [];
  const inner = tlsTransport();
  await using b = await startNode("b", {
    allowMeshLang: true,
    transport: {
      listen: (address) => inner.listen(address),
      connect: (address, options) => {
        dialled.push(`${address.hostname}:${address.port}`);
        return inner.connect(
          address.port === 9000 ? { hostname, port: Number(port) } : address,
          options,
        );
      },
    },
  });
  assertEquals((await b.connect("m@localhost")).name, "m@localhost");
  assertEquals(dialled, ["localhost:9000"]);
  // And one that is told of it by a peer list.
  await b.connect(mesh.name);
  const refused = await nextEvent(mesh, "refused");
  assertEquals([refused.address, refused.code], ["localhost:9000", "unreachable"]);
});

Deno.test("a node of the Mesh runtime is told only of nodes with smaller names", async () => {
  await using mesh = await startNode("a", { allowMeshLang: true });
  await using small = await MeshLangPeer.start("m1", { name: "m1@127.0.0.1:1" });
  await using large = await MeshLangPeer.start("m2", { name: "m2@127.0.0.1:2" });
  await using larger = await MeshLangPeer.start("m3", { name: "m3@127.0.0.1:3" });
  // The larger comes first, so the list at its link was too short.
  const linked: string[] = [];
  for (const peer of [larger, small, large]) {
    await peer.dial(mesh.name);
    linked.push(peer.name);
    await linkedTo(mesh, linked);
  }
  await larger.until(() => larger.dialFailures.length >= 2);
  await large.until(() => large.dialFailures.length >= 1);
  const PEER_LIST = 0x12;
  assertEquals(small.receivedTags.filter((tag) => tag === PEER_LIST), []);
});

Deno.test("a dial right after a start, or after the last link, gets its ACK when the dead session is gone", async () => {
  const name = "a@127.0.0.1:0";
  const first = await startNode("a", { allowMeshLang: true, name });
  await using peer = await MeshLangPeer.start("x", { deadSessionMs: 500 });
  await peer.dial(first.name);
  await peer.sessionWith(first.name);
  await first.shutdown();
  // Restarted at once: the peer lists the session that has ended.
  await using again = await startNode("a", { allowMeshLang: true, name: first.name });
  await peer.dial(again.name);
  await linkedTo(again, [peer.name]);
  await peer.until(() => peer.sessionNames.length === 1);
  // Longer than the dead session was listed.
  const listed = new Promise((resolve) => setTimeout(resolve, 600));
  await listed;
  const inbox = new Inbox(again);
  assertEquals(peer.broadcast("r", "still here"), 1);
  await inbox.has(1);
});

Deno.test("a write to a node of the Mesh runtime has whole frames of at most 48 KiB, or one long frame", async () => {
  const writes: Uint8Array[] = [];
  const transport: Transport = {
    listen: (address) => tcpTransport.listen(address),
    connect: async (address, options) => {
      const connection = await tcpTransport.connect(address, options);
      const write = connection.write.bind(connection);
      connection.write = (bytes) => {
        writes.push(bytes.slice());
        return write(bytes);
      };
      return connection;
    },
  };
  await using mesh = await startNode("a", { allowMeshLang: true, transport });
  await using peer = await MeshLangPeer.start("x", { tls: false, frameTimeoutMs: 100 });
  await mesh.connect(peer.name);
  await peer.sessionWith(mesh.name);
  writes.length = 0;
  for (let i = 0; i < 200; i++) mesh.publish(encodeRoomBroadcast("r", "m".repeat(1_000)));
  mesh.publish(encodeRoomBroadcast("r", "m".repeat(100_000)));
  await peer.next(201);
  for (const bytes of writes) {
    const decoder = new FrameDecoder();
    const payloads = [...decoder.push(bytes)];
    decoder.finish();
    assert(bytes.length <= 48 * 1024 || payloads.length === 1, `${bytes.length} bytes`);
  }
  // No more of them than that takes.
  assert(writes.length <= 6, `${writes.length} writes`);
});

for (const over of ["tls", "plain"] as const) {
  Deno.test(`a node whose event loop stalls while it sends keeps its links to the Mesh runtime, over ${over}`, async () => {
    await using peer = await MeshLangPeer.start("x", { tls: over === "tls", frameTimeoutMs: 100 });
    const script = new URL("./_stalling_node.ts", import.meta.url).pathname;
    await using node = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", script, over],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const lines = node.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).values();
    const { value: name = "" } = await lines.next();
    await peer.dial(name);
    // A frame that came in two pieces with a stall between them would be forgotten, and with it all
    // that follows.
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, HEARD_LIMIT_MS);
    await Promise.race([peer.next(FRAMES), late]);
    clearTimeout(timer);
    const heard = peer.broadcasts;
    assertEquals(
      heard.map(({ message }) => parseInt(message)),
      Array.from({ length: FRAMES }, (_, i) => i),
    );
    assert(heard.every(({ message }) => message.length === MESSAGE_BYTES));
    assertEquals((await lines.next()).value, "0 links lost, 1 up");
    assertEquals([peer.malformed, peer.sessionNames], [[], [name]]);
    await node.stdin.close();
    await lines.next();
  });
}
