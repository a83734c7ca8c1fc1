import { assert, assertEquals } from "@std/assert";
import {
  decodeMissed,
  decodePing,
  decodeRoomInterest,
  encodePong,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomInterest,
  encodeRoomInterests,
  encodeRoomMessage,
  FEATURE_GOODBYE,
  FEATURE_MISSED,
  FEATURE_ROOM_CLOSE,
  FEATURE_ROOM_INTEREST,
  FEATURE_ROOM_MESSAGE,
  MISSED,
  PEER_LIST,
  PING,
  ROOM_BROADCAST,
  ROOM_INTEREST,
  ROOM_MESSAGE,
} from "../../codec/mod.ts";
import type { Mesh } from "../../mesh/mod.ts";
import { collect, Inbox, nextEvent, startNode, startPlainNode } from "./_cluster.ts";
import { type RawIdentity, rawIdentity, RawPeer } from "./_raw_peer.ts";

const ALL_FEATURES = FEATURE_GOODBYE | FEATURE_ROOM_MESSAGE | FEATURE_ROOM_INTEREST |
  FEATURE_MISSED | FEATURE_ROOM_CLOSE;

function identity(features: number, name = "z@127.0.0.1:1"): RawIdentity {
  return { ...rawIdentity(name), features };
}

/** A link to a node, played by hand. */
async function link(mesh: Mesh, features: number = ALL_FEATURES, name?: string): Promise<RawPeer> {
  const raw = await RawPeer.dial(mesh.address);
  await raw.initiate(identity(features, name));
  return raw;
}

/** Resolves when the node has read all that was sent to it so far: the last of it is malformed. */
async function settled(mesh: Mesh, raw: RawPeer): Promise<void> {
  const malformed = nextEvent(mesh, "malformed");
  await raw.send(Uint8Array.of(PEER_LIST));
  await malformed;
}

/** What a node announces, as its peer understands it. */
class Announced {
  everything = true;
  readonly rooms = new Set<string>();
  readonly ops: string[] = [];

  take(payload: Uint8Array): void {
    const { op, rooms } = decodeRoomInterest(payload);
    this.ops.push(op);
    if (op === "everything") {
      this.everything = true;
      this.rooms.clear();
    } else if (op === "remove") {
      for (const room of rooms) this.rooms.delete(room);
    } else {
      for (const room of rooms) this.rooms.add(room);
      if (op === "only") this.everything = false;
    }
  }
}

/** The next messages up to and including the first with a tag. */
async function upTo(raw: RawPeer, tag: number): Promise<Uint8Array[]> {
  const payloads: Uint8Array[] = [];
  for (;;) {
    const payload = await raw.expect();
    payloads.push(payload);
    if (payload[0] === tag) return payloads;
  }
}

const hello = (room: string) => encodeRoomBroadcast(room, "hello");
const tagsOf = (payloads: readonly Uint8Array[]) => payloads.map(([tag]) => tag);

Deno.test("a node announces every feature that it understands", async () => {
  await using a = await startPlainNode("a");
  await using b = await startPlainNode("b");
  await a.connect(b.name);
  const inbox = new Inbox(b);
  const messages = [
    encodeRoomMessage({ rooms: ["r", "s"], except: ["t"], message: Uint8Array.of(0, 255) }),
    encodeRoomClose("r", 4000, "bye"),
    hello("r"),
  ];
  for (const message of messages) {
    const { peers, dropped } = a.publish(message);
    assertEquals({ peers, dropped }, { peers: 1, dropped: 0 });
  }
  assertEquals(await inbox.has(3), messages);
});

Deno.test("a peer that does not know a message does not get it, and one event reports that", async () => {
  await using a = await startPlainNode("a");
  using raw = await link(a, FEATURE_GOODBYE);
  const unsupported = collect(a, "unsupported");
  const reports = [
    encodeRoomMessage({ rooms: ["r"], except: [], message: new Uint8Array(1) }),
    encodeRoomClose("r", 1000, ""),
    hello("r"),
  ].map((message) => a.publish(message));
  assertEquals(tagsOf(await upTo(raw, ROOM_BROADCAST)), [ROOM_BROADCAST]);
  assertEquals(reports.map(({ peers, dropped }) => [peers, dropped]), [[0, 1], [0, 1], [1, 0]]);
  assertEquals(unsupported.map(({ peer, tag }) => [peer.name, tag]), [[
    "z@127.0.0.1:1",
    ROOM_MESSAGE,
  ]]);
  assertEquals(a.peers[0].dropped, 2);
});

