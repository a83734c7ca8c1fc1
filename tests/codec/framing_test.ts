import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { concat, equals } from "@std/bytes";
import fc from "fast-check";
import {
  encodeFrame,
  FrameDecoder,
  FrameError,
  HANDSHAKE_MAX_FRAME_BYTES,
  readFrameLength,
  SESSION_MAX_FRAME_BYTES,
  writeFrame,
} from "../../codec/mod.ts";
import { embedded } from "../_arbitraries.ts";
import { assertFrameError } from "./_assert.ts";

const MIB = 1024 * 1024;

Deno.test("a frame is the length in four little-endian bytes, followed by the payload", () => {
  assertEquals(encodeFrame(Uint8Array.of(7, 8)), Uint8Array.of(2, 0, 0, 0, 7, 8));
  assertEquals(encodeFrame(new Uint8Array()), new Uint8Array(4));
  assertEquals(
    encodeFrame(new Uint8Array(0x01_02_03)).subarray(0, 5),
    Uint8Array.of(0x03, 0x02, 0x01, 0x00, 0x00),
  );
  const large = encodeFrame(new Uint8Array(0x0102_0304));
  assertEquals(large.subarray(0, 4), Uint8Array.of(0x04, 0x03, 0x02, 0x01));
  assertEquals(large.length, 4 + 0x0102_0304);
});

Deno.test("a frame that is written changes only its own bytes", () => {
  const target = new Uint8Array(10).fill(0xee);
  assertEquals(writeFrame(Uint8Array.of(7, 8), target, 2), 8);
  assertEquals(target, Uint8Array.of(0xee, 0xee, 2, 0, 0, 0, 7, 8, 0xee, 0xee));
});

Deno.test("a frame's length is read as unsigned, at its offset, and compared with the limit", () => {
  const bytes = Uint8Array.of(0xee, 0xfe, 0xff, 0xff, 0xff, 0xee);
  assertEquals(readFrameLength(bytes, 1, 0xffff_ffff), 0xffff_fffe);
  assertEquals(readFrameLength(bytes, 1, 0xffff_fffe), 0xffff_fffe);
  assertFrameError(() => readFrameLength(bytes, 1, 0xffff_fffd), "frame-too-long", 1);
  assertEquals(readFrameLength(Uint8Array.of(0, 0, 0, 0), 0, 1), 0);
});

Deno.test("a payload of the largest length is accepted, and one byte more is refused", () => {
  for (const maxLength of [1, 5, HANDSHAKE_MAX_FRAME_BYTES]) {
    const largest = new Uint8Array(maxLength).fill(7);
    assertEquals(read(new FrameDecoder({ maxLength }), [encodeFrame(largest)]).payloads, [largest]);
    const { payloads, error } = read(new FrameDecoder({ maxLength }), [
      encodeFrame(new Uint8Array(maxLength + 1)),
    ]);
    assertEquals([payloads, error?.code, error?.offset], [[], "frame-too-long", 0]);
  }
});

Deno.test("a payload may have 16 MiB by default, and not a byte more", () => {
  assertEquals(SESSION_MAX_FRAME_BYTES, 16 * MIB);
  const decoder = new FrameDecoder();
  assertEquals([...decoder.push(header(16 * MIB))], []);
  const payload = new Uint8Array(16 * MIB).fill(7);
  const [received] = decoder.push(payload);
  assert(equals(received, payload));
  assertFrameError(() => decoder.push(header(16 * MIB + 1)), "frame-too-long", 4 + 16 * MIB);
});

Deno.test("lengths from 2³¹ are read as unsigned", () => {
  for (const length of [0x8000_0000, 0xffff_ffff]) {
    assertFrameError(() => new FrameDecoder().push(header(length)), "frame-too-long", 0);
    const patient = new FrameDecoder({ maxLength: 0xffff_ffff });
    assertEquals([...patient.push(header(length))], []);
    assertEquals([...patient.push(new Uint8Array(100))], []);
    assertFrameError(() => patient.finish(), "truncated", 104);
  }
});

Deno.test("a maximum length that is not an integer from 1 to 2³²−1 is refused", () => {
  for (const maxLength of [0, -1, 1.5, NaN, Infinity, 2 ** 32]) {
    const error = assertThrows(() => new FrameDecoder({ maxLength }), RangeError);
    assert(!(error instanceof FrameError));
    assert(error.message.includes("maxLength") && error.message.includes(`${maxLength}`));
  }
  for (const maxLength of [1, 2 ** 32 - 1, undefined]) new FrameDecoder({ maxLength });
});

Deno.test("empty frames are skipped, however they are cut", () => {
  const stream = concat([header(0), header(0), encodeFrame(Uint8Array.of(7)), header(0)]);
  for (let size = 1; size <= stream.length; size++) {
    const decoder = new FrameDecoder();
    assertEquals(read(decoder, slices(stream, size)).payloads, [Uint8Array.of(7)]);
    decoder.finish();
  }
});

