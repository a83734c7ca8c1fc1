import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { backoffMs } from "../../backplane/backoff.ts";
import { KnownNodes } from "../../mesh/known_nodes.ts";
import { formatAddress, parseNodeName, parseTarget, type Target } from "../../mesh/node_name.ts";

const START = 1_000_000;
const FORGET_AFTER = 600_000;
const OWN = parseTarget("own:9000");
const [A, B, C, D] = ["a@h1:9000", "b@h2:9000", "c@h3:9000", "d@h4:9000"].map(parseTarget);

/** Known nodes, the links that there are, and a clock. All that is checked is what comes out. */
class Subject {
  readonly known: KnownNodes;
  readonly links = new Set<string>();
  now = START;
  readonly isLinked = (name: string) => this.links.has(name);

  constructor(
    { own = OWN, maxLearnt = 100, forgetAfterMs = FORGET_AFTER, fraction = (): number => 1 } = {},
  ) {
    this.known = new KnownNodes({ own, maxLearnt, forgetAfterMs, fraction });
  }

  seeds(...targets: Target[]): void {
    this.known.setSeeds(targets, this.now);
  }

  learn(target: Target): boolean {
    return this.known.learn(target, this.now, this.isLinked);
  }

  due(max = Infinity): Target[] {
    return this.known.due(this.now, this.isLinked, max);
  }

  /** How long until something is due; undefined if never. */
  get dueIn(): number | undefined {
    const next = this.known.nextDueAt(this.isLinked);
    return next === undefined ? undefined : next - this.now;
  }

  /** Dials all that is due, and fails. */
  failDue(): Target[] {
    const targets = this.due();
    for (const target of targets) this.fail(target);
    return targets;
  }

  fail(target: Target): void {
    this.known.failed(target, this.now);
  }

  /** A link has come up by a dial to `target`. */
  succeed(target: Target, { name = "" }: Target = target): void {
    this.links.add(name);
    this.known.linked(parseNodeName(name), this.now, this.isLinked, { dialled: target });
  }

  /** A link has come up, whoever dialled. */
  link({ name = "" }: Target): void {
    this.links.add(name);
    this.known.linked(parseNodeName(name), this.now, this.isLinked);
  }

  lose({ name = "" }: Target, lastedMs = 3_600_000): void {
    this.links.delete(name);
    this.known.lost(name, this.now - lastedMs, this.now);
  }

  depart({ name = "" }: Target): void {
    this.links.delete(name);
    this.known.departed(name, this.now);
  }

  /** Addresses dialled, in vain, in the next `ms`. */
  dialledWithin(ms: number): Set<string> {
    const addresses = new Set<string>();
    for (const end = this.now + ms;;) {
      for (const target of this.failDue()) addresses.add(formatAddress(target));
      const next = this.known.nextDueAt(this.isLinked);
      if (next === undefined || next > end) {
        this.now = end;
        return addresses;
      }
      assert(next > this.now, "due, but not handed out");
      this.now = next;
    }
  }
}

// Backoff.

Deno.test("delays double from 250 ms to 30 s", () => {
  const delays = Array.from({ length: 9 }, (_, failures) => backoffMs(failures, 1));
  assertEquals(delays, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assertEquals(backoffMs(1e9, 1), 30_000);
  assertEquals(backoffMs(Number.MAX_SAFE_INTEGER, 1), 30_000);
});

Deno.test("jitter is full, from nothing up to the whole delay", () => {
  for (const failures of [0, 1, 5, 50]) {
    assertEquals(backoffMs(failures, 0), 0);
    assertEquals(backoffMs(failures, 0.5), backoffMs(failures, 1) / 2);
  }
});

// Getting to be known, and dialled.

Deno.test("a known node that is not linked is due at once", () => {
  const subject = new Subject();
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);
  subject.seeds(A);
  assert(subject.learn(B));
  assertEquals(subject.dueIn, 0);
  assertEquals(subject.due(), [A, B]);
});

Deno.test("a node that is being dialled is not dialled again until that is over", () => {
  const subject = new Subject();
  subject.seeds(A);
  assertEquals(subject.due(), [A]);
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);
  subject.seeds(A);
  subject.learn(A);
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);

  subject.fail(A);
  assertEquals(subject.dueIn, 500);
});

Deno.test("an address stands for one node, whether seed or learnt, with or without a name", () => {
  const subject = new Subject();
  subject.seeds(parseTarget("h1:9000"), A, parseTarget("h1"));
  subject.learn(A);
  assertEquals(subject.due().map(formatAddress), ["h1:9000"]);
});