Deno.test("messages of presence raise neither unsupported nor dropped", async () => {
  await using a = await startPlainNode("a");
  using raw = await link(a, FEATURE_GOODBYE | FEATURE_MISSED);
  const unsupported = collect(a, "unsupported");
  const presence = { rooms: ["\0presence"], except: [], message: new Uint8Array(1) };
  const { peers, dropped } = a.publish(encodeRoomMessage(presence));
  a.publish(hello("r"));
  assertEquals(tagsOf(await upTo(raw, ROOM_BROADCAST)), [ROOM_BROADCAST]);
  assertEquals([peers, dropped, unsupported.length, a.peers[0].dropped], [0, 0, 0, 0]);
});

Deno.test("a peer gets the broadcasts that it asks for, even as it changes its rooms", async () => {
  await using a = await startPlainNode("a");
  using raw = await link(a);
  const heard = async () => {
    await settled(a, raw);
    const rooms = ["a", "b", "c"].filter((room) => a.publish(hello(room)).peers === 1);
    for (const room of rooms) assertEquals(await raw.expect(), hello(room));
    return rooms.join("");
  };
  assertEquals(await heard(), "abc");
  await raw.send(encodeRoomInterest({ op: "add", rooms: ["a"] }));
  assertEquals(await heard(), "abc");
  await raw.send(encodeRoomInterest({ op: "only", rooms: ["b"] }));
  assertEquals(await heard(), "ab");
  await raw.send(encodeRoomInterest({ op: "remove", rooms: ["a", "x"] }));
  assertEquals(await heard(), "b");
  await raw.send(encodeRoomInterest({ op: "everything", rooms: [] }));
  assertEquals(await heard(), "abc");
  await raw.send(encodeRoomInterest({ op: "only", rooms: [] }));
  assertEquals(await heard(), "");
  await raw.send(encodeRoomInterest({ op: "add", rooms: ["c"] }));
  assertEquals(await heard(), "c");
  const malformed = nextEvent(a, "malformed");
  await raw.send(Uint8Array.of(ROOM_INTEREST, 9));
  assertEquals((await malformed).code, "unknown-op");
  assertEquals(await heard(), "abc");
});

Deno.test("a message for several rooms reaches a peer that wants one of them, once", async () => {
  await using a = await startPlainNode("a");
  using raw = await link(a);
  await raw.send(encodeRoomInterest({ op: "only", rooms: ["b", "c"] }));
  await settled(a, raw);
  const message = (rooms: string[]) => encodeRoomMessage({ rooms, except: [], message: "m" });
  const reports = [["a"], ["a", "b"], ["b", "c"], ["x", "y"]].map((rooms) =>
    a.publish(message(rooms)).peers
  );
  a.publish(hello("b"));
  assertEquals(reports, [0, 1, 1, 0]);
  assertEquals(await upTo(raw, ROOM_BROADCAST), [
    message(["a", "b"]),
    message(["b", "c"]),
    hello("b"),
  ]);
});

Deno.test("a peer that asks for too many rooms gets everything until it sends a new list", async () => {
  await using a = await startPlainNode("a");
  using raw = await link(a);
  const malformed = nextEvent(a, "malformed");
  const rooms = Array.from({ length: 150_000 }, (_, i) => `room ${i}`);
  for (const message of encodeRoomInterests("only", rooms)) await raw.send(message);
  assertEquals((await malformed).code, "frame-too-long");
  await settled(a, raw);
  assertEquals(a.publish(hello("another")).peers, 1);
  assertEquals(a.peers[0].malformed, 2); // The other is by `settled`.
  await raw.send(encodeRoomInterest({ op: "everything", rooms: [] }));
  await raw.send(encodeRoomInterest({ op: "only", rooms: ["a"] }));
  await settled(a, raw);
  assertEquals([a.publish(hello("another")).peers, a.publish(hello("a")).peers], [0, 1]);
});

