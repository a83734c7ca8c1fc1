import { assert, assertEquals } from "@std/assert";
import {
  decodePresenceChanges,
  decodePresenceEntries,
  decodePresenceHead,
  encodePresence,
  encodePresenceChanges,
  encodePresenceSnapshot,
  type PresenceChange,
  type PresenceEntry,
  type PresenceHead,
} from "../../codec/mod.ts";
import { Core, type CoreOptions } from "../../presence/_core.ts";
import { LIMITS } from "../../presence/_limits.ts";
import { assertFrameError } from "../codec/_assert.ts";

const HEARTBEAT_MS = 500;
const TIMEOUT_MS = 5_000;
const START = 10_000;

type Sent = PresenceHead & { list?: readonly PresenceChange[] };

/** A core, and what it has said by messages and events. */
class Rig {
  readonly sent: Sent[] = [];
  readonly events: string[] = [];
  readonly errors: unknown[] = [];
  readonly core: Core;
  now = START;
  /** Called with each event. */
  onEvent: (event: string) => void = () => {};

  constructor(options: Partial<CoreOptions> = {}) {
    const event = (text: string) => {
      this.events.push(text);
      this.onEvent(text);
    };
    this.core = new Core({
      instance: id(0),
      node: "self",
      maxMessageBytes: 1_000_000,
      heartbeatIntervalMs: HEARTBEAT_MS,
      timeoutMs: TIMEOUT_MS,
      limits: LIMITS,
      random: () => 0.5,
      send: (message) => {
        const head = decodePresenceHead(message);
        const list = head.kind === "snapshot"
          ? decodePresenceEntries(message)
          : head.kind === "changes"
          ? decodePresenceChanges(message)
          : undefined;
        this.sent.push(list ? { ...head, list } : head);
      },
      onError: (error) => this.errors.push(error),
      joined: (room, id, meta) => event(`+${room}/${id}${meta}`),
      left: (room, id) => event(`-${room}/${id}`),
      ...options,
    }, START);
  }

  /** Lets time pass, step by step as they fall due. */
  pass(ms: number): void {
    const end = this.now + ms;
    while (this.core.dueAt <= end) {
      this.now = Math.max(this.now, this.core.dueAt);
      this.core.step(this.now);
    }
    this.now = end;
  }

  hear(message: Uint8Array, from = "peer"): void {
    this.core.receive(message, from, this.now);
  }

  /** What has been sent of a kind, and forgets it. */
  take(kind: Sent["kind"]): Sent[] {
    const taken = this.sent.filter((one) => one.kind === kind);
    this.sent.length = 0;
    return taken;
  }

  ids(room = "lobby"): string {
    return this.core.roster.list(room).map(({ id }) => id).sort().join();
  }
}

function id(n: number): string {
  return n.toString(16).padStart(16, "0");
}

const PEER = { instance: id(1), node: "peer" };
const entry = (key: number, id: string, meta = "", room = "lobby"): PresenceEntry => ({
  key,
  room,
  id,
  meta,
});
const snapshot = (number: number, entries: PresenceEntry[], part = 0, parts = 1) =>
  encodePresenceSnapshot({ ...PEER, number, part, parts }, entries);
const changes = (first: number, ...list: PresenceChange[]) =>
  encodePresenceChanges({ ...PEER, first }, list);
const heartbeat = (number: number, sender = PEER) =>
  encodePresence({ kind: "heartbeat", ...sender, number });
const gone = encodePresence({ kind: "gone", ...PEER });
const ask = (instances: string[] = [], sender = PEER) =>
  encodePresence({ kind: "ask", ...sender, instances });

Deno.test("changes of a turn leave in one message, numbered from 1 on", () => {
  const { core, sent, now } = new Rig();
  const ann = core.newTracked();
  const bob = core.newTracked();
  core.track(ann, { room: "lobby", id: "ann", meta: "1" }, now);
  core.track(bob, { room: "lobby", id: "bob", meta: "" }, now);
  core.track(ann, { room: "lobby", id: "ann", meta: "2" }, now);
  core.untrack(bob, now);
  assertEquals(sent, []);
  core.flush(now);
  core.flush(now);
  const list = [entry(1, "ann", "1"), entry(2, "bob"), entry(1, "ann", "2"), 2];
  assertEquals(sent, [
    { kind: "changes", instance: id(0), node: "self", first: 1, count: 4, list },
  ]);
  core.untrack(ann, now);
  core.flush(now);
  assertEquals(sent.length, 2);
  assertEquals(sent[1].kind === "changes" && sent[1].first, 5);
});