Deno.test("a length above the limit is refused with its last byte, before any payload has come", () => {
  const decoder = new FrameDecoder({ maxLength: 4096 });
  const bytes = header(4097);
  for (const byte of bytes.subarray(0, 3)) assertEquals([...decoder.push(Uint8Array.of(byte))], []);
  assertFrameError(() => decoder.push(bytes.subarray(3)), "frame-too-long", 0);
});

Deno.test("frames before a too long one in the same chunk come out before the error", () => {
  const decoder = new FrameDecoder({ maxLength: 2 });
  const chunk = concat([
    encodeFrame(Uint8Array.of(1)),
    encodeFrame(Uint8Array.of(2, 2)),
    encodeFrame(Uint8Array.of(3, 3, 3)),
    encodeFrame(Uint8Array.of(4)),
  ]);
  const payloads: Uint8Array[] = [];
  assertFrameError(
    () => {
      for (const payload of decoder.push(chunk)) payloads.push(payload);
    },
    "frame-too-long",
    11,
  );
  assertEquals(payloads, [Uint8Array.of(1), Uint8Array.of(2, 2)]);
});

Deno.test("a decoder throws the same error for ever after the first", () => {
  const faulty = encodeFrame(Uint8Array.of(3, 3, 3));
  const withPayload = new FrameDecoder({ maxLength: 2 });
  // The error waits behind a payload that nobody asks for.
  withPayload.push(concat([encodeFrame(Uint8Array.of(1)), faulty]));
  const withoutPayload = new FrameDecoder({ maxLength: 2 });
  assertFrameError(() => withoutPayload.push(faulty), "frame-too-long", 0);
  const ended = new FrameDecoder();
  ended.push(Uint8Array.of(1));
  assertFrameError(() => ended.finish(), "truncated", 1);

  for (const decoder of [withPayload, withoutPayload, ended]) {
    const error = assertFrameError(
      () => decoder.finish(),
      decoder === ended ? "truncated" : "frame-too-long",
    );
    for (const chunk of [encodeFrame(Uint8Array.of(1)), new Uint8Array()]) {
      assertStrictEquals(assertFrameError(() => decoder.push(chunk), error.code), error);
    }
    assertStrictEquals(assertFrameError(() => decoder.finish(), error.code), error);
  }
});

Deno.test("a stream that ends inside a frame is truncated, and one that ends between frames is not", () => {
  const stream = concat([
    encodeFrame(Uint8Array.of(1, 2, 3)),
    header(0),
    encodeFrame(Uint8Array.of(4)),
  ]);
  const ends = [0, 7, 11, 16];
  for (let length = 0; length <= stream.length; length++) {
    for (const size of [1, 2, 100]) {
      const decoder = new FrameDecoder();
      read(decoder, slices(stream.subarray(0, length), size));
      if (ends.includes(length)) decoder.finish();
      else assertFrameError(() => decoder.finish(), "truncated", length);
    }
  }
});

Deno.test("a chunk is taken in whether or not its payloads are read", () => {
  const decoder = new FrameDecoder();
  decoder.push(concat([encodeFrame(Uint8Array.of(1)), Uint8Array.of(2, 0)]));
  assertEquals([...decoder.push(Uint8Array.of(0, 0, 8, 9))], [Uint8Array.of(8, 9)]);
  decoder.finish();
});

Deno.test("a payload within one chunk is a view of that chunk", () => {
  const decoder = new FrameDecoder();
  const chunk = concat([encodeFrame(Uint8Array.of(1, 2)), header(2).subarray(0, 3)]);
  const [first] = decoder.push(chunk);
  assertStrictEquals(first.buffer, chunk.buffer);
  assertEquals(first.byteOffset, chunk.byteOffset + 4);

  // Only its header was in the chunk before.
  const next = Uint8Array.of(0, 3, 4);
  const [second] = decoder.push(next);
  assertEquals(second, Uint8Array.of(3, 4));
  assertStrictEquals(second.buffer, next.buffer);
});

Deno.test("a payload across chunks owns its memory, which holds nothing else", () => {
  for (const size of [3, 99, 64 * 1024 + 2, MIB + 2]) {
    const payload = new Uint8Array(size).map((_, i) => i * 31);
    // The first third says nothing of what is to come.
    const frame = encodeFrame(payload);
    const head = frame.slice(0, 4 + size / 3);
    const tail = frame.slice(4 + size / 3);
    const decoder = new FrameDecoder();
    assertEquals([...decoder.push(head)], []);
    const [received] = decoder.push(tail);
    assertNotStrictEquals(received.buffer, head.buffer);
    assertNotStrictEquals(received.buffer, tail.buffer);
    assertEquals(received.buffer.byteLength, size);
    head.fill(0xee);
    tail.fill(0xee);
    assert(equals(received, payload));
  }
});

