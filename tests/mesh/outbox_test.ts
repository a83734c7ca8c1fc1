import { assert, assertEquals } from "@std/assert";
import { equals } from "@std/bytes";
import fc from "fast-check";
import { FRAME_HEADER_BYTES, FrameDecoder } from "../../codec/mod.ts";
import { Outbox } from "../../mesh/outbox.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const URGENT = 0xff;

/** Cuts bytes, which must be whole frames, back into payloads. */
function payloadsOf(bytes: Uint8Array): Uint8Array[] {
  const decoder = new FrameDecoder({ maxLength: 0xffff_ffff });
  const payloads = [...decoder.push(bytes)];
  decoder.finish();
  return payloads;
}

/** Takes and writes all that waits, and gives the payloads in order. */
function drain(outbox: Outbox): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  for (let bytes = outbox.take(); bytes; bytes = outbox.take()) {
    payloads.push(...payloadsOf(bytes.slice()));
    outbox.written();
  }
  return payloads;
}

function assertPayloads(actual: Uint8Array[], expected: Uint8Array[]): void {
  assertEquals(actual.length, expected.length);
  for (const [i, payload] of actual.entries()) {
    assert(equals(payload, expected[i]), `payload ${i} of ${expected.length} differs`);
  }
}

function filled(size: number, byte: number): Uint8Array {
  return new Uint8Array(size).fill(byte);
}

Deno.test("an empty outbox has nothing to take", () => {
  const outbox = new Outbox(100);
  assertEquals([outbox.take(), outbox.queuedBytes], [undefined, 0]);
  outbox.written();
  assertEquals([outbox.take(), outbox.queuedBytes], [undefined, 0]);
});

Deno.test("pushed payloads come out as frames, in order, several in one piece", () => {
  const outbox = new Outbox(MIB);
  assert(outbox.push(Uint8Array.of(7, 8)));
  assert(outbox.push(new Uint8Array()));
  assert(outbox.push(Uint8Array.of(9)));

  assertEquals(outbox.take(), Uint8Array.of(2, 0, 0, 0, 7, 8, 0, 0, 0, 0, 1, 0, 0, 0, 9));
  outbox.written();
  assertEquals(outbox.take(), undefined);
});

Deno.test("a payload is copied, so its owner may reuse the memory at once", () => {
  const outbox = new Outbox(MIB);
  const payload = Uint8Array.of(1, 2, 3);
  outbox.push(payload);
  outbox.pushUrgent(payload);
  payload.fill(0);
  assertEquals(drain(outbox), [Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3)]);
});

Deno.test("a payload that is a view is taken alone, without the rest of its buffer", () => {
  const outbox = new Outbox(MIB);
  const view = Uint8Array.of(0, 1, 2, 3, 0).subarray(1, 4);
  outbox.push(view);
  outbox.pushUrgent(view);
  assertEquals(drain(outbox), [Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3)]);
});

Deno.test("queued bytes count the frames until they are written", () => {
  const outbox = new Outbox(MIB);
  outbox.push(filled(10, 1));
  outbox.push(filled(20, 2));
  assertEquals(outbox.queuedBytes, 38);

  outbox.take();
  assertEquals(outbox.queuedBytes, 38);
  outbox.push(filled(30, 3));
  assertEquals(outbox.queuedBytes, 72);

  outbox.written();
  assertEquals(outbox.queuedBytes, 34);
  outbox.written();
  assertEquals(outbox.queuedBytes, 34);
  drain(outbox);
  assertEquals(outbox.queuedBytes, 0);
});

Deno.test("a payload that does not fit is not queued, and one that fits exactly is", () => {
  const outbox = new Outbox(100);
  assert(outbox.push(filled(50, 1)));
  assert(!outbox.push(filled(43, 2)));
  assert(outbox.push(filled(38, 3)));
  assert(outbox.push(new Uint8Array()));
  assertEquals(outbox.queuedBytes, 100);
  assert(!outbox.push(new Uint8Array()));
  assertPayloads(drain(outbox), [filled(50, 1), filled(38, 3)]);
});