Deno.test("an entry that this node tracks is listed and announced at once", () => {
  const rig = new Rig();
  const { core, events, now } = rig;
  const tracked = core.newTracked();
  core.track(tracked, { room: "lobby", id: "ann", meta: "1" }, now);
  assertEquals(rig.ids(), "ann");
  core.track(tracked, { room: "lobby", id: "ann", meta: "2" }, now);
  assertEquals(core.roster.list("lobby"), [{ id: "ann", metas: ["2"] }]);
  core.track(tracked, { room: "lobby", id: "bob", meta: "" }, now);
  core.untrack(tracked, now);
  core.untrack(tracked, now);
  assertEquals(events, ["+lobby/ann1", "+lobby/bob", "-lobby/ann", "-lobby/bob"]);
});

Deno.test("the next change is applied, and a change that was heard before is not", () => {
  const rig = new Rig();
  rig.hear(heartbeat(0));
  rig.hear(changes(1, entry(1, "ann", "1"), entry(2, "bob")));
  rig.hear(changes(3, 2));
  rig.hear(changes(1, entry(1, "ann", "1"), entry(2, "bob")));
  // One that begins with what is known, and goes on.
  rig.hear(changes(3, 2, entry(3, "cid")));
  assertEquals(rig.events, ["+lobby/ann1", "+lobby/bob", "-lobby/bob", "+lobby/cid"]);
  rig.pass(400);
  assertEquals(rig.take("ask"), []);
});

Deno.test("a gap causes a question, and changes wait for the snapshot", () => {
  const rig = new Rig();
  rig.hear(heartbeat(0));
  rig.hear(changes(1, entry(1, "ann")));
  rig.hear(changes(3, entry(3, "cid")));
  assertEquals(rig.ids(), "ann");
  rig.pass(20);
  assertEquals(rig.take("ask"), [
    { kind: "ask", instance: id(0), node: "self", instances: [id(1)] },
  ]);
  rig.hear(changes(4, 1));
  assertEquals(rig.ids(), "ann");
  rig.hear(snapshot(4, [entry(2, "bob"), entry(3, "cid")]));
  // What is new comes before what has gone.
  assertEquals(rig.events, ["+lobby/ann", "+lobby/bob", "+lobby/cid", "-lobby/ann"]);
  rig.hear(changes(5, 2));
  assertEquals(rig.ids(), "cid");
  rig.pass(400);
  assertEquals(rig.take("ask"), []);
});

Deno.test("a heartbeat reveals a gap after the last change", () => {
  const rig = new Rig();
  rig.hear(heartbeat(0));
  rig.hear(heartbeat(1));
  rig.pass(20);
  assertEquals(rig.take("ask").length, 1);
});

Deno.test("an unknown instance is asked for a snapshot, whatever it sends", () => {
  for (const message of [heartbeat(3), changes(7, 1), ask()]) {
    const rig = new Rig();
    rig.hear(message);
    rig.pass(20);
    assertEquals(rig.take("ask").length, 1);
  }
});

Deno.test("a question is asked again, ever more rarely, until it is answered", () => {
  const rig = new Rig();
  rig.hear(heartbeat(1));
  const asked: number[] = [];
  for (let i = 0; i < 4_000; i++) {
    rig.pass(10);
    // Changes show that the other node is there. They do not show that an answer is overdue.
    if (i % 50 === 0) rig.hear(changes(1, 1));
    if (rig.take("ask").length > 0) asked.push(rig.now - START);
  }
  assertEquals(asked, [10, 2_010, 6_010, 14_010, 24_010, 34_010]);
  rig.hear(snapshot(1, []));
  rig.pass(4_000);
  assertEquals(rig.take("ask"), []);
});

