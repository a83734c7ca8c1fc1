import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { HEARTBEAT_TOKEN_BYTES } from "../../codec/mod.ts";
import { Heartbeat, type HeartbeatStep } from "../../mesh/heartbeat.ts";
import { FakeTimers } from "../_fake_timers.ts";

const START = 1_000_000;
const INTERVAL = 10_000;
const TIMEOUT = 5_000;

/** A heartbeat that began at `START`, told times from there on. */
function begin(): {
  step(at: number): HeartbeatStep;
  pong(token: Uint8Array, at: number): number | undefined;
  doubt(at: number): void;
  moved(at: number): void;
  token(): Uint8Array;
} {
  const heartbeat = new Heartbeat({ intervalMs: INTERVAL, timeoutMs: TIMEOUT }, START);
  return {
    step: (at) => heartbeat.step(START + at),
    pong: (token, at) => heartbeat.pong(token, START + at),
    doubt: (at) => heartbeat.doubt(START + at),
    moved: (at) => heartbeat.moved(START + at),
    token: () => heartbeat.token,
  };
}

const PING: HeartbeatStep = { action: "ping", againMs: TIMEOUT };
const DEAD: HeartbeatStep = { action: "dead" };

function wait(againMs: number): HeartbeatStep {
  return { action: "wait", againMs };
}

Deno.test("the first ping is due after an interval", () => {
  const heartbeat = begin();
  assertEquals(heartbeat.step(0), wait(INTERVAL));
  assertEquals(heartbeat.step(INTERVAL - 1), wait(1));
  assertEquals(heartbeat.step(INTERVAL), PING);
});

Deno.test("a peer that does not answer in time is dead", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  assertEquals(heartbeat.step(INTERVAL), wait(TIMEOUT));
  assertEquals(heartbeat.step(INTERVAL + TIMEOUT - 1), wait(1));
  assertEquals(heartbeat.step(INTERVAL + TIMEOUT), DEAD);
  assertEquals(heartbeat.step(INTERVAL + TIMEOUT), DEAD);
});

Deno.test("a pong gives the round trip, and the next ping is due an interval after the last", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  assertEquals(heartbeat.pong(heartbeat.token(), INTERVAL + 300), 300);
  assertEquals(heartbeat.step(INTERVAL + 300), wait(INTERVAL - 300));
  assertEquals(heartbeat.step(2 * INTERVAL - 1), wait(1));
  assertEquals(heartbeat.step(2 * INTERVAL), PING);
});

Deno.test("a pong counts until its absence is noticed", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  assertEquals(heartbeat.pong(heartbeat.token(), INTERVAL + TIMEOUT), TIMEOUT);
  assertEquals(heartbeat.step(INTERVAL + TIMEOUT), wait(INTERVAL - TIMEOUT));
});

Deno.test("a pong that took longer than an interval is followed by a ping at once", () => {
  const heartbeat = new Heartbeat({ intervalMs: 100, timeoutMs: 1_000 }, START);
  assertEquals(heartbeat.step(START + 100).action, "ping");
  assertEquals(heartbeat.pong(heartbeat.token, START + 700), 600);
  assertEquals(heartbeat.step(START + 700).action, "ping");
});

Deno.test("a pong that echoes another token does not count", () => {
  for (let changed = 0; changed < HEARTBEAT_TOKEN_BYTES; changed++) {
    const heartbeat = begin();
    heartbeat.step(INTERVAL);
    const token = heartbeat.token();
    token[changed] ^= 1;
    assertEquals(heartbeat.pong(token, INTERVAL + 1), undefined);
    assertEquals(heartbeat.step(INTERVAL + TIMEOUT), DEAD);
  }
});

Deno.test("a pong for an earlier ping does not count", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  const first = heartbeat.token();
  assertEquals(heartbeat.pong(first, INTERVAL + 1), 1);
  heartbeat.step(2 * INTERVAL);
  assertEquals(heartbeat.pong(first, 2 * INTERVAL + 1), undefined);
  assertEquals(heartbeat.step(2 * INTERVAL + TIMEOUT), DEAD);
});

Deno.test("a pong that nobody waits for changes nothing", () => {
  const heartbeat = begin();
  assertEquals(heartbeat.pong(heartbeat.token(), 1), undefined);
  assertEquals(heartbeat.pong(new Uint8Array(8), 1), undefined);
  assertEquals(heartbeat.step(1), wait(INTERVAL - 1));

  heartbeat.step(INTERVAL);
  const token = heartbeat.token();
  assertEquals(heartbeat.pong(token, INTERVAL + 1), 1);
  assertEquals(heartbeat.pong(token, INTERVAL + 2), undefined);
  assertEquals(heartbeat.step(INTERVAL + 2), wait(INTERVAL - 2));
});

