import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { encodeWebSocketFrame, encodeWebSocketText, OPCODE } from "../../codec/mod.ts";
import { FrameEncoder } from "../../rooms/_frame_encoder.ts";
import { sharedFlush } from "../../websocket/_flush.ts";
import { clientFrame } from "./_raw_client.ts";
import { accept, endAll, type FakeStream, turn } from "./_fake_stream.ts";
import { framesInSlab } from "./_slab_frames.ts";

const frameOf = (size: number) => encodeWebSocketFrame(OPCODE.BINARY, new Uint8Array(size));

Deno.test("the frames that a socket gets in a turn are one write when the turn ends", async () => {
  const { stream, socket } = accept();
  socket.send("a");
  socket.sendFrame(encodeWebSocketText("b"));
  socket.send(Uint8Array.of(3));
  assertEquals(stream.writes, []);
  await turn();
  assertEquals(stream.writes.map((piece) => [...piece]), [
    [0x81, 1, 0x61, 0x81, 1, 0x62, 0x82, 1, 3],
  ]);
  socket.send("c");
  await turn();
  assertEquals(stream.writes.length, 2);
  await endAll(socket);
});

Deno.test("sockets with the same frames share one piece, and others get their own", async () => {
  const all = Array.from({ length: 4 }, () => accept());
  const frames = ["one", "two", "three"].map(encodeWebSocketText);
  // As a room does it: each frame to all members.
  for (const frame of frames) for (const { socket } of all.slice(0, 3)) socket.sendFrame(frame);
  all[3].socket.sendFrame(frames[0]);
  all[3].socket.send("only here");
  await turn();
  const [a, b, c, d] = all.map(({ stream }) => stream.writes);
  assertEquals([a, b, c, d].map((writes) => writes.length), [1, 1, 1, 1]);
  assertStrictEquals(a[0], b[0]);
  assertStrictEquals(b[0], c[0]);
  assertEquals([...d[0]], [...frames[0], ...encodeWebSocketText("only here")]);
  await endAll(...all.map(({ socket }) => socket));
});

Deno.test("the answer to the handshake counts as unsent until the system has taken it", async () => {
  const { stream, socket } = accept();
  stream.writableLength = 129;
  assertEquals(socket.bufferedAmount, 129);
  stream.take();
  assertEquals(socket.bufferedAmount, 0);
  await endAll(socket);
});

Deno.test("a single frame is written without a copy", async () => {
  const { stream, socket } = accept();
  const frame = frameOf(100);
  socket.sendFrame(frame);
  await turn();
  assertStrictEquals(stream.writes[0].buffer, frame.buffer);
  await endAll(socket);
});

Deno.test("large frames are not copied, and leave together with the joined ones around them", async () => {
  const { stream, socket } = accept();
  const [small, large] = [frameOf(100), frameOf(20_000)];
  for (const frame of [small, small, large, small, small]) socket.sendFrame(frame);
  await turn();
  assertEquals(stream.writes.map(({ length }) => length), [204, 20_004, 204]);
  assertStrictEquals(stream.writes[1].buffer, large.buffer);
  assertEquals(stream.corks, 1);
  await endAll(socket);
});

Deno.test("larger frames are joined if that is done for several sockets", async () => {
  const all = [accept(), accept()];
  for (const frame of [frameOf(20_000), frameOf(100), frameOf(20_000)]) {
    for (const { socket } of all) socket.sendFrame(frame);
  }
  await turn();
  const [a, b] = all.map(({ stream }) => stream.writes);
  assertEquals(a.map(({ length }) => length), [2 * 20_004 + 102]);
  assertStrictEquals(a[0], b[0]);
  await endAll(...all.map(({ socket }) => socket));
});

Deno.test("a socket writes 64 KiB before the turn ends, and they no longer count if they were taken", async () => {
  const { stream, socket } = accept();
  const frame = frameOf(1020);
  for (let i = 1; i < 64; i++) socket.sendFrame(frame);
  assertEquals([stream.writes.length, socket.bufferedAmount], [0, 63 * 1024]);
  socket.sendFrame(frame);
  assertEquals([stream.writes.length, socket.bufferedAmount], [1, 0]);
  socket.sendFrame(frame);
  assertEquals([stream.writes.length, socket.bufferedAmount], [1, 1024]);
  await turn();
  assertEquals([stream.writes.length, socket.bufferedAmount], [2, 0]);
  await endAll(socket);
});

