/** What happens on a link once it is up. */

import { assert, assertEquals } from "@std/assert";
import {
  encodeFrame,
  encodeGoodbye,
  encodePeerList,
  encodePing,
  encodePong,
  encodeRoomBroadcast,
  GOODBYE,
  PEER_LIST,
  PING,
  ROOM_BROADCAST,
} from "../../codec/mod.ts";
import { type Mesh, tcpTransport, type Transport } from "../../mesh/mod.ts";
import { Link, type LinkListener } from "../../mesh/link.ts";
import { newCounters } from "../../mesh/totals.ts";
import { Rooms } from "../../rooms/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { collect, Inbox, nextEvent, startNode, startPlainNode } from "./_cluster.ts";
import { pipe } from "./_pipe.ts";
import { rawIdentity, RawPeer } from "./_raw_peer.ts";

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

Deno.test("unknown tags are ignored and counted, and empty frames are skipped", async () => {
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

Deno.test("a frame above the limit ends the link", async () => {
  await using a = await startPlainNode("a", { maxMessageBytes: 1000 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const down = nextEvent(a, "peerdown");
  await raw.write(Uint8Array.of(0xe9, 3, 0, 0)); // 1,001
  assertEquals((await down).reason, "frame-too-long");
  assertEquals(await raw.receive(), null);
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

Deno.test("a pong that echoes no ping in flight is not a sign of life", async () => {
  await using a = await startPlainNode("a", { heartbeatIntervalMs: 20, heartbeatTimeoutMs: 30 });
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(rawIdentity("z@127.0.0.1:1"));
  const down = nextEvent(a, "peerdown");
  assertEquals((await raw.receive())?.[0], PING);
  await raw.send(encodePong(new Uint8Array(8).fill(0xaa)));
  assertEquals((await down).reason, "heartbeat");
});

Deno.test("a leaving node answers no pings after its goodbye, so its flushed messages arrive", async () => {
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

Deno.test("a flood of messages that are costly to deliver does not block timers", async () => {
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

Deno.test("a pong behind a backlog that this node is still reading does not count as missing", async () => {
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

Deno.test("goodbye goes only to a peer that understands it", async () => {
  const a = await startPlainNode("a");
  using raw = await RawPeer.dial(a.address);
  await raw.initiate({ ...rawIdentity("z@127.0.0.1:1"), features: 0 });
  const shutdown = a.shutdown();
  assertEquals(await raw.receive(), null);
  raw.close();
  await shutdown;
});

Deno.test("a message that follows a goodbye is not delivered", async () => {
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

Deno.test("a leaving node waits for no pong", async () => {
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

Deno.test("a message that takes longer than a pong may is delivered, and the link stays up", async () => {
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

Deno.test("a transport whose connections throw on close harms neither link nor node", async () => {
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

Deno.test("an error of this node in the middle of a message ends the link, and is reported", async () => {
  const timers = new FakeTimers();
  const { ends: [ours, theirs] } = pipe();
  const told: string[] = [];
  const listener: LinkListener = {
    onBroadcast: () => told.push("broadcast"),
    onPeerList: () => {
      throw new TypeError("a mistake");
    },
    onMalformed: () => told.push("malformed"),
    onOverflow: () => told.push("overflow"),
    onInterest: () => told.push("interest"),
    onMissed: () => told.push("missed"),
    onUnsupported: () => told.push("unsupported"),
    onDown: (_link, reason) => told.push(reason),
  };
  const link = new Link({
    connection: ours,
    peer: { name: "b@h:1", incarnation: "01".repeat(8), features: 1 },
    direction: "incoming",
    limits: {
      maxMessageBytes: 512,
      maxQueuedBytes: 512,
      heartbeatIntervalMs: 10_000,
      heartbeatTimeoutMs: 5_000,
    },
    clock: timers,
    totals: newCounters(),
    listener,
  });
  for (const payload of [encodeRoomBroadcast("r", "m"), encodePeerList(["c@h:1"])]) {
    await theirs.write(encodeFrame(payload));
  }
  await link.ended;
  assertEquals(told, ["broadcast", "failed"]);
  assertEquals(timers.pending, 0);
});