Deno.test("every ping has a token of its own, which nobody can spoil", () => {
  const heartbeat = begin();
  const tokens = new Set<string>();
  for (let ping = 1; ping <= 1_000; ping++) {
    assertEquals(heartbeat.step(ping * INTERVAL), PING);
    assertEquals(heartbeat.token().length, HEARTBEAT_TOKEN_BYTES);
    tokens.add(heartbeat.token().join());
    heartbeat.token().fill(0xff);
    assertEquals(heartbeat.pong(heartbeat.token(), ping * INTERVAL), 0);
  }
  assertEquals(tokens.size, 1_000);
});

// Deadlines that are noticed late.

Deno.test("a deadline that is noticed late by over a fifth of the timeout gives the peer its time again, once", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  const late = INTERVAL + TIMEOUT + 1_001;
  assertEquals(heartbeat.step(late), wait(TIMEOUT));
  assertEquals(heartbeat.step(late + TIMEOUT - 1), wait(1));
  assertEquals(heartbeat.step(late + TIMEOUT + 3_600_000), DEAD);
});

Deno.test("a timer that is late by up to a fifth of the timeout does not count as sleep", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  assertEquals(heartbeat.step(INTERVAL + TIMEOUT + 1_000), DEAD);
});

Deno.test("a pong that was unread while this node slept saves the link", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  const awake = INTERVAL + 3_600_000;
  assertEquals(heartbeat.step(awake), wait(TIMEOUT));
  assertEquals(heartbeat.pong(heartbeat.token(), awake + 1), 3_600_001);
  assertEquals(heartbeat.step(awake + 1), PING);
  assertEquals(heartbeat.pong(heartbeat.token(), awake + 2), 1);
});

Deno.test("each ping has its own second chance", () => {
  const heartbeat = begin();
  let now = INTERVAL;
  for (let sleep = 0; sleep < 5; sleep++) {
    assertEquals(heartbeat.step(now), PING);
    now += 60_000;
    assertEquals(heartbeat.step(now), wait(TIMEOUT));
    assertNotEquals(heartbeat.pong(heartbeat.token(), now), undefined);
  }
});

Deno.test("a node that sends its ping late gives the peer the whole time to answer", () => {
  const heartbeat = begin();
  assertEquals(heartbeat.step(3_600_000), PING);
  assertEquals(heartbeat.step(3_600_000 + TIMEOUT - 1), wait(1));
  assertEquals(heartbeat.step(3_600_000 + TIMEOUT), DEAD);
});

// Slow paths.

Deno.test("a pong gets its whole time again after each sign of life", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  let at = INTERVAL;
  for (let sign = 0; sign < 100; sign++) {
    at += TIMEOUT - 1;
    heartbeat.moved(at);
    assertEquals(heartbeat.step(at + 1), wait(TIMEOUT - 1));
  }
  assertEquals(heartbeat.step(at + TIMEOUT - 1), wait(1));
  assertEquals(heartbeat.step(at + TIMEOUT), DEAD);
});

Deno.test("a sign of life without a ping in flight neither delays nor hastens the next ping", () => {
  const heartbeat = begin();
  heartbeat.moved(INTERVAL - 1);
  assertEquals(heartbeat.step(INTERVAL - 1), wait(1));
  heartbeat.moved(INTERVAL);
  assertEquals(heartbeat.step(INTERVAL), PING);
});

Deno.test("a pong that took long is followed by a ping at once, with or without signs of life", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  for (let at = INTERVAL; at < 4 * INTERVAL; at += 1_000) heartbeat.moved(at);
  assertEquals(heartbeat.pong(heartbeat.token(), 4 * INTERVAL), 3 * INTERVAL);
  assertEquals(heartbeat.step(4 * INTERVAL), PING);
});

// Doubts.

Deno.test("a doubt makes a ping due at once", () => {
  const heartbeat = begin();
  heartbeat.doubt(1_000);
  assertEquals(heartbeat.step(1_000), PING);
  assertEquals(heartbeat.pong(heartbeat.token(), 1_007), 7);
  assertEquals(heartbeat.step(1_007), wait(INTERVAL - 7));
});

Deno.test("a doubt finds a dead peer after one timeout", () => {
  const heartbeat = begin();
  heartbeat.doubt(1_000);
  heartbeat.step(1_000);
  assertEquals(heartbeat.step(1_000 + TIMEOUT), DEAD);
});

Deno.test("doubts neither repeat the ping in flight nor give it more time", () => {
  const heartbeat = begin();
  heartbeat.step(INTERVAL);
  const token = heartbeat.token();
  for (let at = 0; at < TIMEOUT; at += 1_000) {
    heartbeat.doubt(INTERVAL + at);
    assertEquals(heartbeat.step(INTERVAL + at), wait(TIMEOUT - at));
  }
  assertEquals(heartbeat.token(), token);
  assertEquals(heartbeat.step(INTERVAL + TIMEOUT), DEAD);
});

// Whole conversations. The heartbeat is asked as a link does it.

/** A heartbeat with timers, and a peer that answers as `answer` says: after so long, or never. */
class Conversation {
  readonly timers = new FakeTimers();
  readonly pings: number[] = [];
  diedAt: number | undefined;
  readonly #start = this.timers.now();
  readonly #heartbeat: Heartbeat;
  readonly #answerMs: () => number | undefined;
  readonly #lateMs: number;
  #timer: number | undefined;