Deno.test("a heartbeat without an answer before it causes the question to be asked again", () => {
  const rig = new Rig();
  rig.hear(heartbeat(1));
  const asked: number[] = [];
  for (let i = 0; i < 400; i++) {
    rig.pass(10);
    if (i % 5 === 0) rig.hear(heartbeat(1));
    if (rig.take("ask").length > 0) asked.push(rig.now - START);
  }
  // Twice, as the other may only be busy; later as rarely as without heartbeats.
  assertEquals(asked, [10, 120, 270]);
});

Deno.test("an instance that comes within reach again is asked at once", () => {
  const rig = new Rig();
  rig.hear(heartbeat(1));
  rig.pass(4_000);
  rig.sent.length = 0;
  rig.hear(heartbeat(1));
  rig.pass(20);
  assertEquals(rig.take("ask").length, 1);
});

Deno.test("a question is asked again at once when messages were lost", () => {
  const rig = new Rig();
  rig.hear(heartbeat(1));
  rig.pass(20);
  assertEquals(rig.take("ask").length, 1);
  // Not for each of many in a row.
  for (let i = 0; i < 20; i++) {
    rig.core.missed(rig.now);
    rig.pass(10);
  }
  assertEquals(rig.take("ask"), []);
  rig.pass(100);
  rig.core.missed(rig.now);
  rig.pass(20);
  assertEquals(rig.take("ask").length, 1);
});

Deno.test("one question names all wanted instances", () => {
  const rig = new Rig();
  for (let i = 1; i <= 5; i++) rig.hear(heartbeat(1, { instance: id(i), node: `${i}` }), `${i}`);
  rig.pass(20);
  const [asked, ...more] = rig.take("ask");
  assertEquals(more, []);
  assertEquals(asked.kind === "ask" && asked.instances, [1, 2, 3, 4, 5].map(id));
});

Deno.test("questions within a moment get one snapshot, and the next snapshot comes later", () => {
  const rig = new Rig();
  const { core } = rig;
  core.track(core.newTracked(), { room: "lobby", id: "ann", meta: "{}" }, rig.now);
  for (let i = 11; i <= 18; i++) {
    rig.hear(ask([], { instance: id(i), node: `${i}` }), `${i}`);
    rig.hear(ask([id(0)], { instance: id(i), node: `${i}` }), `${i}`);
  }
  assertEquals(rig.take("snapshot"), []);
  rig.pass(50);
  const list = [entry(1, "ann", "{}")];
  assertEquals(rig.take("snapshot"), [
    { kind: "snapshot", instance: id(0), node: "self", number: 1, part: 0, parts: 1, list },
  ]);
  const times: number[] = [];
  for (let i = 0; i < 100; i++) {
    rig.hear(ask());
    rig.pass(10);
    if (rig.take("snapshot").length > 0) times.push(rig.now - START);
  }
  assert(times.length <= 4, times.join());
});

Deno.test("the snapshot after a large one comes later", () => {
  const rig = new Rig();
  for (let i = 0; i < 30_000; i++) {
    rig.core.track(rig.core.newTracked(), { room: "lobby", id: `user ${i}`, meta: "" }, rig.now);
  }
  // Some 800 KB, at a mebibyte a second.
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    rig.hear(ask());
    rig.pass(10);
    if (rig.take("snapshot").length > 0) times.push(rig.now - START);
  }
  assertEquals(times.length, 3);
  assert(times[1] - times[0] > 600, times.join());
});

Deno.test("a question to another instance is not answered", () => {
  const rig = new Rig();
  rig.hear(ask([id(7)]));
  rig.pass(200);
  assertEquals(rig.take("snapshot"), []);
});

Deno.test("changes leave before the snapshot that holds them", () => {
  const rig = new Rig();
  rig.hear(ask());
  rig.core.track(rig.core.newTracked(), { room: "lobby", id: "ann", meta: "" }, rig.now);
  rig.pass(50);
  assertEquals(rig.sent.map(({ kind }) => kind).slice(-2), ["changes", "snapshot"]);
});