Deno.test("the decoder holds memory for bytes that have arrived, not for announced ones", () => {
  const arrived = new Uint8Array(100 * 1024);
  const decoders = Array.from({ length: 100 }, () => new FrameDecoder());
  for (const decoder of decoders) {
    decoder.push(header(16 * MIB));
    decoder.push(arrived);
  }
  // Announced are 1,600 MiB. What others have left behind counts here too, and may be collected
  // meanwhile: so no difference is taken.
  const { external } = Deno.memoryUsage();
  assert(external < 800 * MIB, `${external} bytes are held`);
  for (const decoder of decoders) assertFrameError(() => decoder.finish(), "truncated");
});

Deno.test("a stream gives the same payloads however it is cut into chunks", () => {
  fc.assert(
    fc.property(streamInChunks, ({ stream, chunks, maxLength }) => {
      const whole = read(new FrameDecoder({ maxLength }), [stream]);
      assertEquals(whole, parse(stream, maxLength));
      assertEquals(read(new FrameDecoder({ maxLength }), chunks), whole);
      assertEquals(read(new FrameDecoder({ maxLength }), slices(stream, 1)), whole);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("large payloads come whole out of chunks of any size", () => {
  const size = fc.integer({ min: 0, max: 300_000 });
  const chunkSize = fc.integer({ min: 1000, max: 200_000 });
  fc.assert(
    fc.property(fc.array(size, { maxLength: 4 }), chunkSize, (sizes, chunkSize) => {
      const payloads = sizes.map((size, n) => new Uint8Array(size).map((_, i) => i * 31 + n));
      const received = read(
        new FrameDecoder(),
        slices(concat(payloads.map(encodeFrame)), chunkSize),
      );
      const expected = payloads.filter((payload) => payload.length > 0);
      assertEquals(received.error, undefined);
      assertEquals(received.payloads.length, expected.length);
      for (const [i, payload] of received.payloads.entries()) assert(equals(payload, expected[i]));
    }),
    { numRuns: 30 },
  );
});

Deno.test("a view of a larger buffer is read as if it stood alone", () => {
  const payloads = fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 5 });
  const cases = payloads.chain((payloads) =>
    fc.tuple(fc.constant(payloads), embedded(concat(payloads.map(encodeFrame))))
  );
  fc.assert(fc.property(cases, ([payloads, stream]) => {
    const decoder = new FrameDecoder();
    assertEquals(read(decoder, [stream]).payloads, payloads);
    decoder.finish();
  }));
});

/** What a reader of a stream has in the end. */
interface Received {
  readonly payloads: Uint8Array[];
  readonly error?: { readonly code: string; readonly offset: number };
}

/** Reads chunk after chunk and makes each unusable behind the decoder. */
function read(decoder: FrameDecoder, chunks: readonly Uint8Array[]): Received {
  const payloads: Uint8Array[] = [];
  try {
    for (const original of chunks) {
      const chunk = original.slice();
      for (const payload of decoder.push(chunk)) payloads.push(payload.slice());
      chunk.fill(0xee);
    }
  } catch (error) {
    assertInstanceOf(error, FrameError);
    const { code, offset } = error as FrameError;
    return { payloads, error: { code, offset } };
  }
  return { payloads };
}

/** What {@linkcode FrameDecoder} has to do, for one that has the whole stream at hand. */
function parse(stream: Uint8Array, maxLength: number): Received {
  const payloads: Uint8Array[] = [];
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  for (let at = 0; at + 4 <= stream.length;) {
    const length = view.getUint32(at, true);
    if (length > maxLength) return { payloads, error: { code: "frame-too-long", offset: at } };
    if (at + 4 + length > stream.length) break;
    if (length > 0) payloads.push(stream.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { payloads };
}

/** Some frames, at times an over-long or unfinished one among them, and a way to cut them. */
const streamInChunks = fc
  .record({
    pieces: fc.array(
      fc.oneof(
        { weight: 8, arbitrary: fc.uint8Array({ maxLength: 12 }).map(encodeFrame) },
        { weight: 1, arbitrary: fc.integer({ min: 11, max: 14 }).map(header) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 6 }) },
      ),
      { maxLength: 8 },
    ),
    cuts: fc.array(fc.nat({ max: 100 }), { maxLength: 12 }),
    maxLength: fc.integer({ min: 9, max: 14 }),
  })
  .map(({ pieces, cuts, maxLength }) => {
    const stream = concat(pieces);
    const bounds = [0, ...cuts.map((cut) => Math.min(cut, stream.length)), stream.length];
    bounds.sort((a, b) => a - b);
    // Two equal cuts make an empty chunk.
    const chunks = bounds.slice(1).map((end, i) => stream.subarray(bounds[i], end));
    return { stream, chunks, maxLength };
  });

function header(length: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, length, true);
  return bytes;
}

function slices(bytes: Uint8Array, size: number): Uint8Array[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

Deno.test("a payload whose length does not fit four bytes has no frame", () => {
  // Four GiB that nobody has to find memory for.
  const payload: Uint8Array = Object.create(Uint8Array.prototype, { length: { value: 2 ** 32 } });
  assertFrameError(() => encodeFrame(payload), "frame-too-long", 0);
});
