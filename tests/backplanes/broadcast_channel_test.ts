import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type BroadcastChannelBackplane,
  broadcastChannelBackplane,
  type BroadcastChannelOptions,
  type WorkerEventDetails,
} from "../../backplanes/broadcast_channel.ts";
import { encodeFrame, encodeRoomBroadcast } from "../../mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { collect, Inbox, nextEvent } from "./_inbox.ts";
import { Ring, type RingPort } from "./_ring.ts";

const BEAT_MS = 1_000;

function broadcast(message: string): Uint8Array {
  return encodeRoomBroadcast("lobby", message);
}

/** Workers on a ring, whose time passes when a test says so. */
class Workers {
  readonly timers = new FakeTimers();
  readonly ring: Ring;
  readonly ports: RingPort[] = [];
  readonly all: BroadcastChannelBackplane[] = [];

  constructor(
    count: number,
    options: Partial<BroadcastChannelOptions> & { capacity?: number } = {},
  ) {
    const { capacity = 256, ...rest } = options;
    this.ring = new Ring(capacity);
    for (let i = 0; i < count; i++) {
      this.all.push(broadcastChannelBackplane({
        cluster: "test",
        timers: this.timers,
        openChannel: () => {
          const port = this.ring.open();
          this.ports.push(port);
          return port;
        },
        ...rest,
      }));
    }
  }

  async beat(): Promise<void> {
    this.timers.advance(BEAT_MS);
    await this.ring.settle();
  }
}

Deno.test("workers meet, and the report counts them", async () => {
  const { all: [a, b, c], ring } = new Workers(3);
  assertEquals(a.publish(broadcast("nobody is known yet")), { peers: 0, dropped: 0 });
  await ring.settle();
  assertEquals(a.peers, [b.id, c.id]);
  assertEquals(a.publish(broadcast("hello")), { peers: 2, dropped: 0 });
});

Deno.test("what is published in one turn travels as one post", async () => {
  const { all: [a, b], ring, ports } = new Workers(2);
  await ring.settle();
  const inbox = new Inbox(b);
  for (let i = 0; i < 1_000; i++) a.publish(broadcast(String(i)));
  await Promise.resolve();
  assertEquals(ports[1].read(Infinity), 1);
  assertEquals(inbox.messages, Array.from({ length: 1_000 }, (_, i) => String(i)));
});

Deno.test("a worker that says goodbye is gone at once, a silent one after six beats", async () => {
  const workers = new Workers(3);
  const { all: [a, b, c], ring, timers, ports } = workers;
  await ring.settle();
  const gone = collect<WorkerEventDetails["peerdown"]>(a, "peerdown");
  const closing = c.shutdown();
  await ring.settle();
  await closing;
  assertEquals(gone, [{ peer: c.id, reason: "goodbye" }]);

  for (let i = 0; i < 6; i++) {
    assertEquals(a.peers, [b.id]);
    timers.advance(BEAT_MS);
    // b is stuck: it neither reads nor says anything that a could read.
  }
  assertEquals(a.peers, []);
  assertEquals(gone.at(-1), { peer: b.id, reason: "silent" });
  // It was not gone for good.
  ports[0].read(Infinity);
  assertEquals(a.peers, [b.id]);
});

Deno.test("a stuck worker holds the others up for two beats at most, and what waits has a limit", async () => {
  const workers = new Workers(3, { maxQueuedBytes: 1_000 });
  const { all: [a, b], ring, ports } = workers;
  await ring.settle();
  const inbox = new Inbox(b);
  const overflows = collect<WorkerEventDetails["overflow"]>(a, "overflow");
  // The third reads nothing from here on.
  const readB = () => ports[1].read(Infinity);
  let dropped = 0;
  for (let i = 0; i < 100; i++) {
    const report = a.publish(broadcast(`${i} `.padEnd(100, "x")));
    assert(report.dropped === 0 || (report.dropped === 2 && report.peers === 0));
    if (report.dropped > 0) dropped++;
    await Promise.resolve();
    readB();
    ports[0].read(Infinity);
    assert(a.stats.queuedBytes <= 1_000);
  }
  assertEquals(inbox.heard.length, 4);
  assert(dropped > 0);
  assertEquals(a.stats.dropped, dropped);
  assertEquals(overflows.length, 1);

  for (let i = 0; i < 2; i++) {
    workers.timers.advance(BEAT_MS);
    for (let k = 0; k < 10; k++) {
      await Promise.resolve();
      readB();
      ports[0].read(Infinity);
    }
  }
  assertEquals(inbox.heard.length, 100 - dropped);
  assertEquals(a.stats.queuedBytes, 0);
});