Deno.test("a large snapshot is cut into parts that fit", () => {
  const rig = new Rig({ maxMessageBytes: 200 });
  const { core } = rig;
  for (let i = 0; i < 20; i++) {
    core.track(core.newTracked(), { room: "lobby", id: `id ${i}`, meta: "" }, rig.now);
  }
  core.flush(rig.now);
  rig.sent.length = 0;
  rig.hear(ask());
  rig.pass(50);
  const parts = rig.take("snapshot");
  assert(parts.length > 2);
  const entries = parts.flatMap(({ list }) => list ?? []);
  assertEquals(entries.length, 20);
  for (const [i, part] of parts.entries()) {
    assertEquals(part.kind === "snapshot" && [part.part, part.parts], [i, parts.length]);
  }
});

Deno.test("a snapshot is applied when its last part has come, and not if one is missing", () => {
  const rig = new Rig();
  rig.hear(snapshot(9, [entry(1, "ann")], 0, 3));
  rig.hear(snapshot(9, [entry(2, "bob")], 1, 3));
  rig.hear(snapshot(9, [entry(2, "bob")], 1, 3));
  assertEquals(rig.ids(), "");
  rig.hear(snapshot(9, [entry(3, "cid")], 2, 3));
  assertEquals(rig.ids(), "ann,bob,cid");
  rig.hear(snapshot(12, [entry(4, "dan")], 0, 3));
  rig.hear(snapshot(12, [entry(6, "fay")], 2, 3));
  rig.hear(snapshot(12, [entry(5, "eva")], 1, 3));
  rig.hear(snapshot(12, [entry(6, "fay")], 2, 3));
  assertEquals(rig.ids(), "ann,bob,cid");
  rig.pass(2_100);
  assertEquals(rig.take("ask").length, 1);
});

Deno.test("changes after a part that is missing end the snapshot", () => {
  const rig = new Rig();
  rig.hear(snapshot(9, [entry(1, "ann")], 0, 2));
  rig.hear(changes(10, entry(2, "bob")));
  rig.hear(snapshot(9, [], 1, 2));
  assertEquals(rig.ids(), "");
});

Deno.test("an old snapshot changes nothing", () => {
  const rig = new Rig();
  rig.hear(snapshot(5, [entry(1, "ann")]));
  rig.hear(snapshot(4, [entry(2, "bob")]));
  rig.hear(snapshot(5, [entry(2, "bob")]));
  rig.hear(heartbeat(9));
  // Older than what is known to have happened: it would be followed by a gap.
  rig.hear(snapshot(8, [entry(2, "bob")]));
  assertEquals(rig.ids(), "ann");
});

Deno.test("a heartbeat is sent when nothing else has been for a while", () => {
  const rig = new Rig();
  rig.pass(499);
  assertEquals(rig.sent, []);
  rig.pass(1);
  assertEquals(rig.take("heartbeat"), [
    { kind: "heartbeat", instance: id(0), node: "self", number: 0 },
  ]);
  rig.pass(300);
  rig.core.track(rig.core.newTracked(), { room: "lobby", id: "ann", meta: "" }, rig.now);
  rig.core.flush(rig.now);
  rig.pass(499);
  assertEquals(rig.take("heartbeat"), []);
  rig.pass(1);
  assertEquals(rig.take("heartbeat").length, 1);
});

Deno.test("a heartbeat comes after the changes that it counts", () => {
  const rig = new Rig();
  rig.core.track(rig.core.newTracked(), { room: "lobby", id: "ann", meta: "" }, rig.now);
  rig.pass(500);
  assertEquals(rig.sent.map(({ kind }) => kind), ["changes", "heartbeat"]);
});

Deno.test("a heartbeat comes soon after missed messages, and a flood of these makes no flood of heartbeats", () => {
  const rig = new Rig();
  rig.core.missed(rig.now);
  rig.pass(50);
  assertEquals(rig.take("heartbeat").length, 1);
  let count = 0;
  for (let i = 0; i < 1_000; i++) {
    rig.core.missed(rig.now);
    rig.pass(1);
    count += rig.take("heartbeat").length;
  }
  assert(count <= 20, `${count} heartbeats in a second`);
});