  constructor(
    options: { intervalMs: number; timeoutMs: number; lateMs?: number },
    answerMs: () => number | undefined,
  ) {
    this.#heartbeat = new Heartbeat(options, this.#start);
    this.#answerMs = answerMs;
    this.#lateMs = options.lateMs ?? 0;
    this.beat();
  }

  /** Time since the beginning. */
  get now(): number {
    return this.timers.now() - this.#start;
  }

  beat(): void {
    if (this.diedAt !== undefined) return;
    this.timers.clearTimeout(this.#timer);
    const step = this.#heartbeat.step(this.timers.now());
    if (step.action === "dead") {
      this.diedAt = this.now;
      return;
    }
    if (step.action === "ping") this.#ping();
    this.#timer = this.timers.setTimeout(() => this.beat(), step.againMs + this.#lateMs);
  }

  doubt(): void {
    this.#heartbeat.doubt(this.timers.now());
    this.beat();
  }

  hear(token: Uint8Array): void {
    this.#heartbeat.pong(token, this.timers.now());
    this.beat();
  }

  hearFalsePong(changedByte: number): void {
    const { token } = this.#heartbeat;
    token[changedByte] ^= 1;
    this.hear(token);
  }

  #ping(): void {
    this.pings.push(this.now);
    const { token } = this.#heartbeat;
    const answerMs = this.#answerMs();
    if (answerMs !== undefined) this.timers.setTimeout(() => this.hear(token), answerMs);
  }
}

const times = fc.record({
  intervalMs: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 60_000 })),
  timeoutMs: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 60_000 })),
});

/** What happens beside pings and pongs, each after a while; a number is a byte of a false pong. */
const disturbances = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 20_000 })),
    what: fc.oneof(
      fc.constantFrom("doubt" as const, "beat" as const),
      fc.nat({ max: HEARTBEAT_TOKEN_BYTES - 1 }),
    ),
  }),
  { maxLength: 40 },
);

function disturb(
  conversation: Conversation,
  { afterMs, what }: { afterMs: number; what: "doubt" | "beat" | number },
): void {
  conversation.timers.advance(afterMs);
  if (typeof what === "number") conversation.hearFalsePong(what);
  else conversation[what]();
}

Deno.test("property: a peer that answers each ping in time is never declared dead", () => {
  const fractions = fc.infiniteStream(
    fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })),
  );
  fc.assert(
    fc.property(times, fractions, disturbances, (times, fractions, disturbances) => {
      const conversation = new Conversation(
        times,
        () => Math.floor(fractions.next().value * times.timeoutMs),
      );
      for (const disturbance of disturbances) disturb(conversation, disturbance);
      conversation.timers.advance(20 * (times.intervalMs + times.timeoutMs));
      assertEquals(conversation.diedAt, undefined);
      assert(conversation.pings.length >= 20);
      // Never more of them than doubts and intervals account for.
      const doubts = disturbances.filter(({ what }) => what === "doubt").length;
      const intervals = Math.floor(conversation.now / times.intervalMs);
      assert(conversation.pings.length <= doubts + intervals);
    }),
  );
});

Deno.test("property: a peer that never answers is dead in an interval and one timeout", () => {
  fc.assert(
    fc.property(times, disturbances, (times, disturbances) => {
      const conversation = new Conversation(times, () => undefined);
      for (const disturbance of disturbances) disturb(conversation, disturbance);
      conversation.timers.advance(times.intervalMs + 2 * times.timeoutMs);
      const { pings, diedAt } = conversation;
      assertEquals(pings.length, 1);
      assert(pings[0] <= times.intervalMs);
      assertEquals(diedAt, pings[0] + times.timeoutMs);
      assertEquals(conversation.timers.pending, 0);
    }),
  );
});

Deno.test("property: a peer that falls silent is dead in an interval and one timeout after its last pong", () => {
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 10 }), (times, answers) => {
      const answerMs = Math.min(times.timeoutMs, times.intervalMs);
      const conversation = new Conversation(times, () => answers-- > 0 ? answerMs : undefined);
      conversation.timers.advance(20 * (times.intervalMs + times.timeoutMs));
      const silentFrom = conversation.pings.at(-1) ?? 0;
      assertEquals(conversation.diedAt, silentFrom + times.timeoutMs);
      assertEquals(conversation.timers.pending, 0);
    }),
  );
});

Deno.test("property: a peer that never answers is dead in two timeouts however late each timer runs", () => {
  fc.assert(
    fc.property(times, fc.nat({ max: 10_000 }), (times, lateMs) => {
      const { intervalMs, timeoutMs } = times;
      const conversation = new Conversation({ ...times, lateMs }, () => undefined);
      conversation.timers.advance(intervalMs + 2 * timeoutMs + 3 * lateMs);
      const timeouts = lateMs > 0.2 * timeoutMs ? 2 : 1;
      assertEquals(conversation.diedAt, intervalMs + lateMs + timeouts * (timeoutMs + lateMs));
    }),
  );
});