Deno.test("a payload of any size fits an empty outbox, and then nothing else does until it is written", () => {
  for (const size of [97, 200 * KIB, 256 * KIB, 3 * MIB]) {
    const outbox = new Outbox(100);
    assert(outbox.push(filled(size, 1)));
    assertEquals(outbox.queuedBytes, FRAME_HEADER_BYTES + size);
    assert(!outbox.push(new Uint8Array()));

    const [payload] = payloadsOf(outbox.take() ?? new Uint8Array());
    assert(equals(payload, filled(size, 1)));
    assert(!outbox.push(new Uint8Array()));

    outbox.written();
    assertEquals(outbox.queuedBytes, 0);
    assert(outbox.push(filled(size, 2)));
    assertPayloads(drain(outbox), [filled(size, 2)]);
  }
});

Deno.test("no piece with several frames is larger than 256 KiB", () => {
  const outbox = new Outbox(100 * MIB);
  const sizes = [100 * KIB, 200 * KIB, 1, 256 * KIB - 4, 256 * KIB, 300 * KIB, 10, 20];
  sizes.forEach((size, i) => assert(outbox.push(filled(size, i))));
  const pieces: Uint8Array[][] = [];
  for (let bytes = outbox.take(); bytes; bytes = outbox.take()) {
    const payloads = payloadsOf(bytes.slice());
    assert(bytes.length <= 256 * KIB || payloads.length === 1, `${bytes.length} bytes`);
    pieces.push(payloads);
    outbox.written();
  }
  assertPayloads(pieces.flat(), sizes.map(filled));
  assert(pieces.length < sizes.length, "small frames travel together");
});

// Urgent frames.

Deno.test("urgent frames overtake all frames that are not being written, and keep their own order", () => {
  const outbox = new Outbox(MIB);
  outbox.push(Uint8Array.of(1));
  assertEquals(payloadsOf(outbox.take() ?? new Uint8Array()), [Uint8Array.of(1)]);
  outbox.push(Uint8Array.of(2));
  outbox.pushUrgent(Uint8Array.of(3));
  outbox.pushUrgent(Uint8Array.of(4));
  outbox.written();
  assertEquals(drain(outbox), [3, 4, 2].map((byte) => Uint8Array.of(byte)));
});