Deno.test("a node announces its rooms to a new peer before anything else, even broadcasts made in peerup", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  for (const room of ["a", "b", "c"]) a.openRoom(room);
  a.closeRoom("b");
  a.addEventListener("peerup", () => a.publish(hello("in peerup")), { once: true });
  using raw = await link(a);
  const [first, second] = await upTo(raw, ROOM_BROADCAST);
  assertEquals(decodeRoomInterest(first), { op: "only", rooms: ["a", "c"] });
  assertEquals(second, hello("in peerup"));
});

Deno.test("a node that wants everything announces nothing", async () => {
  await using a = await startPlainNode("a");
  using raw = await link(a);
  a.openRoom("r");
  a.publish(hello("r"));
  assertEquals(tagsOf(await upTo(raw, ROOM_BROADCAST)), [ROOM_BROADCAST]);
});

Deno.test("a peer that does not know announcements gets none", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  a.openRoom("r");
  using raw = await link(a, ALL_FEATURES & ~FEATURE_ROOM_INTEREST);
  a.openRoom("s");
  a.publish(hello("r"));
  assertEquals(tagsOf(await upTo(raw, ROOM_BROADCAST)), [ROOM_BROADCAST]);
});

Deno.test("the changes of a turn are announced as a difference before the turn's next broadcast", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  using raw = await link(a);
  a.openRoom("a");
  a.openRoom("short-lived");
  a.closeRoom("short-lived");
  a.publish(hello("a"));
  a.openRoom("b");
  a.closeRoom("a");
  a.publish(hello("b"));
  const before = await upTo(raw, ROOM_BROADCAST);
  assertEquals(before.slice(0, -1).map(decodeRoomInterest), [
    { op: "only", rooms: [] },
    { op: "add", rooms: ["a"] },
  ]);
  const after = await upTo(raw, ROOM_BROADCAST);
  assertEquals(after.slice(0, -1).map(decodeRoomInterest), [
    { op: "remove", rooms: ["a"] },
    { op: "add", rooms: ["b"] },
  ]);
});

Deno.test("a room is announced when the first opens it and the last closes it, without a broadcast", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  using raw = await link(a);
  assertEquals(decodeRoomInterest(await raw.expect()), { op: "only", rooms: [] });
  a.openRoom("r");
  a.openRoom("r");
  assertEquals(decodeRoomInterest(await raw.expect()), { op: "add", rooms: ["r"] });
  a.closeRoom("r");
  a.openRoom("s");
  assertEquals(decodeRoomInterest(await raw.expect()), { op: "add", rooms: ["s"] });
  a.closeRoom("r");
  assertEquals(decodeRoomInterest(await raw.expect()), { op: "remove", rooms: ["r"] });
});

Deno.test("a node with too many rooms asks for everything, and for its rooms again below half", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  using raw = await link(a);
  const announced = new Announced();
  const next = async (isDone: () => boolean) => {
    while (!isDone()) announced.take(await raw.expect());
  };
  const open = (from: number, to: number) => {
    for (let i = from; i < to; i++) a.openRoom(`room ${i}`);
  };
  const close = (from: number, to: number) => {
    for (let i = from; i < to; i++) a.closeRoom(`room ${i}`);
  };
  open(0, 100_000);
  await next(() => announced.rooms.size === 100_000);
  assertEquals(announced.everything, false);
  open(100_000, 100_001);
  await next(() => announced.everything);
  close(50_000, 100_001); // Half of the limit, and not below.
  open(200_000, 200_001);
  close(200_000, 200_001);
  a.publish(hello("x"));
  assertEquals(tagsOf(await upTo(raw, ROOM_BROADCAST)), [ROOM_BROADCAST]);
  close(49_999, 50_000);
  await next(() => !announced.everything);
  assertEquals(announced.rooms.size, 49_999);
});

Deno.test("a reply to a broadcast that follows a join is heard", async () => {
  await using a = await startNode("a", { interest: "room" });
  await using b = await startNode("b", { interest: "room" });
  b.openRoom("questions");
  await a.connect(b.name);
  await b.ready();
  b.subscribe((_, from) => {
    if (from === a.nodeId) assertEquals(b.publish(hello("answers")).peers, 1);
  });
  const inbox = new Inbox(a);
  a.openRoom("answers");
  assertEquals(a.publish(hello("questions")).peers, 1);
  assertEquals(await inbox.has(1), [hello("answers")]);
  // Nobody else is there.
  assertEquals([a.publish(hello("elsewhere")).peers, b.publish(hello("elsewhere")).peers], [0, 0]);
});