Deno.test("whatever is late or lost, each message is heard once and in order, or counted as missed", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("publish" as const), who: fc.nat(2), count: fc.nat(30) }),
    fc.record({ kind: fc.constant("read" as const), who: fc.nat(2), count: fc.nat(12) }),
    fc.record({ kind: fc.constant("beat" as const), who: fc.constant(0), count: fc.constant(0) }),
  );
  let lost = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      // A ring so small that the window of four posts does not fit for all.
      const workers = new Workers(3, { capacity: 6 });
      const { all, ring, ports, timers } = workers;
      for (let i = 0; i < 3; i++) await workers.beat();
      const inboxes = all.map((each) => new Inbox(each));
      const gone = all.map((each) => collect(each, "peerdown"));
      const sent = [0, 0, 0];
      for (const { kind, who, count } of steps) {
        if (kind === "publish") {
          for (let i = 0; i < count; i++) {
            if (all[who].publish(broadcast(`${who} ${sent[who]}`)).peers > 0) sent[who]++;
          }
        } else if (kind === "read") {
          ports[who].read(count);
        } else {
          timers.advance(BEAT_MS);
        }
        await Promise.resolve();
      }
      // Everybody comes to, within fewer beats than make a worker silent.
      for (let i = 0; i < 10; i++) {
        await workers.ring.settle();
        timers.advance(BEAT_MS);
      }
      await ring.settle();
      for (const [to, inbox] of inboxes.entries()) {
        let heard = 0;
        for (const from of all.keys()) {
          const numbers = inbox.messages.map((message) => message.split(" ").map(Number))
            .filter(([sender]) => sender === from).map(([, number]) => number);
          if (from === to) assertEquals(numbers, []);
          for (const [i, number] of numbers.entries()) assert(i === 0 || number > numbers[i - 1]);
          heard += numbers.length;
        }
        const due = sent.reduce((sum, count, from) => from === to ? sum : sum + count, 0);
        const { missed } = all[to].stats;
        lost += missed;
        // What waited for workers that were all taken for gone was told of by `peerdown` alone.
        if (gone.every((events) => events.length === 0)) assertEquals(heard + missed, due);
        else assert(heard + missed <= due);
      }
    }),
    { numRuns: 300 },
  );
  // Or the property would not be about losses at all.
  assert(lost > 0);
});

Deno.test("what a worker has said last and the ring has lost is counted when it says goodbye", async () => {
  const { all: [a, b, c], ring, ports } = new Workers(3, { capacity: 20 });
  await ring.settle();
  const missed = collect<WorkerEventDetails["missed"]>(b, "missed");
  a.publish(broadcast("last words"));
  await Promise.resolve();
  // The second reads nothing, and others talk on.
  const stranger = ring.open();
  for (let i = 0; i < 19; i++) stranger.postMessage({ kind: "ack", from: c.id, to: c.id, post: 0 });
  await a.shutdown();
  const inbox = new Inbox(b);
  ports[1].read(Infinity);
  assertEquals([inbox.messages, missed], [[], [{ peer: a.id, messages: 1 }]]);
  assertEquals(b.peers, [c.id]);
});

Deno.test("what a worker missed while it took another for silent is counted when it hears it again", async () => {
  const { all: [a, b], ring, ports, timers } = new Workers(2, { capacity: 2 });
  await ring.settle();
  for (let i = 0; i < 3; i++) b.publish(broadcast(String(i)));
  await Promise.resolve();
  timers.advance(6 * BEAT_MS);
  assertEquals(a.peers, []);
  ports[0].read(Infinity);
  assertEquals([a.peers, a.stats.missed], [[b.id], 3]);
});

Deno.test("a worker that leaves posts what is left, though another is stuck", async () => {
  const { all: [a, b], ring, ports, timers } = new Workers(3);
  await ring.settle();
  // The third has read something since the last beat, so that at the next it is not known as stuck.
  for (let i = 0; i < 2; i++) {
    a.publish(broadcast("before"));
    await Promise.resolve();
  }
  await ring.settle();
  const inbox = new Inbox(b);
  const words = Array.from({ length: 50 }, (_, i) => String(i));
  for (const word of words) {
    a.publish(broadcast(word));
    // A post of its own for each, of which the window lets four through.
    await Promise.resolve();
  }
  const ended = a.shutdown();
  ports[1].read(Infinity);
  assertEquals(inbox.messages, words.slice(0, 4));
  timers.advance(BEAT_MS);
  await ended;
  ports[1].read(Infinity);
  assertEquals(inbox.messages, words);
});

Deno.test("workers that strangers make up are remembered up to a limit", async () => {
  const { all: [a], ring } = new Workers(1);
  const stranger = ring.open();
  for (let i = 0; i < 1_100; i++) {
    stranger.postMessage({ kind: "ack", from: `stranger ${i}`, to: a.id, post: 0 });
    await ring.settle();
  }
  assertEquals(a.peers.length, 1_024);
});

Deno.test("a message above the limit is dropped and reported, whoever has posted it", async () => {
  const { all: [a, b], ring } = new Workers(2, { maxMessageBytes: 100 });
  await ring.settle();
  const codes = collect<WorkerEventDetails["malformed"]>(a, "malformed");
  const inbox = new Inbox(a);
  const largest = broadcast("x".repeat(100 - broadcast("").length));
  const stranger = ring.open();
  for (const [post, message] of [largest, broadcast("x".repeat(100))].entries()) {
    const frames = encodeFrame(message);
    stranger.postMessage({ kind: "data", from: b.id, post, lane: 0, first: post, frames });
  }
  await ring.settle();
  assertEquals([inbox.heard.length, codes], [1, [{ code: "frame-too-long" }]]);
});