Deno.test("no more nodes are dialled than there are places, and the others stay due", () => {
  const subject = new Subject();
  subject.seeds(A, B, C, D);
  assertEquals(subject.due(0), []);
  assertEquals(subject.due(3), [A, B, C]);
  assertEquals(subject.dueIn, 0);
  assertEquals(subject.due(-1), []);
  assertEquals(subject.due(3), [D]);
});

Deno.test("each dial that fails is followed by a longer wait, with its own jitter", () => {
  const fractions = [1, 0.5, 1, 0.25];
  const subject = new Subject({ fraction: () => fractions.shift() ?? 1 });
  subject.seeds(A);
  for (const delay of [500, 500, 2_000, 1_000, 8_000, 16_000, 30_000, 30_000]) {
    assertEquals(subject.failDue(), [A]);
    assertEquals(subject.dueIn, delay);
    subject.now += delay - 1;
    assertEquals(subject.due(), []);
    subject.now += 1;
  }
});

Deno.test("nodes wait independently of each other", () => {
  const subject = new Subject();
  subject.seeds(A);
  subject.failDue();
  subject.now += 500;
  subject.failDue();
  subject.seeds(A, B);
  assertEquals(subject.failDue(), [B]);
  subject.now += 500;
  assertEquals(subject.due(), [B]);
  subject.now += 500;
  assertEquals(subject.due(), [A]);
});

// Linked nodes.

Deno.test("a linked node is not dialled, whoever dialled and however it became known", () => {
  const subject = new Subject();
  subject.seeds(parseTarget("h1:9000"));
  subject.learn(B);
  for (const target of subject.due()) subject.succeed(target, target.name ? B : A);
  subject.link(C);
  subject.learn(C);
  subject.seeds(parseTarget("h1:9000"), D);
  subject.link(D);
  assertEquals([subject.dialledWithin(3_600_000), subject.dueIn], [new Set(), undefined]);
});

Deno.test("a seed that may stand for several nodes is dialled every 30 s, whoever it has led to", () => {
  const subject = new Subject();
  const alias = parseTarget("all.nodes:9000");
  subject.seeds(alias);
  subject.due();
  subject.succeed(alias, A);
  assertEquals([subject.due(), subject.dueIn], [[], 30_000]);
  subject.now += 30_000;
  assertEquals(subject.due(), [alias]);
  subject.succeed(alias, B);
  assertEquals([subject.due(), subject.dueIn], [[], 30_000]);
});

Deno.test("a seed with another address in its name is dialled by both when its link is lost", () => {
  const subject = new Subject();
  const alias = parseTarget("localhost:9000");
  subject.seeds(alias);
  subject.due();
  subject.succeed(alias, A);

  subject.lose(A);
  subject.now += 250;
  assertEquals(subject.due(), [alias, A]);
});

Deno.test("a node whose link is lost is due again within 250 ms, if the link has lasted", () => {
  for (const fraction of [0, 0.5, 1]) {
    const subject = new Subject({ fraction: () => fraction });
    subject.link(A);
    subject.lose(A, 10_000);
    assertEquals(subject.dueIn, 250 * fraction);
    subject.now += 250 * fraction;
    assertEquals(subject.due(), [A]);
  }
});

Deno.test("links that break at once wait longer and longer, like dials that fail", () => {
  const subject = new Subject();
  subject.seeds(A);
  for (const delay of [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    assertEquals(subject.due(), [A]);
    subject.succeed(A);
    subject.lose(A, 9_999);
    assertEquals(subject.dueIn, delay);
    subject.now += delay;
  }
});

Deno.test("a link that has lasted makes up for all failures before it", () => {
  const subject = new Subject();
  subject.seeds(A);
  for (let i = 0; i < 10; i++) {
    subject.failDue();
    subject.now += 30_000;
  }
  subject.due();
  subject.succeed(A);
  subject.lose(A);
  assertEquals(subject.dueIn, 250);
});

Deno.test("the loss of one link does not concern other nodes", () => {
  const subject = new Subject();
  subject.link(A);
  subject.link(B);
  subject.lose(A);
  assertEquals(subject.dialledWithin(1_000), new Set(["h1:9000"]));
});

// Seeds and learnt nodes.

Deno.test("a seed is dialled for ever", () => {
  const subject = new Subject();
  subject.seeds(A, B);
  subject.now += 10 * FORGET_AFTER;
  assertEquals(subject.failDue(), [A, B]);
  subject.dialledWithin(100 * FORGET_AFTER);
  assertEquals(subject.dialledWithin(30_000), new Set(["h1:9000", "h2:9000"]));
});

Deno.test("a seed that says goodbye waits for its return, longer and longer", () => {
  const subject = new Subject();
  subject.seeds(A);
  subject.due();
  subject.succeed(A);
  subject.depart(A);
  for (const delay of [500, 1_000, 2_000]) {
    assertEquals(subject.dueIn, delay);
    subject.now += delay;
    subject.failDue();
  }
  assertEquals(subject.dialledWithin(10 * FORGET_AFTER), new Set(["h1:9000"]));
});

Deno.test("a learnt node that says goodbye is forgotten at once", () => {
  const subject = new Subject();
  subject.learn(A);
  subject.due();
  subject.succeed(A);
  subject.link(B);
  subject.depart(A);
  subject.depart(B);
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);
});