Deno.test("an instance is gone after the timeout, its node's end, or its GONE", () => {
  const known = () => {
    const rig = new Rig();
    rig.hear(snapshot(1, [entry(1, "ann")]));
    assertEquals(rig.core.instanceCount, 1);
    return rig;
  };
  const silent = known();
  silent.pass(TIMEOUT_MS - 1);
  assertEquals(silent.ids(), "ann");
  silent.pass(1);
  const down = known();
  down.core.nodeDown("other");
  assertEquals(down.ids(), "ann");
  down.core.nodeDown("peer");
  const said = known();
  said.hear(gone);
  said.hear(gone);
  for (const { core, events } of [silent, down, said]) {
    assertEquals(events, ["+lobby/ann", "-lobby/ann"]);
    assertEquals([core.instanceCount, core.remoteEntryCount], [0, 0]);
  }
});

Deno.test("a node that was frozen gives the others their time again, but only once", () => {
  const rig = new Rig();
  rig.hear(snapshot(1, [entry(1, "ann")]));
  rig.pass(100);
  // Nothing runs for a minute, then the timer, and what others have said is read after it.
  rig.now += 60_000;
  rig.core.step(rig.now);
  assertEquals(rig.ids(), "ann");
  rig.pass(TIMEOUT_MS - 1);
  assertEquals(rig.ids(), "ann");
  rig.pass(1);
  assertEquals(rig.ids(), "");

  const twice = new Rig();
  twice.hear(snapshot(1, [entry(1, "ann")]));
  for (const ids of ["ann", ""]) {
    twice.now += 60_000;
    twice.core.step(twice.now);
    assertEquals(twice.ids(), ids);
  }
});

Deno.test("an id with sockets on two nodes leaves with the last of them", () => {
  const rig = new Rig();
  const { core } = rig;
  const tracked = core.newTracked();
  core.track(tracked, { room: "lobby", id: "ann", meta: "here" }, rig.now);
  rig.hear(snapshot(1, [entry(1, "ann", "1")]));
  assertEquals(core.roster.list("lobby"), [{ id: "ann", metas: ["here", "1"] }]);
  core.untrack(tracked, rig.now);
  assertEquals(rig.ids(), "ann");
  rig.core.nodeDown("peer");
  assertEquals(rig.events, ["+lobby/annhere", "-lobby/ann"]);
});

Deno.test("messages in the name of another node are refused", () => {
  const rig = new Rig();
  rig.hear(snapshot(1, [entry(1, "ann")]));
  for (const message of [gone, heartbeat(1), changes(2, 1)]) {
    assertFrameError(() => rig.hear(message, "mallory"), "wrong-node", 1);
  }
  assertFrameError(
    () => rig.hear(heartbeat(1, { instance: id(0), node: "self" }), "mallory"),
    "wrong-node",
    1,
  );
  assertEquals(rig.ids(), "ann");
});

Deno.test("the node name in a message counts if the backplane gives none", () => {
  const rig = new Rig();
  const { core } = rig;
  core.receive(snapshot(1, [entry(1, "ann")]), undefined, rig.now);
  // An echo, as a broker may send.
  core.receive(heartbeat(1, { instance: id(0), node: "self" }), undefined, rig.now);
  assertEquals(core.instanceCount, 1);
  core.nodeDown("peer");
  assertEquals(rig.ids(), "");
});

Deno.test("a malformed list counts as missed", () => {
  const rig = new Rig();
  rig.hear(heartbeat(0));
  assertFrameError(() => rig.hear(changes(1, entry(1, "ann", "{"))), "bad-json");
  assertEquals(rig.ids(), "");
  rig.pass(20);
  assertEquals(rig.take("ask").length, 1);
});

