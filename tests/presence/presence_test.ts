import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  encodePresence,
  encodePresenceSnapshot,
  encodeRoomMessage,
  FrameError,
} from "../../codec/mod.ts";
import { Presence, type PresenceOptions } from "../../presence/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { assertFrameError } from "../codec/_assert.ts";
import { ConnectingSocket, FakeSocket } from "../rooms/_fake_socket.ts";
import { Bus, type BusNode } from "./_bus.ts";

/** A `Rooms` with a `Presence`, and what it has told of. */
class Site implements Disposable {
  readonly rooms: Rooms;
  readonly presence: Presence<unknown>;
  readonly events: string[] = [];
  readonly errors: unknown[] = [];

  constructor(
    clock: FakeTimers,
    backplane?: BusNode,
    options: PresenceOptions = {},
    rooms?: Rooms,
  ) {
    this.rooms = rooms ??
      new Rooms({ backplane, timers: clock, onError: (error) => this.errors.push(error) });
    this.presence = new Presence(this.rooms, { clock, ...options });
    this.presence.addEventListener("join", ({ room, id, meta }) => {
      this.events.push(`+${room}/${id}${meta === null ? "" : JSON.stringify(meta)}`);
      assert(this.presence.has(room, id));
    });
    this.presence.addEventListener("leave", ({ room, id }) => {
      this.events.push(`-${room}/${id}`);
      assert(!this.presence.has(room, id));
    });
  }

  ids(room = "lobby"): string {
    return this.presence.list(room).map(({ id }) => id).sort().join();
  }

  [Symbol.dispose](): void {
    this.presence[Symbol.dispose]();
    this.rooms[Symbol.dispose]();
  }
}

/** Two nodes that are linked and have greeted each other. */
async function pair(clock: FakeTimers): Promise<{ bus: Bus; a: Site; b: Site }> {
  const bus = new Bus();
  const a = new Site(clock, bus.node());
  const b = new Site(clock, bus.node());
  await settled();
  clock.advance(300);
  return { bus, a, b };
}