Deno.test("a socket is written before short frames exceed 64 KiB", async () => {
  const { stream, socket } = accept();
  const frame = frameOf(1024);
  for (let i = 0; i < 62; i++) socket.sendFrame(frame);
  assertEquals(stream.writes.length, 0);
  socket.sendFrame(frame);
  assertEquals(stream.writes.map(({ length }) => length), [63 * 1028]);
  await endAll(socket);
});

Deno.test("a long frame leaves room for short ones, not for another long one", async () => {
  const { stream, socket } = accept();
  socket.sendFrame(frameOf(40_000));
  socket.sendFrame(frameOf(20_000));
  assertEquals(stream.writes.length, 0);
  socket.sendFrame(frameOf(3_000));
  assertEquals(stream.writes.map(({ length }) => length), [40_004, 20_004, 3_004]);
  await endAll(socket);
});

Deno.test("after a long frame, there is room for 4 KiB", async () => {
  for (const [bytes, writes] of [[60 * 1024, 0], [60 * 1024 + 1, 1]]) {
    const { stream, socket } = accept();
    socket.sendFrame(frameOf(bytes - 4));
    assertEquals(stream.writes.length, writes, `${bytes} bytes`);
    await endAll(socket);
  }
});

/** Each write takes so long. */
function slowDown(stream: FakeStream, ms: number): void {
  const write = stream.write.bind(stream);
  stream.write = (data) => {
    const endsAt = performance.now() + ms;
    while (performance.now() < endsAt);
    return write(data);
  };
}

Deno.test("sockets wait for the end of the turn, up to 128 KiB, when early writes have taken 10 ms", async () => {
  const all = Array.from({ length: 40 }, () => accept());
  for (const { stream } of all) slowDown(stream, 2);
  const frame = frameOf(1020);
  const sent: Uint8Array[] = [];
  const sendAll = (frames: number) => {
    for (let i = 0; i < frames; i++) {
      for (const { socket } of all) socket.sendFrame(frame);
      sent.push(frame);
    }
  };
  const written = () => all.filter(({ stream }) => stream.writes.length > 0).length;
  sendAll(64);
  const early = written();
  assert(early >= 1 && early <= 7, `${early} written early`);
  sendAll(63);
  assertEquals([written(), all[39].socket.bufferedAmount], [early, 127 * 1024]);
  sendAll(1);
  assertEquals([written(), all[39].socket.bufferedAmount], [40, 0]);
  await turn();
  for (const { stream } of all) assert(stream.written.equals(Buffer.concat(sent)));
  await endAll(...all.map(({ socket }) => socket));
});

Deno.test("streams that drain in the same turn are written for 10 ms, and in later turns", async () => {
  const all = Array.from({ length: 20 }, () => accept());
  await turn();
  const drains = all.map(() => 0);
  for (const [i, { stream, socket }] of all.entries()) {
    socket.ondrain = () => drains[i]++;
    stream.room = 0;
    socket.send(new Uint8Array(65_536));
    socket.send("waits");
  }
  await turn();
  for (const { stream } of all) slowDown(stream, 2);
  for (const { stream } of all) stream.take();
  const written = () => all.filter(({ stream }) => stream.writes.length === 2).length;
  const early = written();
  assert(early >= 1 && early <= 7, `${early} written at once`);
  assertEquals(drains.reduce((sum, count) => sum + count), early);
  for (const { socket } of all) socket.send("comes later");
  await turn();
  assertEquals(drains, all.map(() => 1));
  const rest = Buffer.concat(["waits", "comes later"].map(encodeWebSocketText));
  for (const { stream } of all) assert(stream.written.subarray(65_546).equals(rest));
  await endAll(...all.map(({ socket }) => socket));
});

Deno.test("stalled clients that are closed together go on sharing what they have not been sent", async () => {
  const all = Array.from({ length: 3 }, () => accept());
  for (const { stream } of all) stream.room = 0;
  const send = (bytes: number) => {
    const frame = frameOf(bytes);
    for (const { socket } of all) socket.sendFrame(frame);
  };
  send(70_000);
  await turn();
  // With what surrounds each in memory, they are just below 64 KiB, and above with the close frame.
  for (let i = 0; i < 63; i++) send(764);
  send(700);
  for (const { socket } of all) socket.close(1013, "too slow");
  const [a, b, c] = all.map(({ stream }) => stream.writes.at(-1));
  assertEquals([a?.length, a?.at(-12)], [63 * 768 + 704 + 12, 0x88]);
  assertStrictEquals(a, b);
  assertStrictEquals(b, c);
  await endAll(...all.map(({ socket }) => socket));
});

