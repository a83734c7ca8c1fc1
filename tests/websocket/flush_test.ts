import { assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { encodeWebSocketText } from "../../codec/mod.ts";
import { Flush, type Flushable } from "../../websocket/_flush.ts";
import { FrameList } from "../../websocket/_frame_list.ts";
import { collectGarbage } from "../rooms/_collect.ts";
import { FakeTiming } from "./_fake_timing.ts";
import { framesInSlab } from "./_slab_frames.ts";

/** A socket with so many bytes to send. */
function flushable(flush: () => void, collectedBytes = 100): Flushable {
  return { collectedBytes, flush, write: flush };
}

Deno.test("a turn that sends nothing has no flush, and one that sends much has one", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  assertEquals(timing.endTurn(), false);
  const flushed: number[] = [];
  for (let i = 0; i < 100; i++) flush.add(flushable(() => flushed.push(i)));
  assertEquals([timing.isIdle, flush.waiting], [false, 100]);
  timing.endTurn();
  assertEquals(flushed, Array.from({ length: 100 }, (_, i) => i));
  assertEquals([flush.waiting, timing.endTurn()], [0, false]);
});

Deno.test("a flush that takes 10 ms goes on in the next turn, where it was, before later sockets", () => {
  for (const bytes of [100, 10_000]) {
    const timing = new FakeTiming();
    const flush = new Flush(timing);
    const flushed: number[] = [];
    const socket = (i: number) =>
      flushable(() => {
        timing.nowMs += 1;
        flushed.push(i);
      }, bytes);
    for (let i = 0; i < 50; i++) flush.add(socket(i));
    assertEquals(flush.isBehind, false);
    timing.endTurn();
    // The clock is looked at every 8 sockets.
    assertEquals([flushed.length, flush.waiting, flush.isBehind], [16, 34, true]);
    flush.add(socket(50));
    let turns = 1;
    while (timing.endTurn()) turns++;
    assertEquals([turns, flush.isBehind], [4, false]);
    assertEquals(flushed, Array.from({ length: 51 }, (_, i) => i));
  }
});

Deno.test("sockets with little to send are flushed before those with much, which do not wait for ever", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  let turn: string[] = [];
  const socket = (kind: string, bytes: number) =>
    flushable(() => {
      timing.nowMs += 1;
      turn.push(kind);
    }, bytes);
  const endTurn = () => {
    turn = [];
    timing.endTurn();
    return turn;
  };
  for (let i = 0; i < 100; i++) flush.add(socket("heavy", 4097));
  flush.add(socket("light", 4096));
  assertEquals(endTurn(), ["light", ...Array(16).fill("heavy")]);
  for (let i = 0; i < 5; i++) {
    // More of the light ones come in each turn than it has time for.
    for (let j = 0; j < 20; j++) flush.add(socket("light", 4096));
    assertEquals(endTurn(), [...Array(8).fill("light"), ...Array(8).fill("heavy")]);
  }
});

Deno.test("sockets are written before the turn ends for 10 ms at most", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  let writes = 0;
  const socket = flushable(() => {
    timing.nowMs += 4;
    writes++;
  }, 70_000);
  for (let turn = 1; turn <= 3; turn++) {
    const written = Array.from({ length: 5 }, () => flush.writeEarly(socket));
    assertEquals([written, writes], [[true, true, true, false, false], 3 * turn]);
    timing.endTurn();
  }
  assertEquals(timing.isIdle, true);
});

Deno.test("a queue that is never empty does not grow", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  const flushed: number[] = [];
  const socket = (i: number) =>
    flushable(() => {
      timing.nowMs += 0.01;
      flushed.push(i);
    });
  let added = 0;
  for (; added < 3_000; added++) flush.add(socket(added));
  for (let turn = 0; turn < 20; turn++) {
    timing.endTurn();
    for (const end = flushed.length + 3_000; added < end; added++) flush.add(socket(added));
  }
  while (timing.endTurn());
  assertEquals(flushed, Array.from({ length: added }, (_, i) => i));
});

Deno.test("a flush that is over just when it would pause leaves nothing", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  for (let i = 0; i < 16; i++) flush.add(flushable(() => timing.nowMs += 1));
  timing.endTurn();
  assertEquals([flush.waiting, timing.endTurn()], [0, false]);
  flush.add(flushable(() => {}));
  assertEquals(timing.endTurn(), true);
});

Deno.test("a socket that gets a frame while the flush runs is flushed again", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  let flushes = 0;
  const socket = flushable(() => void (++flushes === 1 && flush.add(socket)));
  flush.add(socket);
  while (timing.endTurn());
  assertEquals(flushes, 2);
});

Deno.test("a socket that throws does not keep the others waiting", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  let flushes = 0;
  flush.add(flushable(() => {
    throw new Error("planted");
  }));
  for (let i = 0; i < 3; i++) flush.add(flushable(() => flushes++));
  assertThrows(() => timing.endTurn(), Error, "planted");
  assertEquals([flushes, timing.endTurn(), flushes], [0, true, 3]);
});