/** Waits until promises have come to rest. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("a tracked socket counts at once on its node, and after the turn on others", async () => {
  const clock = new FakeTimers();
  const { a, b } = await pair(clock);
  assert(a.presence.track(new FakeSocket(), "lobby", "ann", { name: "Ann" }));
  assertEquals(a.presence.count("lobby"), 1);
  assertEquals(b.presence.count("lobby"), 0);
  clock.advance(0);
  for (const { presence, events } of [a, b]) {
    assertEquals(presence.count("lobby"), 1);
    assert(presence.has("lobby", "ann"));
    assert(!presence.has("lobby", "bob"));
    assertEquals(presence.list("lobby"), [{ id: "ann", metas: [{ name: "Ann" }] }]);
    assertEquals(events, ['+lobby/ann{"name":"Ann"}']);
  }
  assertEquals([a.presence.localCount, a.presence.remoteCount, a.presence.roomCount], [1, 0, 1]);
  assertEquals([b.presence.localCount, b.presence.remoteCount, b.presence.roomCount], [0, 1, 1]);
  assertEquals(b.presence.totals, { joins: 1, leaves: 0, gaps: 0, refused: 0 });
  for (const site of [a, b]) site[Symbol.dispose]();
  assertEquals(clock.pending, 0);
});

Deno.test("track joins the room, and a socket that leaves it or closes is no longer tracked", async () => {
  const clock = new FakeTimers();
  const { a, b } = await pair(clock);
  const ways: ((socket: FakeSocket) => void)[] = [
    (socket) => a.rooms.leave(socket, "lobby"),
    (socket) => a.rooms.leaveAll(socket),
    (socket) => socket.emitClose(),
    () => a.rooms.disconnect("lobby"),
    (socket) => assert(a.presence.untrack(socket, "lobby")),
    (socket) => {
      // Too slow, and closed for it.
      socket.bufferedAmount = 2 ** 30;
      a.rooms.broadcast("lobby", "x");
    },
  ];
  for (const end of ways) {
    const socket = new FakeSocket();
    a.presence.track(socket, "lobby", "ann");
    assert(a.rooms.members("lobby").includes(socket));
    clock.advance(1);
    assertEquals(b.ids(), "ann");
    end(socket);
    assertEquals(a.ids(), "");
    clock.advance(1);
    assertEquals(b.ids(), "");
    assert(!a.presence.untrack(socket, "lobby"));
    a.rooms.leaveAll(socket);
  }
  assertEquals(b.events.length, 2 * ways.length);
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("untrack does not leave the room", () => {
  const clock = new FakeTimers();
  using site = new Site(clock);
  const socket = new FakeSocket();
  site.rooms.join(socket, "lobby");
  site.presence.track(socket, "lobby", "ann");
  site.presence.untrack(socket, "lobby");
  assertEquals(site.rooms.members("lobby"), [socket]);
  assertEquals(site.ids(), "");
});

Deno.test("a second track replaces id and meta", async () => {
  const clock = new FakeTimers();
  const { a, b } = await pair(clock);
  const socket = new FakeSocket();
  a.presence.track(socket, "lobby", "ann", 1);
  a.presence.track(socket, "lobby", "ann", 2);
  clock.advance(0);
  a.presence.track(socket, "lobby", "bob");
  clock.advance(0);
  for (const { presence, events } of [a, b]) {
    assertEquals(presence.list("lobby"), [{ id: "bob", metas: [null] }]);
    assertEquals(events, ["+lobby/ann1", "+lobby/bob", "-lobby/ann"]);
  }
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("an id with sockets on two nodes joins once and leaves once", async () => {
  const clock = new FakeTimers();
  const { a, b } = await pair(clock);
  const [phone, laptop] = [new FakeSocket(), new FakeSocket()];
  a.presence.track(phone, "lobby", "ann", "phone");
  clock.advance(1);
  b.presence.track(laptop, "lobby", "ann", "laptop");
  clock.advance(1);
  for (const { presence } of [a, b]) {
    assertEquals(presence.count("lobby"), 1);
    assertEquals(presence.list("lobby")[0].metas.sort(), ["laptop", "phone"]);
  }
  phone.emitClose();
  clock.advance(1);
  assertEquals([a.ids(), b.ids()], ["ann", "ann"]);
  laptop.emitClose();
  clock.advance(1);
  for (const { events } of [a, b]) assertEquals(events, ['+lobby/ann"phone"', "-lobby/ann"]);
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("a connecting socket is tracked from when it opens", () => {
  const clock = new FakeTimers();
  using site = new Site(clock);
  const { rooms, presence } = site;
  const socket = new ConnectingSocket();
  assert(presence.track(socket, "lobby", "ann"));
  assert(presence.track(socket, "lobby", "bob"));
  assertEquals(site.ids(), "");
  socket.emitOpen();
  assertEquals(site.events, ["+lobby/bob"]);

  const joined = new ConnectingSocket();
  rooms.join(joined, "lobby");
  assert(presence.track(joined, "lobby", "cid"));
  joined.emitOpen();
  assertEquals(site.ids(), "bob,cid");

  const cancelled = [new ConnectingSocket(), new ConnectingSocket(), new ConnectingSocket()];
  for (const one of cancelled) assert(presence.track(one, "lobby", "dan"));
  rooms.leave(cancelled[0], "lobby");
  assert(presence.untrack(cancelled[1], "lobby"));
  cancelled[2].emitClose();
  cancelled[0].emitOpen();
  cancelled[1].emitOpen();
  assertEquals(site.ids(), "bob,cid");
  assertEquals(presence.localCount, 2);
});

Deno.test("a socket that cannot join is not tracked", async () => {
  const clock = new FakeTimers();
  using site = new Site(clock);
  const closing = new FakeSocket();
  closing.readyState = 2;
  assert(!site.presence.track(closing, "lobby", "ann"));
  assert(!site.presence.track(new FakeSocket(), "\0lobby", "ann"));
  assert(!site.presence.untrack(closing, "lobby"));
  const drained = site.rooms.drain();
  assert(!site.presence.track(new FakeSocket(), "lobby", "ann"));
  assertEquals(site.events, []);
  clock.advance(20_000);
  await drained;
});

Deno.test("metas are copies made from JSON", () => {
  const clock = new FakeTimers();
  using site = new Site(clock);
  const { presence } = site;
  const meta = { at: new Date(0), tags: ["a"] };
  presence.track(new FakeSocket(), "lobby", "ann", meta);
  meta.tags.push("b");
  const expected = [{ at: "1970-01-01T00:00:00.000Z", tags: ["a"] }];
  const [{ metas }] = presence.list("lobby");
  assertEquals(metas, expected);
  metas.length = 0;
  assertEquals(presence.list("lobby")[0].metas, expected);
  presence.track(new FakeSocket(), "lobby", "bob", null);
  presence.track(new FakeSocket(), "lobby", "bob");
  assertEquals(presence.list("lobby")[1].metas, [null, null]);
});

Deno.test("a lone surrogate becomes U+FFFD everywhere, so a tracked id is found", async () => {
  const clock = new FakeTimers();
  const { a, b } = await pair(clock);
  const socket = new FakeSocket();
  a.presence.track(socket, "r\ud800", "i\udfff", "m\ud800");
  clock.advance(0);
  for (const { presence } of [a, b]) {
    assertEquals(presence.count("r\ud800"), 1);
    assertEquals(presence.count("r\ufffd"), 1);
    assert(presence.has("r\ufffd", "i\udfff"));
    assertEquals(presence.list("r\ud800"), [{ id: "i\ufffd", metas: ["m\ud800"] }]);
  }
  assert(a.presence.untrack(socket, "r\ufffd"));
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("an entry that cannot be tracked is refused before anything happens", () => {
  const clock = new FakeTimers();
  const bus = new Bus();
  using site = new Site(clock, bus.node({ maxMessageBytes: 1_000 }), {
    maxIdBytes: 4,
    maxMetaBytes: 6,
  });
  const { presence } = site;
  const socket = new FakeSocket();
  const untyped = presence as unknown as Record<
    "track" | "untrack" | "count" | "list" | "has",
    (...args: unknown[]) => unknown
  >;
  assertThrows(() => untyped.track(socket, 1, "ann"), TypeError, "room must be a string");
  assertThrows(() => untyped.track(socket, "lobby", null), TypeError, "id must be a string");
  assertThrows(() => untyped.untrack(socket, undefined), TypeError, "room");
  assertThrows(() => untyped.count({}), TypeError, "room must be a string, got Object");
  assertThrows(() => untyped.list(1), TypeError, "room");
  assertThrows(() => untyped.has("lobby", 1), TypeError, "id");
  for (const meta of [1n, () => {}, Symbol()]) {
    assertThrows(() => presence.track(socket, "lobby", "ann", meta), TypeError, "meta");
  }
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  assertThrows(() => presence.track(socket, "lobby", "ann", cyclic), TypeError, "meta");
  assertFrameError(() => presence.track(socket, "lobby", "annie"), "id-too-long", 4);
  assertFrameError(() => presence.track(socket, "lobby", "ann", "annie"), "meta-too-long", 6);
  assertFrameError(() => presence.track(socket, "x".repeat(65_536), "ann"), "room-too-long");
  assertFrameError(() => presence.track(socket, "x".repeat(950), "ann"), "message-too-long");
  assertEquals(site.rooms.roomCount, 0);
  assertEquals(site.events, []);
  assert(presence.track(socket, "lobby", "anni", "anni"));
});

Deno.test("an option out of range is refused", () => {
  const rooms = new Rooms();
  const wrong: [PresenceOptions, string][] = [
    [{ heartbeatIntervalMs: 0 }, "heartbeatIntervalMs"],
    [{ heartbeatIntervalMs: 2 ** 31 }, "heartbeatIntervalMs"],
    [{ timeoutMs: 999 }, "timeoutMs"],
    [{ heartbeatIntervalMs: 3_000, timeoutMs: 5_999 }, "timeoutMs"],
    [{ readyTimeoutMs: -1 }, "readyTimeoutMs"],
    [{ maxIdBytes: 0 }, "maxIdBytes"],
    [{ maxIdBytes: 65_536 }, "maxIdBytes"],
    [{ maxMetaBytes: 1.5 }, "maxMetaBytes"],
  ];
  for (const [options, option] of wrong) {
    assertThrows(() => new Presence(rooms, options), RangeError, option);
  }
  const tooLong = { heartbeatIntervalMs: 2 ** 30 };
  assertThrows(() => new Presence(rooms, tooLong), RangeError, "from 1 to 1073741823, got");
  assertThrows(() => new Presence(rooms, 500 as never), TypeError, "options must be an object");
  assertThrows(() => new Presence(rooms, { clock: {} } as PresenceOptions), TypeError, "clock");
  assertThrows(() => new Presence({} as Rooms), TypeError, "rooms must be a Rooms");
  new Presence(rooms, { heartbeatIntervalMs: 60_000 })[Symbol.dispose]();
});

Deno.test("an error in a listener goes to onError, and the others hear the event", async () => {
  const clock = new FakeTimers();
  const { a, b } = await pair(clock);
  b.presence.addEventListener("join", () => {
    throw new Error("sync");
  });
  b.presence.addEventListener("join", () => Promise.reject(new Error("async")));
  let heard = 0;
  const listener = () => {
    heard++;
  };
  b.presence.addEventListener("join", listener);
  a.presence.track(new FakeSocket(), "lobby", "ann");
  clock.advance(0);
  await settled();
  assertEquals(heard, 1);
  assertEquals(b.errors.map((error) => (error as Error).message), ["sync", "async"]);
  assertEquals(b.ids(), "ann");
  b.presence.removeEventListener("join", listener);
  a.presence.track(new FakeSocket(), "lobby", "bob");
  clock.advance(0);
  assertEquals(heard, 1);
  await settled();
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("a listener may untrack its entry, or end its presence", async () => {
  const clock = new FakeTimers();
  const { a, b } = await pair(clock);
  const banned = new FakeSocket();
  a.presence.addEventListener("join", ({ room, id }) => {
    if (id === "mallory") a.presence.untrack(banned, room);
  });
  a.presence.track(banned, "lobby", "mallory");
  assertEquals(a.ids(), "");
  assertEquals(a.presence.localCount, 0);
  clock.advance(0);
  assertEquals(b.ids(), "");
  for (const { events } of [a, b]) assertEquals(events, ["+lobby/mallory", "-lobby/mallory"]);
  // And here it ends everything, in the middle of a message.
  b.presence.addEventListener("join", () => b.presence[Symbol.dispose]());
  a.presence.track(new FakeSocket(), "lobby", "ann");
  a.presence.track(new FakeSocket(), "lobby", "bob");
  clock.advance(0);
  assertEquals(b.events.slice(2), ["+lobby/ann"]);
  assertEquals(b.ids(), "");
  for (const site of [a, b]) site[Symbol.dispose]();
  assertEquals(clock.pending, 0);
});

Deno.test("the sockets of the Rooms may be of any kind", () => {
  using rooms = new Rooms<FakeSocket>();
  using presence = new Presence<number>(rooms);
  presence.track(new FakeSocket(), "lobby", "ann", 7);
  assertEquals(presence.list("lobby")[0].metas[0]?.toFixed(1), "7.0");
});

Deno.test("presence without a backplane works alone, and is ready at once", async () => {
  const clock = new FakeTimers();
  using site = new Site(clock);
  await site.presence.ready();
  site.presence.track(new FakeSocket(), "lobby", "ann");
  clock.advance(100_000);
  assertEquals(site.ids(), "ann");
});

Deno.test("two presences on one Rooms see each other, and one that ends takes only its own entries", () => {
  const clock = new FakeTimers();
  using one = new Site(clock);
  const two = new Site(clock, undefined, {}, one.rooms);
  clock.advance(1_000);
  const socket = new FakeSocket();
  one.presence.track(socket, "lobby", "ann", 1);
  two.presence.track(socket, "lobby", "ann", 2);
  two.presence.track(socket, "lobby", "bob", 2);
  clock.advance(0);
  for (const { presence } of [one, two]) {
    assertEquals(presence.list("lobby").length, 2);
  }
  clock.advance(100_000);
  two.presence[Symbol.dispose]();
  assertEquals(one.ids(), "ann");
  assertEquals(one.rooms.members("lobby"), [socket]);
});

Deno.test("two Rooms on one backplane see each other, and others see both", async () => {
  const clock = new FakeTimers();
  const bus = new Bus();
  const node = bus.node();
  const sites = [new Site(clock, node), new Site(clock, node), new Site(clock, bus.node())];
  await settled();
  clock.advance(300);
  for (const [i, { presence }] of sites.entries()) {
    presence.track(new FakeSocket(), "lobby", `id ${i}`);
  }
  clock.advance(0);
  for (const site of sites) assertEquals(site.ids(), "id 0,id 1,id 2");
  bus.kill(node);
  assertEquals(sites[2].ids(), "id 2");
  // The other two are on the node that has gone, and know each other still.
  clock.advance(30_000);
  assertEquals(sites[0].ids(), "id 0,id 1");
  for (const site of sites) site[Symbol.dispose]();
});

Deno.test("a newcomer has everything when it is ready", async () => {
  const clock = new FakeTimers();
  const bus = new Bus();
  const old = [new Site(clock, bus.node()), new Site(clock, bus.node())];
  for (const [i, { presence }] of old.entries()) {
    presence.track(new FakeSocket(), "lobby", `id ${i}`);
  }
  clock.advance(10_000);
  const newcomer = new Site(clock, bus.node());
  let isReady = false;
  const ready = newcomer.presence.ready().then(() => {
    isReady = true;
  });
  await settled();
  clock.advance(999);
  await settled();
  assert(!isReady);
  assertEquals(newcomer.ids(), "id 0,id 1");
  clock.advance(1);
  await ready;
  for (const site of [...old, newcomer]) site[Symbol.dispose]();
});

Deno.test("ready waits for a snapshot that is on its way, but not for ever", async () => {
  const clock = new FakeTimers();
  const bus = new Bus();
  const other = bus.node();
  const node = bus.node();
  const site = new Site(clock, node);
  let isReady = false;
  const ready = site.presence.ready().then(() => {
    isReady = true;
  });
  const sender = { instance: "1".repeat(16), node: "" };
  const say = (part: number) =>
    node.hear(
      encodeRoomMessage({
        rooms: ["\0presence"],
        except: [],
        message: encodePresenceSnapshot({ ...sender, number: 3, part, parts: 3 }, [
          { key: part, room: "lobby", id: `id ${part}`, meta: "" },
        ]),
      }),
      other.nodeId,
    );
  await settled();
  clock.advance(900);
  say(0);
  clock.advance(900);
  await settled();
  say(1);
  clock.advance(900);
  await settled();
  assert(!isReady);
  say(2);
  clock.advance(1_000);
  await ready;
  assertEquals(site.ids(), "id 0,id 1,id 2");
  site[Symbol.dispose]();

  const waiting = new Site(clock, node);
  await settled();
  clock.advance(100);
  say(0);
  const late = waiting.presence.ready();
  for (let i = 0; i < 10; i++) {
    clock.advance(1_000);
    await settled();
  }
  await late;
  waiting[Symbol.dispose]();
  assertEquals(clock.pending, 0);
});

Deno.test("presence asks when the backplane is ready, and not before", async () => {
  const clock = new FakeTimers();
  const bus = new Bus();
  const { promise, resolve } = Promise.withResolvers<void>();
  const node = bus.node();
  node.readiness = promise;
  using site = new Site(clock, node);
  await settled();
  assertEquals(bus.sizes.length, 0);
  resolve();
  await site.presence.ready();
  assertEquals(bus.sizes.length, 2);
});

Deno.test("ready rejects with the error of the backplane's ready", async () => {
  const clock = new FakeTimers();
  const node = new Bus().node();
  node.readiness = Promise.reject(new Error("no seed"));
  using site = new Site(clock, node);
  await assertRejects(() => site.presence.ready(), Error, "no seed");
});

Deno.test("a presence that ends tells the others, ends its timers, and resolves ready", async () => {
  const clock = new FakeTimers();
  const { bus, a, b } = await pair(clock);
  const socket = new FakeSocket();
  a.presence.track(socket, "lobby", "ann");
  const late = new Site(clock, bus.node());
  await settled();
  clock.advance(100);
  const ready = late.presence.ready();
  late.presence[Symbol.dispose]();
  await ready;
  assertEquals(b.ids(), "ann");
  a.presence[Symbol.dispose]();
  a.presence[Symbol.dispose]();
  assertEquals(b.ids(), "");
  assertEquals(a.ids(), "");
  assertEquals(a.events, ["+lobby/ann"]);
  assertEquals(a.rooms.members("lobby"), [socket]);
  assert(!a.presence.track(socket, "lobby", "ann"));
  assert(!a.presence.track(new FakeSocket(), "hall", "ann"));
  assertEquals(a.rooms.roomCount, 1);
  socket.emitClose();
  clock.advance(100_000);
  assertEquals(b.presence.totals, { joins: 1, leaves: 1, gaps: 0, refused: 0 });
  for (const site of [a, b, late]) site[Symbol.dispose]();
  assertEquals(clock.pending, 0);
  for (const node of bus.nodes) {
    for (const list of node.listeners.values()) assertEquals(list.size, 0);
  }
});

Deno.test("the entries of a presence end with its Rooms", async () => {
  const clock = new FakeTimers();
  const { a, b } = await pair(clock);
  a.presence.track(new FakeSocket(), "lobby", "ann");
  clock.advance(0);
  a.rooms[Symbol.dispose]();
  clock.advance(0);
  assertEquals([a.ids(), b.ids()], ["", ""]);
  for (const site of [a, b]) site[Symbol.dispose]();
  assertEquals(clock.pending, 0);
});

Deno.test("the ids of a node that is down are gone at once, and those of a silent one after the timeout", async () => {
  const clock = new FakeTimers();
  for (const hasNodeId of [true, false]) {
    const bus = new Bus();
    const nodes = [bus.node({ hasNodeId }), bus.node({ hasNodeId })];
    const [a, b] = nodes.map((node) => new Site(clock, node));
    await settled();
    a.presence.track(new FakeSocket(), "lobby", "ann");
    clock.advance(1_000);
    assertEquals(b.ids(), "ann");
    bus.kill(nodes[0]);
    assertEquals(b.ids(), hasNodeId ? "" : "ann");
    clock.advance(19_000);
    assertEquals(b.ids(), hasNodeId ? "" : "ann");
    clock.advance(1_000);
    assertEquals(b.ids(), "");
    for (const site of [a, b]) site[Symbol.dispose]();
  }
});

Deno.test("two halves see their own ids, and agree within a second when they are linked again", async () => {
  const clock = new FakeTimers();
  const { bus, a, b } = await pair(clock);
  a.presence.track(new FakeSocket(), "lobby", "ann");
  b.presence.track(new FakeSocket(), "lobby", "bob");
  clock.advance(0);
  const [left, right] = bus.nodes;
  bus.cut(left, right);
  assertEquals([a.ids(), b.ids()], ["ann", "bob"]);
  a.presence.track(new FakeSocket(), "lobby", "cid");
  clock.advance(60_000);
  bus.heal(left, right);
  clock.advance(999);
  assertEquals([a.ids(), b.ids()], ["ann,bob,cid", "ann,bob,cid"]);
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("a message that cannot be decoded is reported as malformed and changes nothing", async () => {
  const clock = new FakeTimers();
  const { bus, a, b } = await pair(clock);
  b.presence.track(new FakeSocket(), "lobby", "bob");
  clock.advance(0);
  const [node, other] = bus.nodes;
  const say = (message: string | Uint8Array) =>
    node.hear(encodeRoomMessage({ rooms: ["\0presence"], except: [], message }), other.nodeId);
  say(Uint8Array.of(9));
  say(new Uint8Array());
  const stranger = { instance: "0".repeat(16), node: "" };
  say(encodePresence({ kind: "gone", ...stranger }).subarray(0, 5));
  assertEquals(node.malformed, ["wrong-tag", "truncated", "truncated"]);
  assertEquals(a.ids(), "bob");
  assertEquals(a.errors, []);
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("a snapshot of many entries fits the backplane's messages", async () => {
  const clock = new FakeTimers();
  const bus = new Bus();
  const a = new Site(clock, bus.node());
  for (let i = 0; i < 20_000; i++) {
    a.presence.track(new FakeSocket(), `room ${i % 100}`, `user ${i}`, { name: `User ${i}` });
  }
  clock.advance(1_000);
  const b = new Site(clock, bus.node());
  await settled();
  clock.advance(200);
  assertEquals(b.presence.remoteCount, 20_000);
  assertEquals(b.presence.count("room 7"), 200);
  // No part keeps a receiver busy for long.
  assert(Math.max(...bus.sizes) <= 257 * 1024);
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("a limit that the backplane learns later is kept", async () => {
  const clock = new FakeTimers();
  const bus = new Bus();
  const node = bus.node();
  const a = new Site(clock, node);
  for (let i = 0; i < 1_000; i++) a.presence.track(new FakeSocket(), "lobby", `user ${i}`);
  clock.advance(1_000);
  node.maxMessageBytes = 4_096;
  bus.sizes.length = 0;
  const b = new Site(clock, bus.node());
  await settled();
  clock.advance(200);
  assertEquals(b.presence.count("lobby"), 1_000);
  assert(Math.max(...bus.sizes) <= 4_096);
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("an application's broadcast never reaches presence", async () => {
  const clock = new FakeTimers();
  const { bus, a, b } = await pair(clock);
  const before = bus.sizes.length;
  const report = a.rooms.broadcast("\0presence", "hello");
  assertEquals(report, { sent: 0, slow: 0, failed: 0, peers: 0, dropped: 0 });
  assertEquals(bus.sizes.length, before);
  assertThrows(() => a.rooms.listen("\0presence", () => {}), RangeError);
  for (const site of [a, b]) site[Symbol.dispose]();
});

Deno.test("errors of presence are FrameErrors, which are RangeErrors", () => {
  const clock = new FakeTimers();
  using site = new Site(clock);
  const error = assertThrows(
    () => site.presence.track(new FakeSocket(), "lobby", "x".repeat(257)),
    RangeError,
    "id has 257 bytes, at most 256 are allowed",
  );
  assert(error instanceof FrameError);
});