Deno.test("a learnt node is dialled until it has been away for forgetAfterMs", () => {
  const subject = new Subject();
  subject.learn(A);
  subject.due();
  subject.succeed(A);
  subject.now += 10 * FORGET_AFTER;
  subject.lose(A);

  subject.dialledWithin(FORGET_AFTER - 30_000);
  assertEquals(subject.dialledWithin(30_000), new Set(["h1:9000"]));
  subject.dialledWithin(30_000);
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);
});

Deno.test("a learnt node that was never reached is forgotten too", () => {
  const subject = new Subject();
  subject.learn(A);
  subject.dialledWithin(FORGET_AFTER + 30_000);
  assertEquals(subject.dueIn, undefined);
});

Deno.test("a node is not forgotten at forgetAfterMs, but after it", () => {
  const subject = new Subject({ forgetAfterMs: 500 });
  subject.learn(A);
  subject.failDue();
  subject.now += 500;
  assertEquals(subject.failDue(), [A]);
  subject.now += 1_000;
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);
});

Deno.test("time that a node was linked does not count as away, even if nobody asked meanwhile", () => {
  const subject = new Subject();
  subject.link(A);
  subject.now += 10 * FORGET_AFTER;
  subject.lose(A);
  subject.now += 250;
  assertEquals(subject.due(), [A]);
});

Deno.test("a node is not kept because others tell of it again and again", () => {
  const subject = new Subject();
  subject.learn(A);
  for (let waited = 0; waited < FORGET_AFTER; waited += 30_000) {
    subject.dialledWithin(30_000);
    subject.learn(A);
  }
  subject.dialledWithin(30_000);
  assertEquals(subject.dueIn, undefined);
});

Deno.test("a node that is no longer a seed is forgotten like a learnt node", () => {
  const subject = new Subject();
  subject.seeds(A, B);
  subject.dialledWithin(60_000);
  subject.seeds(B);
  assertEquals(subject.dialledWithin(60_000), new Set(["h1:9000", "h2:9000"]));
  subject.dialledWithin(FORGET_AFTER);
  assertEquals(subject.dialledWithin(60_000), new Set(["h2:9000"]));
});

Deno.test("a learnt node can become a seed", () => {
  const subject = new Subject({ maxLearnt: 1 });
  subject.learn(A);
  subject.seeds(A);
  assert(subject.learn(B), "A is no learnt node any more");
  subject.dialledWithin(10 * FORGET_AFTER);
  assertEquals(subject.dialledWithin(30_000), new Set(["h1:9000"]));
});

Deno.test("seeds that are set again go on waiting where they were", () => {
  const subject = new Subject();
  subject.seeds(A);
  subject.failDue();
  subject.seeds(A);
  assertEquals(subject.dueIn, 500);
});

Deno.test("maxLearnt limits learnt nodes, and seeds and links need no place among them", () => {
  const subject = new Subject({ maxLearnt: 2 });
  subject.seeds(A);
  assert(subject.learn(B));
  assert(subject.learn(C));
  assert(!subject.learn(D));
  assert(subject.learn(A) && subject.learn(B), "these are known");
  assertEquals(subject.due(), [A, B, C]);

  // A link counts for itself, so that it is redialled once it is lost.
  subject.link(D);
  subject.lose(D);
  subject.now += 250;
  assertEquals(subject.due(), [D]);
});

Deno.test("a forgotten node makes room for another", () => {
  const subject = new Subject({ maxLearnt: 1 });
  subject.link(A);
  assert(!subject.learn(B));
  subject.depart(A);
  assert(subject.learn(B));
  subject.dialledWithin(FORGET_AFTER + 30_000);
  assert(subject.learn(C));
  assertEquals(subject.due(), [C]);
});

// Own addresses.

Deno.test("the address of this node itself is never dialled", () => {
  const subject = new Subject({ own: A });
  subject.seeds(A, B);
  subject.learn(A);
  subject.link({ ...A, name: "someone@h1:9000" });
  assertEquals(subject.due(), [B]);
});

