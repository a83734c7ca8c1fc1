import { assertEquals } from "@std/assert";
import { clientFrame } from "../../bench/compare/load/client_frame.ts";
import { FrameCounter } from "../../bench/compare/load/frame_counter.ts";

/** The default, and on Linux that of the C library, which the load generator uses. */
const FINDERS = Deno.build.os === "linux"
  ? [undefined, (await import("../../bench/compare/load/libc.ts")).findByte]
  : [undefined];

/** A frame as a server sends it. */
function serverFrame(length: number, opcode = 0x1): Uint8Array<ArrayBuffer> {
  const header = length < 126
    ? [length]
    : length < 65_536
    ? [126, length >> 8, length & 0xff]
    : [127, 0, 0, 0, 0, 0, length >> 16, length >> 8 & 0xff, length & 0xff];
  // A payload that looks like headers.
  return Uint8Array.of(0x80 | opcode, ...header, ...new Uint8Array(length).fill(0x81));
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const LENGTHS = [0, 1, 2, 125, 126, 127, 1_024, 65_535, 65_536, 70_000];

Deno.test("frames of every kind of length are counted", () => {
  const stream = joined(...LENGTHS.map((length) => serverFrame(length)));
  assertEquals(new FrameCounter().push(stream), LENGTHS.length);
});

Deno.test("frames are counted when they are complete, wherever the stream is cut", () => {
  const stream = joined(...[0, 5, 125, 126, 300].map((length) => serverFrame(length)));
  for (const size of [1, 2, 3, 4, 7, 126, 127, 128, 129]) {
    const counter = new FrameCounter();
    let counted = 0;
    for (let at = 0; at < stream.length; at += size) {
      counted += counter.push(stream.subarray(at, at + size));
    }
    assertEquals(counted, 5, `cut every ${size} bytes`);
  }
  const counter = new FrameCounter();
  assertEquals(counter.push(stream.subarray(0, stream.length - 1)), 4);
  assertEquals(counter.push(stream.subarray(stream.length - 1)), 1);
});

Deno.test("the counter reads only the given number of bytes of a buffer", () => {
  const frame = serverFrame(10);
  const buffer = joined(frame, frame, frame);
  assertEquals(new FrameCounter().push(buffer, frame.length * 2), 2);
});

Deno.test("pings, pongs and a close do not count as messages", () => {
  const counter = new FrameCounter();
  const [ping, pong, close] = [0x9, 0xa, 0x8].map((opcode) => serverFrame(2, opcode));
  assertEquals(counter.push(joined(ping, serverFrame(3), pong, ping)), 1);
  assertEquals(counter.signals, { pings: 2, closed: false });
  assertEquals(counter.push(close), 0);
  assertEquals(counter.signals.closed, true);
});

Deno.test("a Socket.IO message of one byte counts as a ping", () => {
  const stream = joined(serverFrame(1), serverFrame(2));
  const counter = new FrameCounter({ pingBytes: 1 });
  assertEquals(counter.push(stream), 1);
  assertEquals(counter.signals.pings, 1);
  assertEquals(new FrameCounter().push(stream), 2);
});

/** Frames as Centrifugo sends them: a message a line. */
function linesFrame(...lines: string[]): Uint8Array<ArrayBuffer> {
  const payload = new TextEncoder().encode(lines.join("\n"));
  return Uint8Array.of(0x81, payload.length, ...payload);
}

Deno.test("each line of a Centrifugo frame counts as a message, wherever the stream is cut", () => {
  const stream = joined(
    linesFrame("one", "two", "{}", "three"),
    linesFrame("four"),
    linesFrame("{}"),
  );
  for (const findByte of FINDERS) {
    for (let size = 1; size <= stream.length; size++) {
      const counter = new FrameCounter({ pingBytes: 2, hasLines: true, findByte });
      counter.watchedBytes = "three".length;
      let counted = 0;
      for (let at = 0; at < stream.length; at += size) {
        counted += counter.push(stream.subarray(at, at + size));
      }
      assertEquals([counted, counter.watched, counter.signals.pings], [4, 1, 2], `cut at ${size}`);
    }
  }
});

Deno.test("a client's frame is masked with zeros, and as long as its text", () => {
  for (const length of [0, 125, 126, 65_535, 65_536]) {
    const frame = clientFrame("x".repeat(length));
    const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8;
    assertEquals(frame.length, 2 + lengthBytes + 4 + length);
    assertEquals(frame[0], 0x81);
    assertEquals(frame[1] & 0x80, 0x80);
    const at = 2 + lengthBytes;
    assertEquals([...frame.subarray(at, at + 4)], [0, 0, 0, 0]);
  }
});
