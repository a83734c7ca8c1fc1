import { assertEquals } from "@std/assert";
import { encodeWebSocketText } from "../../codec/mod.ts";
import { Flush } from "../../websocket/_flush.ts";
import { FrameList } from "../../websocket/_frame_list.ts";
import { FakeTiming } from "./_fake_timing.ts";

Deno.test("a turn that sends nothing has no flush, and one that sends much has one", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  assertEquals(timing.endTurn(), false);
  const flushed: number[] = [];
  for (let i = 0; i < 100; i++) flush.add({ flush: () => flushed.push(i) });
  assertEquals([timing.isIdle, flush.waiting], [false, 100]);
  timing.endTurn();
  assertEquals(flushed, Array.from({ length: 100 }, (_, i) => i));
  assertEquals([flush.waiting, timing.endTurn()], [0, false]);
});

Deno.test("a flush that takes 20 ms goes on in the next turn, where it was, before later sockets", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  const flushed: number[] = [];
  const socket = (i: number) => ({
    flush: () => {
      timing.nowMs += 1;
      flushed.push(i);
    },
  });
  for (let i = 0; i < 100; i++) flush.add(socket(i));
  timing.endTurn();
  // The clock is looked at every 32 sockets.
  assertEquals([flushed.length, flush.waiting], [32, 68]);
  flush.add(socket(100));
  let turns = 1;
  while (timing.endTurn()) turns++;
  assertEquals(turns, 4);
  assertEquals(flushed, Array.from({ length: 101 }, (_, i) => i));
});

Deno.test("a flush that is over just when it would pause leaves nothing", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  for (let i = 0; i < 32; i++) flush.add({ flush: () => timing.nowMs += 1 });
  timing.endTurn();
  assertEquals([flush.waiting, timing.endTurn()], [0, false]);
  flush.add({ flush: () => {} });
  assertEquals(timing.endTurn(), true);
});

Deno.test("a socket that gets a frame while the flush runs is flushed again", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  let flushes = 0;
  const socket = { flush: () => void (++flushes === 1 && flush.add(socket)) };
  flush.add(socket);
  while (timing.endTurn());
  assertEquals(flushes, 2);
});

Deno.test("lists that sockets may share are known for one turn", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  const [a, b] = [encodeWebSocketText("a"), encodeWebSocketText("b")];
  const list = flush.begin(0, a);
  assertEquals(flush.begunWith(0, a) === list, true);
  assertEquals([flush.begunWith(0, b), flush.begunWith(15, a)], [undefined, undefined]);
  assertEquals(timing.endTurn(), true);
  assertEquals([flush.begunWith(0, a), timing.endTurn()], [undefined, false]);
});

Deno.test("a list is shared by those that add the same frame, until it is sealed", () => {
  const frames = ["a", "b", "c"].map(encodeWebSocketText);
  const list = new FrameList(undefined, frames[0]);
  assertEquals(list.followedBy(frames[1]), undefined);
  const longer = list.append(frames[1]);
  assertEquals(list.followedBy(frames[1]) === longer, true);
  assertEquals(list.followedBy(frames[2]), undefined);
  assertEquals([longer.bytes, longer.pieces.length, longer.pieces[0].length], [6, 1, 6]);
  assertEquals(longer.pieces === longer.pieces, true);
  longer.seal();
  assertEquals([list.followedBy(frames[1]), longer.shareFor(frames[1])], [undefined, undefined]);
  assertEquals(longer.pieces[0].length, 6);
});