Deno.test("ready waits for the seeds, for the nodes that they list, and until all of these know the rooms", async () => {
  await using a = await startNode("a", { interest: "room" });
  await using b = await startNode("b", { interest: "room", seeds: [a.name] });
  await b.ready();
  assertEquals(b.peers.map(({ name }) => name), [a.name]);
  const dead = "dead@127.0.0.1:1";
  await using c = await startNode("c", {
    interest: "room",
    seeds: () => Promise.resolve([a.name, dead]),
  });
  c.openRoom("r");
  await c.ready();
  assertEquals(c.peers.map(({ name }) => name).sort(), [a.name, b.name].sort());
  assertEquals([a, b].map((node) => node.publish(hello("r")).peers), [1, 1]);
  c.openRoom("s");
  await c.ready();
  assertEquals([a, b].map((node) => node.publish(hello("s")).peers), [1, 1]);
  assertEquals([a, b].map((node) => node.publish(hello("t")).peers), [0, 0]);
});

Deno.test("ready resolves on a node without seeds, and on one that shuts down", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  await a.ready();
  using raw = await link(a); // Does not answer pings.
  await upTo(raw, ROOM_INTEREST);
  let isReady = false;
  const ready = a.ready().then(() => isReady = true);
  assertEquals(tagsOf(await upTo(raw, PING)), [PING]);
  assertEquals(isReady, false);
  raw.close();
  await a.shutdown();
  await ready;
});

Deno.test("the ping of ready follows the announcements", async () => {
  await using a = await startPlainNode("a", { interest: "room" });
  using raw = await link(a);
  for (let i = 0; i < 20_000; i++) a.openRoom(`room ${i}`);
  const ready = a.ready();
  const announced = new Announced();
  for (;;) {
    const payload = await raw.expect();
    if (payload[0] === PING) {
      await raw.send(encodePong(decodePing(payload)));
      break;
    }
    announced.take(payload);
  }
  assertEquals(announced.rooms.size, 20_000);
  await ready;
});

Deno.test("missed: a peer learns how many messages it has missed before anything that follows", async () => {
  await using a = await startPlainNode("a", { maxQueuedBytes: 110 });
  using raw = await link(a);
  const message = (i: number) => encodeRoomBroadcast("r", `${i}`.padEnd(80, "x"));
  const queued = [0, 1, 2, 3].map((i) => a.publish(message(i)).peers);
  assertEquals(queued, [1, 0, 0, 0]);
  assertEquals(await raw.expect(), message(0));
  // Without a message that follows.
  assertEquals(decodeMissed(await raw.expect()), 3);
  a.publish(message(4));
  a.publish(message(5));
  a.publish(hello("r")); // Fits where the one before did not.
  const rest = await upTo(raw, MISSED);
  assertEquals(rest[0], message(4));
  assertEquals(decodeMissed(rest[1]), 1);
  assertEquals(a.peers[0].dropped, 4);
});

Deno.test("missed: a peer with a full queue learns of it before the goodbye", async () => {
  await using a = await startPlainNode("a", { maxQueuedBytes: 100 });
  using raw = await link(a);
  for (let i = 0; i < 3; i++) a.publish(encodeRoomBroadcast("r", "x".repeat(80)));
  const left = a.shutdown();
  const payloads = await upTo(raw, 0xe0);
  assertEquals(tagsOf(payloads), [ROOM_BROADCAST, MISSED, 0xe0]);
  assertEquals(decodeMissed(payloads[1]), 2);
  raw.close();
  await left;
});

Deno.test("missed: a message that a peer does not understand counts as missed", async () => {
  await using a = await startPlainNode("a");
  using raw = await link(a, FEATURE_MISSED);
  a.publish(encodeRoomClose("r", 1000, ""));
  a.publish(encodeRoomMessage({ rooms: ["r"], except: [], message: "m" }));
  a.publish(hello("r"));
  const [missed] = await upTo(raw, ROOM_BROADCAST);
  assertEquals(decodeMissed(missed), 2);
});