Deno.test("frames wait and are joined while the system takes nothing, and drain writes the rest", async () => {
  const { stream, socket } = accept();
  let drains = 0;
  socket.ondrain = () => drains++;
  stream.room = 0;
  socket.send(new Uint8Array(65_536));
  assertEquals(stream.writes.length, 1);
  for (let i = 0; i < 100; i++) {
    socket.send(new Uint8Array(1000));
    await turn();
  }
  // With what surrounds each in memory, 53 of them make up 64 KiB.
  assertEquals(stream.writes.map(({ length }) => length), [65_546, 53 * 1004]);
  assertEquals(socket.bufferedAmount, 65_546 + 100 * 1004);
  stream.take();
  assertEquals([stream.writes.length, socket.bufferedAmount, drains], [3, 0, 1]);
  stream.take();
  assertEquals(drains, 1);
  await endAll(socket);
});

Deno.test("a client that does not read is not read while more than maxBufferedBytes is unsent", async () => {
  const { stream, socket } = accept({ maxBufferedBytes: 200_000 });
  stream.room = 0;
  socket.send(new Uint8Array(190_000));
  assertEquals(stream.paused, false);
  socket.send(new Uint8Array(70_000));
  assertEquals(stream.paused, true);
  stream.take(100_000);
  assertEquals(stream.paused, true);
  stream.take();
  assertEquals(stream.paused, false);
  await endAll(socket);
});

Deno.test("the newest of the pings that come while the system takes nothing is answered", async () => {
  const { stream, socket } = accept();
  await turn();
  stream.room = 0;
  socket.send(new Uint8Array(65_536));
  for (const text of ["1", "2", "3"]) stream.receive(clientFrame(OPCODE.PING, text));
  stream.writes = [];
  stream.take();
  await turn();
  assertEquals(`${stream.written.subarray(2)}`, "3");
  await endAll(socket);
});

Deno.test("a frame that is a small part of a large memory is copied, once for all", async () => {
  const all = [accept(), accept()];
  const slab = new Uint8Array(1_000_000);
  const frame = encodeWebSocketText("small");
  slab.set(frame, 5000);
  const view = slab.subarray(5000, 5000 + frame.length);
  for (const { socket } of all) socket.sendFrame(view);
  await turn();
  const [[first], [second]] = all.map(({ stream }) => stream.writes);
  assertEquals([...first], [...frame]);
  assert(first.buffer.byteLength < 100, `${first.buffer.byteLength} bytes are kept`);
  assertStrictEquals(first, second);
  await endAll(...all.map(({ socket }) => socket));
});

Deno.test("frames that follow one another in a slab are one piece without a copy", async () => {
  const { stream, socket } = accept();
  const frames = framesInSlab("one", "two", "three");
  for (const frame of frames) socket.sendFrame(frame);
  await turn();
  assertEquals(stream.writes.map(({ length }) => length), [17]);
  assertEquals(stream.writes[0].buffer === frames[0].buffer, true);
  for (const frame of [frames[0], frames[2]]) socket.sendFrame(frame);
  await turn();
  assertEquals([...stream.writes[1]], [...frames[0], ...frames[2]]);
  await endAll(socket);
});

Deno.test("frames that wait for longer than a turn do not keep their slab", async () => {
  const all = [accept(), accept()];
  const [fast, slow] = all;
  await turn();
  slow.stream.room = 0;
  slow.socket.send(new Uint8Array(65_536));
  const frames = framesInSlab("one", "two");
  for (const frame of frames) for (const { socket } of all) socket.sendFrame(frame);
  await turn();
  assertEquals(fast.stream.writes[0].buffer === frames[0].buffer, true);
  slow.stream.take();
  const late = slow.stream.writes[1];
  assertEquals([...late], [...frames[0], ...frames[1]]);
  assert(late.buffer.byteLength < 100, `${late.buffer.byteLength} bytes are kept`);
  await endAll(...all.map(({ socket }) => socket));
});

Deno.test("a stream that holds bytes gets copies, so it keeps one slab at most", async () => {
  const { stream, socket } = accept();
  await turn();
  stream.room = 0;
  const frames = framesInSlab("one", "two", "three");
  for (const frame of frames) {
    socket.sendFrame(frame);
    await turn();
  }
  assertEquals(stream.writes.map((piece) => piece.buffer === frames[0].buffer), [
    true,
    false,
    false,
  ]);
  stream.take();
  socket.sendFrame(frames[0]);
  await turn();
  assertEquals(stream.writes[3].buffer === frames[0].buffer, true);
  await endAll(socket);
});