Deno.test("nodes that come and go under new names do not add up, because the oldest are forgotten", () => {
  const subject = new Subject({ maxLearnt: 3 });
  subject.seeds(D);
  for (let i = 0; i < 100; i++) {
    const target = parseTarget(`n${i}@h:${i + 1}`);
    subject.link(target);
    if (i > 0) subject.lose(target);
  }
  // The one that is still linked has not given way, however long it has been there.
  subject.lose(parseTarget("n0@h:1"));
  const dialled = subject.dialledWithin(60_000);
  assert(dialled.has("h:1"));
  assertEquals(dialled.size, 3 + 1);
});

// Names that change.

Deno.test("a node that comes back under another name is dialled by that name", () => {
  const renamed = { ...A, name: "other@h1:9000" };
  const subject = new Subject();
  subject.learn(A);
  subject.failDue();
  subject.learn(renamed);
  subject.now += 500;
  assertEquals(subject.due(), [renamed]);
  subject.succeed(renamed);
  assertEquals(subject.due(), []);
  subject.lose(renamed);
  subject.now += 30_000;
  assertEquals(subject.due(), [renamed]);
});

Deno.test("a name that others tell does not replace the name of a linked node", () => {
  const subject = new Subject();
  subject.link(A);
  assert(subject.learn({ ...A, name: "former@h1:9000" }));
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);
  subject.lose(A);
  subject.now += 250;
  assertEquals(subject.due(), [A]);
});

Deno.test("a seed is dialled by the name in the seeds, whatever others say", () => {
  const seed = parseTarget("h1:9000");
  const subject = new Subject();
  subject.seeds(seed);
  subject.learn(A);
  assertEquals(subject.due(), [seed]);
});

Deno.test("a host is known by the names of the nodes on it, and by where they were last linked", () => {
  const subject = new Subject();
  const isKnown = (hostname: string) => subject.known.isKnownHost(hostname);
  subject.seeds(parseTarget("10.0.0.1:9000"));
  subject.learn(parseTarget("b@10.0.0.2:9000"));
  assertEquals(["10.0.0.1", "::ffff:10.0.0.2", "10.0.0.3"].map(isKnown), [true, true, false]);
  const behindNat = parseNodeName("c@inside:9000");
  subject.known.linked(behindNat, START, subject.isLinked, { remoteHost: "::ffff:10.0.0.3" });
  assertEquals(["10.0.0.3", "::ffff:10.0.0.3", "inside"].map(isKnown), [true, true, true]);
  subject.depart(behindNat);
  assertEquals(["10.0.0.3", "inside", "10.0.0.1"].map(isKnown), [false, false, true]);
});

Deno.test("news of an unknown node changes nothing", () => {
  const subject = new Subject();
  subject.fail(A);
  subject.lose(A);
  subject.depart(A);
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);
});

// Any course of events.

const ALIAS = parseTarget("alias:9000");
const SEEDABLE = [A, B, C, D, ALIAS, OWN, parseTarget("h3:9000")];

const index = fc.nat({ max: 3 });
const event = fc.oneof(
  fc.subarray(SEEDABLE).map((seeds) => ({ kind: "seeds" as const, seeds })),
  fc.record({ kind: fc.constantFrom("learn", "link", "depart"), index }),
  fc.record({ kind: fc.constant("lose" as const), index, lastedMs: fc.nat({ max: 20_000 }) }),
  fc.record({ kind: fc.constant("answer" as const), index, succeeds: fc.boolean() }),
  fc.record({
    kind: fc.constant("pass" as const),
    ms: fc.oneof(fc.nat({ max: 600 }), fc.nat({ max: 40_000 })),
  }),
  fc.record({ kind: fc.constant("next" as const) }),
  fc.record({ kind: fc.constant("due" as const), max: fc.oneof(index, fc.constant(Infinity)) }),
);
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

/** Plays events, and checks what is due whenever that is asked. */
class Course extends Subject {
  readonly #dials: Target[] = [];
  #seeds: Target[] = [];
  /** Seeds that have been ones since they were dialled, so that their dials are remembered. */
  readonly #dialledSeeds = new Set<string>();
  readonly #nodes = [A, B, C, D];