Deno.test("what strangers post is dropped and reported, whatever it is", async () => {
  const { all: [a, b], ring } = new Workers(2);
  await ring.settle();
  const codes = collect<WorkerEventDetails["malformed"]>(a, "malformed");
  const stranger = ring.open();
  const from = "stranger";
  const posts: unknown[] = [
    null,
    17,
    "text",
    {},
    { from },
    { from, kind: "unknown" },
    { from: "x".repeat(65), kind: "bye", sent: [0, 0] },
    { from, kind: "bye" },
    { from, kind: "bye", sent: [0, -1] },
    { from, kind: "data", post: -1, first: 0, lane: 0, frames: new Uint8Array() },
    { from, kind: "data", post: 1, first: 0, lane: 2, frames: new Uint8Array() },
    { from, kind: "data", post: 1, first: 0, lane: 1, frames: new Uint8Array() },
    { from, kind: "data", post: 1, first: 0, lane: 0, frames: [1, 2] },
    { from, kind: "here", hello: true, posted: 0, sent: [0], read: {} },
    { from, kind: "here", hello: true, posted: 0, sent: [0, 0], read: { [a.id]: "x" } },
    { from, kind: "ack", to: a.id },
    // A frame that is cut off, and one longer than anything may be.
    { from, kind: "data", post: 1, first: 0, lane: 0, frames: Uint8Array.of(5, 0, 0, 0, 1) },
    { from, kind: "data", post: 2, first: 0, lane: 0, frames: Uint8Array.of(0, 0, 0, 0xff) },
  ];
  for (const post of posts) stranger.postMessage(post);
  await ring.settle();
  assertEquals(codes.length, posts.length);
  assertEquals(a.stats.malformed, posts.length);

  const inbox = new Inbox(a);
  b.publish(broadcast("still here"));
  await ring.settle();
  assertEquals(inbox.messages, ["still here"]);
});

Deno.test("after shutdown no timer is left, and nothing is posted", async () => {
  const { all: [a, b], ring, timers } = new Workers(2);
  await ring.settle();
  a.publish(broadcast("last words"));
  const inbox = new Inbox(b);
  await Promise.all([a.shutdown(), ring.settle()]);
  await a[Symbol.asyncDispose]();
  await ring.settle();
  assertEquals(inbox.messages, ["last words"]);
  await b.shutdown();
  assertEquals(timers.pending, 0);
});

Deno.test("a worker that is stuck for a second misses nothing of what two others say", async () => {
  // Real channels and a real worker: this isolate is stuck, the other two are not.
  const cluster = `test-${crypto.randomUUID()}`;
  const script = new URL("./_talking_worker.ts", import.meta.url);
  await using here = broadcastChannelBackplane({ cluster });
  const inbox = new Inbox(here);
  const threads = ["a", "b"].map((name) => {
    const worker = new Worker(script, { type: "module" });
    worker.postMessage({ cluster, name });
    return worker;
  });
  await inbox.hears((message) => message.startsWith("a "));
  await inbox.hears((message) => message.startsWith("b "));
  const end = performance.now() + 1_000;
  while (performance.now() < end);
  const before = inbox.heard.length;
  await inbox.has(before + 1_000);
  for (const thread of threads) thread.terminate();
  for (const name of ["a", "b"]) {
    const numbers = inbox.messages.filter((message) => message.startsWith(name))
      .map((message) => Number(message.split(" ")[1]));
    for (const [i, number] of numbers.entries()) {
      if (i > 0) assertEquals(number, numbers[i - 1] + 1);
    }
  }
  assertEquals(here.stats.missed, 0);
});

Deno.test("options that make no sense are refused with the option and the value", () => {
  const attempts: [unknown, string][] = [
    [{ cluster: "" }, "cluster"],
    [{ cluster: "a b" }, "a b"],
    [{ cluster: "a".repeat(65) }, "cluster"],
    [{ cluster: 7 }, "cluster must be a string, got number"],
    [{ cluster: "a", maxMessageBytes: 0 }, "maxMessageBytes"],
    [{ cluster: "a", maxQueuedBytes: 1.5 }, "maxQueuedBytes"],
    [{ cluster: "a", maxQueuedBytes: "1" }, "maxQueuedBytes must be a number, got string"],
    [{ cluster: "a", openChannel: 1 }, "openChannel"],
  ];
  for (const [options, part] of attempts) {
    assertThrows(
      () => broadcastChannelBackplane(options as BroadcastChannelOptions),
      Error,
      part,
    );
  }
});

Deno.test("two clusters of one process do not hear each other", async () => {
  const [one, two] = [1, 2].map((i) => `test-${i}-${crypto.randomUUID()}`);
  await using a = broadcastChannelBackplane({ cluster: one });
  await using b = broadcastChannelBackplane({ cluster: two });
  await using c = broadcastChannelBackplane({ cluster: one });
  if (a.peers.length === 0) await nextEvent(a, "peerup");
  assertEquals([a.peers, b.peers], [[c.id], []]);
});