Deno.test("pieces that are written together do not keep a slab each", async () => {
  const { stream, socket } = accept();
  await turn();
  stream.room = 0;
  for (let i = 0; i < 5; i++) {
    const [small] = framesInSlab(`${i}`);
    const [large] = framesInSlab("l".repeat(4092));
    socket.sendFrame(small);
    socket.sendFrame(large);
    assertEquals(large.length, 4096); // it is not joined
  }
  await turn();
  assertEquals(stream.writes.map(({ length }) => length), Array(5).fill([3, 4096]).flat());
  const kept = stream.writes.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  assertEquals(kept, stream.writableLength);
  await endAll(socket);
});

Deno.test("a socket that is cut off is closing at once, and has nothing to send", async () => {
  for (const how of ["terminated", "ended"]) {
    const { stream, socket } = accept();
    await turn();
    stream.room = 0;
    socket.send(new Uint8Array(96));
    await turn();
    assertEquals([socket.readyState, socket.bufferedAmount], [1, 98]);
    if (how === "terminated") socket.terminate();
    else stream.emit("end");
    assertEquals([socket.readyState, socket.bufferedAmount], [2, 0], how);
    await turn();
    assertEquals([socket.readyState, socket.bufferedAmount], [3, 0], how);
  }
});

Deno.test("a socket whose stream has closed stays closed if the stream then reports its end", async () => {
  const { stream, socket } = accept();
  stream.emit("close");
  stream.emit("end");
  assertEquals(socket.readyState, 3);
  await endAll(socket);
});

Deno.test("terminate frees unsent frames, even while the flush has them", async () => {
  const { stream, socket } = accept();
  socket.send("x");
  socket.terminate();
  assertEquals(stream.destroyed, true);
  await turn();
  assertEquals([stream.writes.length, socket.bufferedAmount, sharedFlush.waiting], [0, 0, 0]);
});

Deno.test("closing writes the frames sent before, even if the system takes nothing", async () => {
  const { stream, socket } = accept();
  await turn();
  stream.room = 0;
  socket.send(new Uint8Array(65_536));
  socket.send("last");
  stream.receive(clientFrame(OPCODE.CLOSE));
  assertEquals(stream.ended, true);
  assertEquals([...stream.written.subarray(65_546)], [...encodeWebSocketText("last"), 0x88, 0]);
  await endAll(socket);
});

/** What happens to some sockets: they are sent something, together or alone, and their systems take some of it. */
type Step =
  | { kind: "all"; size: number }
  | { kind: "one"; socket: number; size: number }
  | { kind: "block"; socket: number }
  | { kind: "take"; socket: number; bytes: number }
  | { kind: "turn" };

const SOCKETS = 4;
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(300) },
  fc.nat(5_000),
  fc.integer({ min: 16_000, max: 17_000 }),
  fc.nat(80_000),
);
const one = fc.nat(SOCKETS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("all" as const), size }) },
  fc.record({ kind: fc.constant("one" as const), socket: one, size }),
  fc.record({ kind: fc.constant("block" as const), socket: one }),
  fc.record({ kind: fc.constant("take" as const), socket: one, bytes: fc.nat(200_000) }),
  fc.record({ kind: fc.constant("turn" as const) }),
);

Deno.test("each socket gets the bytes that it was sent, in order, however the system takes them", async () => {
  const frames = new FrameEncoder();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const all = Array.from(
        { length: SOCKETS },
        () => ({ ...accept(), sent: [] as Uint8Array[] }),
      );
      let next = 0;
      for (const step of steps) {
        switch (step.kind) {
          case "all": {
            const frame = frames.encode(OPCODE.BINARY, new Uint8Array(step.size).fill(++next));
            for (const { socket, sent } of all) {
              socket.sendFrame(frame);
              sent.push(frame);
            }
            break;
          }
          case "one": {
            const bytes = new Uint8Array(step.size).fill(++next);
            all[step.socket].socket.send(bytes);
            all[step.socket].sent.push(encodeWebSocketFrame(OPCODE.BINARY, bytes));
            break;
          }
          case "block":
            all[step.socket].stream.room = 0;
            break;
          case "take":
            all[step.socket].stream.take(step.bytes);
            break;
          case "turn":
            await turn();
        }
        for (const { socket, stream, sent } of all) {
          const bytes = sent.reduce((sum, { length }) => sum + length, 0);
          const taken = stream.written.length - stream.writableLength;
          assertEquals(socket.bufferedAmount, bytes - taken);
        }
      }
      await turn();
      for (const { stream } of all) {
        stream.take();
        stream.take();
      }
      await turn();
      for (const { stream, sent } of all) assert(stream.written.equals(Buffer.concat(sent)));
      await endAll(...all.map(({ socket }) => socket));
    }),
    { numRuns: 60 },
  );
});