Deno.test("entries beyond the limit are refused, counted, and asked for when there is space", () => {
  const rig = new Rig({ limits: { ...LIMITS, maxEntries: 4 } });
  const six = [1, 2, 3, 4, 5, 6].map((key) => entry(key, `id ${key}`));
  assertFrameError(() => rig.hear(snapshot(6, six)), "over-limit");
  assertEquals(rig.core.roster.count("lobby"), 4);
  assertEquals(rig.core.refused, 2);
  assertFrameError(() => rig.hear(changes(7, entry(7, "id 7"))), "over-limit");
  rig.pass(4_000);
  assertEquals(rig.take("ask"), []);
  rig.hear(changes(8, 1, 2, 5));
  assertEquals(rig.ids(), "id 3,id 4");
  rig.pass(20);
  assertEquals(rig.take("ask").length, 1);
  rig.hear(snapshot(10, [entry(3, "id 3"), entry(4, "id 4"), entry(6, "id 6"), entry(7, "id 7")]));
  assertEquals(rig.ids(), "id 3,id 4,id 6,id 7");
  rig.pass(4_000);
  assertEquals(rig.take("ask"), []);
});

Deno.test("texts of other instances have a limit, each and together", () => {
  const rig = new Rig({ limits: { ...LIMITS, maxIdBytes: 5, maxMetaBytes: 6, maxTextUnits: 40 } });
  rig.hear(heartbeat(0));
  assertFrameError(() => rig.hear(changes(1, entry(1, "123456"))), "over-limit");
  assertFrameError(() => rig.hear(changes(2, entry(2, "12345", '"12345"'))), "over-limit");
  rig.hear(changes(3, entry(3, "12345", '"1234"')));
  rig.hear(changes(4, entry(4, "12345", '"1234"')));
  // 32 of 40 units are held, and this has 10.
  assertFrameError(() => rig.hear(changes(5, entry(5, "bob", "12"))), "over-limit");
  assertFrameError(
    () => rig.hear(changes(6, entry(3, "12345", '"12"'), entry(6, "12345", "1"))),
    "over-limit",
  );
  assertEquals(rig.core.roster.list("lobby"), [{ id: "12345", metas: ['"12"', '"1234"'] }]);
  assertEquals(rig.core.refused, 4);
});

Deno.test("instances beyond the limit are refused, and one node's limit is lower", () => {
  const rig = new Rig({ limits: { ...LIMITS, maxInstances: 3, maxInstancesPerNode: 2 } });
  const from = (n: number, node: string) => rig.hear(heartbeat(0, { instance: id(n), node }), node);
  from(1, "a");
  from(2, "a");
  assertFrameError(() => from(3, "a"), "over-limit");
  from(4, "b");
  assertFrameError(() => from(5, "c"), "over-limit");
  rig.core.nodeDown("a");
  from(5, "c");
  assertEquals(rig.core.instanceCount, 2);
  assertEquals(rig.core.refused, 2);
});

Deno.test("an entry that this node tracks is checked before anything changes", () => {
  const rig = new Rig({ maxMessageBytes: 1_000 });
  const { core } = rig;
  const texts = { room: "lobby", id: "ann", meta: "" };
  core.check({ ...texts, id: "é".repeat(LIMITS.maxIdBytes / 2) });
  assertFrameError(
    () => core.check({ ...texts, id: "é".repeat(LIMITS.maxIdBytes / 2) + "x" }),
    "id-too-long",
    LIMITS.maxIdBytes,
  );
  assertFrameError(
    () => core.check({ ...texts, meta: "1".repeat(LIMITS.maxMetaBytes + 1) }),
    "meta-too-long",
    LIMITS.maxMetaBytes,
  );
  assertFrameError(() => core.check({ ...texts, room: "x".repeat(1_000) }), "message-too-long");
  assertFrameError(() => core.check({ ...texts, id: "\ud800" }), "ill-formed-text");
  const tiny = new Rig({ maxMessageBytes: 100 }).core;
  const most = 65_534 / 2 * (100 - 27);
  let count = 0;
  assertFrameError(() => {
    for (; count * 19 < 2 * most; count++) {
      tiny.check(texts);
      tiny.track(tiny.newTracked(), texts, START);
    }
  }, "over-limit");
  assert(count > 10_000);
});