Deno.test("an urgent frame goes between segments, never into one", () => {
  const outbox = new Outbox(10 * MIB);
  for (let i = 0; i < 10; i++) outbox.push(filled(100 * KIB, i));
  const order: number[] = [];
  for (let bytes = outbox.take(); bytes; bytes = outbox.take()) {
    // Each piece consists of whole frames, or this would fail.
    const payloads = payloadsOf(bytes.slice());
    order.push(...payloads.map(([byte]) => byte));
    if (payloads[0][0] !== URGENT) outbox.pushUrgent(Uint8Array.of(URGENT));
    outbox.written();
  }
  assertEquals(order.filter((byte) => byte !== URGENT), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertEquals(order.slice(0, 3), [0, 1, URGENT]);
});

Deno.test("urgent frames fit however full the outbox is, and are not counted", () => {
  const outbox = new Outbox(10);
  outbox.push(filled(100, 1));
  assert(!outbox.push(new Uint8Array()));
  assert(outbox.pushUrgent(filled(9, URGENT)));
  assertEquals(outbox.queuedBytes, 104);
  assertEquals(drain(outbox), [filled(9, URGENT), filled(100, 1)]);
  assertEquals(outbox.queuedBytes, 0);
});

Deno.test("the outbox holds at most 64 urgent frames, and drops those beyond", () => {
  const outbox = new Outbox(MIB);
  for (let i = 0; i < 64; i++) assert(outbox.pushUrgent(Uint8Array.of(i)));
  assert(!outbox.pushUrgent(Uint8Array.of(64)));
  assert(outbox.push(Uint8Array.of(200)));

  assertEquals(payloadsOf(outbox.take() ?? new Uint8Array()), [Uint8Array.of(0)]);
  outbox.written();
  assert(outbox.pushUrgent(Uint8Array.of(65)));
  assert(!outbox.pushUrgent(Uint8Array.of(66)));

  const order = drain(outbox).map(([byte]) => byte);
  assertEquals(order, [...Array.from({ length: 63 }, (_, i) => i + 1), 65, 200]);
});

// Memory.

Deno.test("bytes that are being written do not change, whatever is pushed meanwhile", () => {
  const outbox = new Outbox(10 * MIB);
  for (let round = 0; round < 5; round++) {
    outbox.push(filled(1_000, round));
    const bytes = outbox.take() ?? new Uint8Array();
    const before = bytes.slice();
    for (let i = 0; i < 3; i++) assert(outbox.push(filled(150 * KIB, 0xee)));
    assert(outbox.pushUrgent(filled(9, URGENT)));
    assert(equals(bytes, before));
    outbox.written();
    drain(outbox);
  }
});

Deno.test("two segments take turns while a link keeps up", () => {
  const outbox = new Outbox(10 * MIB);
  const buffers = new Set<unknown>();
  outbox.push(filled(1_000, 0));
  for (let i = 1; i < 100; i++) {
    buffers.add(outbox.take()?.buffer);
    outbox.push(filled(1_000, i));
    outbox.written();
  }
  assertEquals(buffers.size, 2);
});

Deno.test("while something waits, the memory of written segments is used again", () => {
  const outbox = new Outbox(2 * MIB);
  const segment = filled(250 * KIB, 1);
  /** Writes one of those that wait, and tells which memory it lies in. */
  const write = () => {
    const memory = outbox.take()?.buffer;
    outbox.written();
    return memory;
  };
  for (let i = 0; i < 4; i++) outbox.push(segment);
  const written = new Set([write(), write(), write()]);
  for (let i = 0; i < 3; i++) outbox.push(segment);
  write();
  const again = new Set([write(), write(), write()]);
  // Not compared by what they hold.
  assertEquals([written.size, again.size, written.intersection(again).size], [3, 3, 3]);
  assertEquals(outbox.take(), undefined);
});

Deno.test("of a long queue that has been written, one segment is kept", () => {
  const outbox = new Outbox(2 * MIB);
  const segment = filled(250 * KIB, 1);
  /** Queues four segments, writes them, and gives the memory they lie in. */
  const fillAndWrite = () => {
    for (let i = 0; i < 4; i++) outbox.push(segment);
    const memories = new Set<ArrayBufferLike>();
    for (let bytes = outbox.take(); bytes; bytes = outbox.take()) {
      memories.add(bytes.buffer);
      outbox.written();
    }
    return memories;
  };
  const [first, second] = [fillAndWrite(), fillAndWrite()];
  assertEquals([first.size, second.size, first.intersection(second).size], [4, 4, 1]);
});

Deno.test("the memory of a very long message is not kept", () => {
  const outbox = new Outbox(10 * MIB);
  outbox.push(filled(5 * MIB, 1));
  const long = outbox.take()?.buffer;
  outbox.written();
  for (let i = 0; i < 3; i++) {
    outbox.push(filled(10, 2));
    const bytes = outbox.take();
    assert(bytes !== undefined && bytes.buffer !== long && bytes.buffer.byteLength <= 256 * KIB);
    outbox.written();
  }
});

// A model: the frames that were accepted, and those that came out.

/** An outbox and what should be in it. Each call is checked. */
class CheckedOutbox {
  readonly #outbox: Outbox;
  readonly #maxBytes: number;
  readonly #accepted: Uint8Array[] = [];
  readonly #acceptedUrgent: Uint8Array[] = [];
  readonly #received: Uint8Array[] = [];
  readonly #stream = new FrameDecoder({ maxLength: 0xffff_ffff });
  /** Sizes of the frames that wait or are being written. */
  readonly #queued: number[] = [];
  #urgentWaiting = 0;
  /** What is being written, what it was when it was taken, and how many of `#queued` it is. */
  #writing: { bytes: Uint8Array; copy: Uint8Array; frames: number } | undefined;

  constructor(maxBytes: number) {
    this.#outbox = new Outbox(maxBytes);
    this.#maxBytes = maxBytes;
  }

  push(payload: Uint8Array): void {
    const size = FRAME_HEADER_BYTES + payload.length;
    const fits = this.#total === 0 || this.#total + size <= this.#maxBytes;
    assertEquals(this.#outbox.push(payload), fits);
    if (!fits) return;
    this.#queued.push(size);
    this.#accepted.push(payload);
  }

  pushUrgent(payload: Uint8Array): void {
    const fits = this.#urgentWaiting < 64;
    assertEquals(this.#outbox.pushUrgent(payload), fits);
    if (!fits) return;
    this.#urgentWaiting++;
    this.#acceptedUrgent.push(payload);
  }

  take(): void {
    if (this.#writing) return;
    const bytes = this.#outbox.take();
    assertEquals(bytes === undefined, this.#queued.length + this.#urgentWaiting === 0);
    if (bytes === undefined) return;
    const copy = bytes.slice();
    let frames = 0;
    if (this.#urgentWaiting > 0) this.#urgentWaiting--;
    else for (let at = 0; at < copy.length; frames++) at += this.#queued[frames];
    this.#writing = { bytes, copy, frames };
    this.#received.push(...this.#stream.push(copy));
    // Nothing is cut in two.
    this.#stream.finish();
  }

  written(): void {
    if (!this.#writing) return;
    const { bytes, copy, frames } = this.#writing;
    assert(equals(bytes, copy), "changed while it was being written");
    this.#outbox.written();
    this.#queued.splice(0, frames);
    this.#writing = undefined;
  }

  assertCount(): void {
    assertEquals(this.#outbox.queuedBytes, this.#total);
    assert(this.#total <= this.#maxBytes || this.#queued.length === 1);
  }

  assertEnd(): void {
    this.written();
    while (this.#queued.length + this.#urgentWaiting > 0) {
      this.take();
      this.written();
    }
    assertEquals([this.#outbox.take(), this.#outbox.queuedBytes], [undefined, 0]);
    const isUrgent = ([byte]: Uint8Array) => byte === URGENT;
    // The decoder skips empty frames, as every receiver does.
    assertPayloads(
      this.#received.filter((payload) => !isUrgent(payload)),
      this.#accepted.filter((payload) => payload.length > 0),
    );
    assertPayloads(this.#received.filter(isUrgent), this.#acceptedUrgent);
  }

  get #total(): number {
    return this.#queued.reduce((sum, size) => sum + size, 0);
  }
}

type Step =
  | { readonly kind: "push" | "pushUrgent"; readonly size: number }
  | { readonly kind: "take" | "written" };

function perform(outbox: CheckedOutbox, step: Step, i: number): void {
  if (step.kind === "push") outbox.push(filled(step.size, i % URGENT));
  else if (step.kind === "pushUrgent") outbox.pushUrgent(filled(1 + step.size, URGENT));
  else outbox[step.kind]();
}

const size = fc.oneof(
  { weight: 8, arbitrary: fc.nat({ max: 60 }) },
  { weight: 2, arbitrary: fc.nat({ max: 3_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(100 * KIB, 256 * KIB - 4, 256 * KIB - 3, 300 * KIB) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("push" as const), size }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("pushUrgent" as const), size: fc.nat({ max: 9 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("take" as const, "written" as const) }),
  },
);
const maxBytes = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.constantFrom(5_000, 600 * KIB));

Deno.test("property: accepted payloads come out whole and in order, and the count is exact and bounded", () => {
  fc.assert(
    fc.property(maxBytes, fc.array(step, { maxLength: 400, size: "max" }), (maxBytes, steps) => {
      const outbox = new CheckedOutbox(maxBytes);
      for (const [i, step] of steps.entries()) {
        perform(outbox, step, i);
        outbox.assertCount();
      }
      outbox.assertEnd();
    }),
    { numRuns: 200 },
  );
});