  play(event: Event): void {
    switch (event.kind) {
      case "seeds": {
        this.seeds(...event.seeds);
        this.#seeds = event.seeds;
        const addresses = new Set(event.seeds.map(formatAddress));
        for (const seed of this.#dialledSeeds) {
          if (!addresses.has(seed)) this.#dialledSeeds.delete(seed);
        }
        return;
      }
      case "answer":
        return this.#answer(event.index, event.succeeds);
      case "pass":
        this.now += event.ms;
        return;
      case "next":
        return this.checkNext();
      case "due":
        this.checkDue(event.max);
        return;
      default: {
        const node = this.#nodes[event.index];
        const linked = this.links.has(node.name ?? "");
        if (event.kind === "learn") this.learn(node);
        else if (event.kind === "link" && !linked) this.link(node);
        else if (event.kind === "depart" && linked) this.depart(node);
        else if (event.kind === "lose" && linked && "lastedMs" in event) {
          this.lose(node, event.lastedMs);
        }
      }
    }
  }

  checkDue(max: number): Target[] {
    const targets = this.due(max);
    assert(targets.length <= max);
    const addresses = targets.map(formatAddress);
    assertEquals(new Set(addresses).size, addresses.length);
    for (const target of targets) {
      assert(target.name === undefined || !this.links.has(target.name), "dialled though linked");
      const address = formatAddress(target);
      assert(!this.#dialledSeeds.has(address), "dialled twice at a time");
      if (this.#seeds.some((seed) => formatAddress(seed) === address)) {
        this.#dialledSeeds.add(address);
      }
    }
    this.#dials.push(...targets);
    // Whoever waits until then does not wait in vain, nor spins.
    if (max === Infinity) assert((this.dueIn ?? Infinity) > 0, "due, but not handed out");
    return targets;
  }

  /** Waits until something should be due. */
  checkNext(): void {
    const next = this.known.nextDueAt(this.isLinked);
    if (next === undefined) {
      assertEquals(this.due(), []);
      return;
    }
    this.now = Math.max(this.now, next);
    // A node that is forgotten rather than dialled was what had been waited for.
    const targets = this.checkDue(Infinity);
    assert(targets.length > 0 || this.known.nextDueAt(this.isLinked) !== next);
  }

  /** All that is up goes down: from here on only seeds and what is not yet forgotten matters. */
  endAll(): void {
    while (this.#dials.length > 0) this.#answer(0, false);
    for (const node of this.#nodes) if (this.links.has(node.name ?? "")) this.lose(node);
    assertEquals(this.links.size, 0);
  }

  get seedAddresses(): Set<string> {
    const addresses = new Set(this.#seeds.map(formatAddress));
    addresses.delete(formatAddress(OWN));
    return addresses;
  }

  #answer(index: number, succeeds: boolean): void {
    const [target] = this.#dials.splice(index, 1);
    if (target === undefined) return;
    const address = formatAddress(target);
    this.#dialledSeeds.delete(address);
    if (succeeds && address !== formatAddress(OWN)) {
      const node = this.#nodes.find((node) => formatAddress(node) === address) ?? A;
      return this.succeed(target, node);
    }
    this.fail(target);
  }
}

Deno.test("property: no node is dialled while it is linked or being dialled, none waits in vain, and seeds are redialled for ever", () => {
  const fractions = fc.infiniteStream(
    fc.oneof(fc.constantFrom(0.001, 0.999), fc.double({ min: 0.001, max: 0.999, noNaN: true })),
  );
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 150, size: "max" }),
      fractions,
      fc.integer({ min: 1, max: 4 }),
      (events, fractions, maxLearnt) => {
        const fraction = () => fractions.next().value;
        const course = new Course({ maxLearnt, forgetAfterMs: 60_000, fraction });
        for (const event of events) course.play(event);
        course.endAll();

        course.checkDue(Infinity);
        course.endAll();
        course.dialledWithin(60_000 + 30_000);
        const remaining = course.dialledWithin(30_000);
        // Of itself a node learns on the first dial, and never tries again.
        remaining.delete(formatAddress(OWN));
        assertEquals(remaining, course.seedAddresses);
      },
    ),
    { numRuns: 300 },
  );
});

// Addresses of its own.

Deno.test("a node does not dial an address that has become its own, known or learnt later", () => {
  const subject = new Subject();
  subject.seeds(A);
  subject.learn(B);
  for (const target of [A, B]) subject.known.own(target);
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);
  subject.seeds(A);
  subject.learn(B);
  assertEquals([subject.due(), subject.dueIn], [[], undefined]);
});

Deno.test("a node that must not be linked is forgotten, and only a seed is dialled again", () => {
  const subject = new Subject();
  subject.seeds(A);
  subject.learn(B);
  for (const target of subject.due()) {
    subject.known.failed(target, subject.now, { forget: true });
  }
  assertEquals(subject.dialledWithin(FORGET_AFTER / 2), new Set(["h1:9000"]));
});