Deno.test("lists that sockets may share are known for one turn", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  const [a, b] = [encodeWebSocketText("a"), encodeWebSocketText("b")];
  const list = flush.append(undefined, 0, a);
  const longer = flush.append(list, 0, b);
  assertEquals(flush.begunWith(0, a) === list, true);
  assertEquals(list.followedBy(b) === longer, true);
  assertEquals([flush.begunWith(0, b), flush.begunWith(15, a)], [undefined, undefined]);
  assertEquals(timing.endTurn(), true);
  assertEquals([flush.begunWith(0, a), list.followedBy(b)], [undefined, undefined]);
  assertEquals(timing.endTurn(), false);
});

Deno.test("what was collected in a turn is free after it, even if a socket keeps a list before it", async () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  const kept = flush.append(undefined, 0, encodeWebSocketText("a"));
  const free = (() => {
    const frame = encodeWebSocketText("b");
    const lists = [flush.append(undefined, 0, frame), flush.append(kept, 0, frame)];
    return [frame, ...lists].map((object) => new WeakRef(object));
  })();
  timing.endTurn();
  await collectGarbage();
  assertEquals(free.map((ref) => ref.deref()), [undefined, undefined, undefined]);
  assertEquals(kept.bytes, 3);
});

Deno.test("a list is shared by those that add the same frame, until the sharing ends", () => {
  const frames = ["a", "b", "c"].map(encodeWebSocketText);
  const list = new FrameList(undefined, frames[0]);
  assertEquals(list.followedBy(frames[1]), undefined);
  const longer = list.append(frames[1]);
  assertEquals(list.followedBy(frames[1]) === longer, true);
  assertEquals(list.followedBy(frames[2]), undefined);
  assertEquals([longer.bytes, longer.pieces.length, longer.pieces[0].length], [6, 1, 6]);
  assertEquals(longer.pieces === longer.pieces, true);
  longer.endSharing();
  assertEquals([list.followedBy(frames[1]), longer.shareFor(frames[1])], [undefined, undefined]);
  assertEquals(longer.pieces[0].length, 6);
});

/** Shows whether somebody still uses the slab of a frame. */
function overwrite(frame: Uint8Array): void {
  new Uint8Array(frame.buffer).fill(0);
}

Deno.test("a list that is kept no longer needs the slab of any of its frames", () => {
  const frames = framesInSlab("a", "b", "c");
  const bytes = Buffer.concat(frames);
  const list = frames.reduce<FrameList | undefined>(
    (before, frame) => new FrameList(before, frame),
    undefined,
  );
  assertEquals(list?.pieces[0].buffer === frames[0].buffer, true);
  list?.keep();
  overwrite(frames[0]);
  assertEquals(list?.pieces, [bytes]);
});

Deno.test("lists that are given the same frame one after the other keep one copy of it", () => {
  const flush = new Flush(new FakeTiming());
  const [before, frame] = framesInSlab("a", "b");
  flush.append(undefined, 0, before);
  const lists = [0, 15].map((kind) => flush.append(undefined, kind, frame));
  for (const list of lists) list.keep();
  const [first, second] = lists.map(({ pieces }) => pieces[0]);
  assertEquals([first.buffer === second.buffer, first.buffer === frame.buffer], [true, false]);
  assertEquals([...second], [...frame]);
});

Deno.test("a list that has been joined keeps its bytes once", () => {
  const [a, b, c] = framesInSlab("a", "b", "c");
  const large = encodeWebSocketText("l".repeat(65_536));
  const list = new FrameList(new FrameList(undefined, a), c);
  list.endSharing();
  const [joined] = list.pieces;
  list.keep();
  const longer = new FrameList(list, large);
  longer.endSharing();
  assertEquals(longer.pieces.map(({ buffer }) => buffer === joined.buffer), [true, false]);
  const longest = new FrameList(longer, b);
  longest.keep();
  const bytes = Buffer.concat([a, c, large, b]);
  overwrite(a);
  assertEquals(Buffer.concat(longest.pieces).equals(bytes), true);
});

Deno.test("a list that is joined while others get it keeps nothing after the turn", async () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  const kept = flush.append(undefined, 0, encodeWebSocketText("a"));
  const free = (() => {
    const longer = flush.append(kept, 0, encodeWebSocketText("b"));
    assertEquals(longer.pieces.length, 1);
    return new WeakRef(longer);
  })();
  timing.endTurn();
  await collectGarbage();
  assertEquals([free.deref(), kept.bytes], [undefined, 3]);
});

Deno.test("a frame is copied at once if it leaves more than 16 KiB of its memory unused", () => {
  const given = [16 * 1024, 16 * 1024 + 1].map((unused) =>
    new Uint8Array(3 + unused).subarray(0, 3)
  );
  const copied = given.map((frame) =>
    new FrameList(undefined, frame).pieces[0].buffer !== frame.buffer
  );
  assertEquals(copied, [false, true]);
});