Deno.test("missed: a peer that does not know MISSED gets none", async () => {
  await using a = await startPlainNode("a");
  using raw = await link(a, FEATURE_GOODBYE);
  a.publish(encodeRoomClose("r", 1000, ""));
  a.publish(hello("r"));
  assertEquals(tagsOf(await upTo(raw, ROOM_BROADCAST)), [ROOM_BROADCAST]);
});

Deno.test("missed: the count of a peer is reported with its name", async () => {
  await using a = await startPlainNode("a");
  const self = identity(ALL_FEATURES);
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(self);
  const missed = nextEvent(a, "missed");
  await raw.send(Uint8Array.of(MISSED, 2, 1, 0, 0));
  const { peer, from, count } = await missed;
  assertEquals([peer.name, from, count], ["z@127.0.0.1:1", self.incarnation.toHex(), 258]);
});

Deno.test("missed: a link that ends without a goodbye is reported, and again when the peer is back", async () => {
  await using a = await startPlainNode("a");
  const log: string[] = [];
  a.addEventListener("peerup", () => log.push("up"));
  a.addEventListener("peerdown", () => log.push("down"));
  a.addEventListener("missed", ({ peer, from, count }) => {
    assertEquals([peer.name, from, count], ["z@127.0.0.1:1", peer.incarnation, undefined]);
    log.push("missed");
  });
  const raw = await link(a);
  const down = nextEvent(a, "peerdown");
  raw.close();
  await down;
  using again = await link(a);
  assertEquals(log, ["up", "down", "missed", "up", "missed"]);
  const left = nextEvent(a, "peerdown");
  await again.send(Uint8Array.of(0xe0));
  await left;
  using _third = await link(a);
  assertEquals(log.slice(5), ["down", "up"]);
});

Deno.test("missed: a link replaced by one to the same incarnation is reported once", async () => {
  await using a = await startPlainNode("a");
  const log: string[] = [];
  const self = identity(ALL_FEATURES);
  using raw = await RawPeer.dial(a.address);
  await raw.initiate(self);
  for (const type of ["peerup", "peerdown", "missed"] as const) {
    a.addEventListener(type, () => log.push(type));
  }
  const missed = nextEvent(a, "missed");
  using again = await RawPeer.dial(a.address);
  await again.initiate(self);
  await missed;
  assertEquals(log, ["peerdown", "peerup", "missed"]);
  using restarted = await link(a);
  assertEquals(log.slice(3), ["peerdown", "missed", "peerup", "missed"]);
  assert(restarted !== undefined);
});

Deno.test("a slow peer gets announcements as a difference, none overtaken by a broadcast", async () => {
  await using a = await startPlainNode("a", { interest: "room", maxQueuedBytes: 10_000 });
  using raw = await link(a);
  const announced = new Announced();
  announced.take(await raw.expect());
  // Nobody reads: the kernel's buffers fill, and then the queue.
  const filler = encodeRoomBroadcast("filler", "x".repeat(9_000));
  let full = 0;
  while (full < 20) {
    full = a.publish(filler).dropped === 0 ? 0 : full + 1;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  const known = new Map<number, ReadonlySet<string>>();
  for (let turn = 0; turn < 200; turn++) {
    for (let i = 0; i < 50; i++) a.openRoom(`room ${turn} ${i}`);
    if (turn > 0) { for (let i = 0; i < 50; i++) a.closeRoom(`room ${turn - 1} ${i}`); }
    known.set(turn, new Set(Array.from({ length: 50 }, (_, i) => `room ${turn} ${i}`)));
    a.publish(encodeRoomBroadcast("turn", `${turn}`));
    if (turn % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 6));
  }
  let last = -1;
  let missed = 0;
  a.openRoom("the end");
  while (!announced.rooms.has("the end")) {
    const payload = await raw.expect();
    if (payload[0] === ROOM_INTEREST) announced.take(payload);
    if (payload[0] === MISSED) missed += decodeMissed(payload);
    if (payload[0] !== ROOM_BROADCAST || payload[3] !== 0x74) continue;
    const turn = Number(new TextDecoder().decode(payload.subarray(11)));
    assert(turn > last);
    last = turn;
    for (const room of known.get(turn) ?? []) assert(announced.rooms.has(room), room);
  }
  assert(missed > 0);
  assertEquals(announced.rooms.size, 51);
});