Deno.test("an instance that ends sends GONE, and nothing from then on", () => {
  const rig = new Rig();
  const { core } = rig;
  const tracked = core.newTracked();
  core.track(tracked, { room: "lobby", id: "ann", meta: "" }, rig.now);
  rig.hear(snapshot(1, [entry(1, "bob")]));
  core.end(rig.now);
  core.end(rig.now);
  assertEquals(rig.sent.map(({ kind }) => kind), ["gone"]);
  core.track(core.newTracked(), { room: "lobby", id: "cid", meta: "" }, rig.now);
  core.untrack(tracked, rig.now);
  core.flush(rig.now);
  core.missed(rig.now);
  core.start(rig.now);
  rig.hear(heartbeat(3));
  rig.hear(ask());
  rig.core.step(rig.now + 100_000);
  assertEquals(rig.sent.length, 1);
  assertEquals(core.dueAt, Infinity);
  assertEquals(rig.ids(), "");
  assertEquals(rig.events.length, 2);
});

Deno.test("an end in the middle of a message stops it there", () => {
  const rig = new Rig();
  rig.onEvent = () => rig.core.end(rig.now);
  rig.hear(snapshot(2, [entry(1, "ann"), entry(2, "bob")]));
  assertEquals(rig.events, ["+lobby/ann"]);
  assertEquals(rig.ids(), "");
});

Deno.test("changes made in an event wait until the message is applied", () => {
  const rig = new Rig();
  const { core } = rig;
  let nested = false;
  rig.onEvent = (event) => {
    if (event === "+lobby/ann") {
      // A local change is there at once.
      core.track(core.newTracked(), { room: "lobby", id: "here", meta: "" }, rig.now);
      assert(core.roster.has("lobby", "here"));
      // What comes from outside is not, and its bytes are not looked at later.
      const lent = gone.slice();
      rig.hear(lent);
      lent.fill(0xff);
      core.nodeDown("other");
      core.step(rig.now);
      nested = true;
    }
  };
  rig.hear(snapshot(2, [entry(1, "ann"), entry(2, "bob")]));
  assert(nested);
  assertEquals(rig.events, [
    ...["+lobby/ann", "+lobby/here", "+lobby/bob", "-lobby/ann", "-lobby/bob"],
  ]);
});

Deno.test("a waiting message that cannot be read is reported, and does not affect the message that it waited for", () => {
  const rig = new Rig();
  rig.onEvent = () => {
    rig.hear(Uint8Array.of(0));
    rig.onEvent = () => {};
  };
  rig.hear(snapshot(2, [entry(1, "ann"), entry(2, "bob")]));
  assertEquals(rig.events, ["+lobby/ann", "+lobby/bob"]);
  assertEquals(rig.errors.length, 1);
  assertFrameError(() => {
    throw rig.errors[0];
  }, "wrong-tag");
});

Deno.test("a newcomer announces itself, and asks everybody", () => {
  const rig = new Rig();
  rig.core.start(rig.now);
  assertEquals(rig.sent, [
    { kind: "heartbeat", instance: id(0), node: "self", number: 0 },
    { kind: "ask", instance: id(0), node: "self", instances: [] },
  ]);
});

Deno.test("a node that has just asked everybody asks nobody by name until answers are due", () => {
  const rig = new Rig();
  rig.core.start(rig.now);
  rig.hear(heartbeat(3));
  rig.pass(50);
  rig.hear(heartbeat(3));
  rig.pass(400);
  assertEquals(rig.take("ask").length, 1);
  rig.hear(heartbeat(3));
  rig.pass(20);
  assertEquals(rig.take("ask"), [
    { kind: "ask", instance: id(0), node: "self", instances: [id(1)] },
  ]);
});

Deno.test("a question that is too long for one message becomes several", () => {
  const rig = new Rig({ maxMessageBytes: 100 });
  for (let i = 1; i <= 20; i++) rig.hear(heartbeat(1, { instance: id(i), node: `${i}` }), `${i}`);
  rig.pass(20);
  const asked = rig.take("ask");
  assert(asked.length > 1);
  const instances = asked.flatMap((one) => one.kind === "ask" ? one.instances : []);
  assertEquals(instances.length, 20);
});
