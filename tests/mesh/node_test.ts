/** A node as its application sees it: publishing, events, options, shutdown. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  encodePing,
  encodePong,
  encodeRoomBroadcast,
  FrameError,
  PEER_LIST,
} from "../../codec/mod.ts";
import { startMesh, tcpTransport, tlsTransport, type Transport } from "../../mesh/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
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

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };

Deno.test("a broadcast reaches the members of its room on another node, and nobody else there", async () => {
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

Deno.test("a message of the largest size arrives whole, and one byte more is refused before it is sent", async () => {
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

Deno.test("a message that is not for rooms cannot be published", async () => {
  await using a = await startNode("a");
  assertThrows(() => a.publish(encodePing(new Uint8Array(8))), FrameError, "tag");
  const empty = assertThrows(() => a.publish(new Uint8Array(0)), FrameError) as FrameError;
  const cut = assertThrows(() => a.publish(Uint8Array.of(0x1e, 0, 0, 9, 0, 0, 0)), FrameError);
  assertEquals([empty, cut as FrameError].map(({ code }) => code), ["truncated", "truncated"]);
});

Deno.test("a receiver never forwards a peer's message to another peer", async () => {
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

Deno.test("a receiver that throws is logged, and harms neither the link nor other receivers", async () => {
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

Deno.test("shutdown flushes the queues, says goodbye, and leaves nothing behind", async () => {
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

Deno.test("shutdown may be called again, at once and later, in any of its forms", async () => {
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

Deno.test("shutdown during dials and handshakes leaves nothing behind", async () => {
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

Deno.test("startMesh refuses bad options and says what would be right", async () => {
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

Deno.test("a peer is in peers during peerup, and gone from it during peerdown", async () => {
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

Deno.test("a transport that fails with a value that is not an Error is reported too", async () => {
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

Deno.test("shutdown removes its listener from the signal", async () => {
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
