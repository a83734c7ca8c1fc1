import { assertEquals } from "@std/assert";
import { Flush, type FlushTiming } from "../../websocket/_flush.ts";

/** Turns that end when a test says so, and a clock that it sets. */
class FakeTiming implements FlushTiming {
  nowMs = 0;
  readonly callbacks: (() => void)[] = [];
  now(): number {
    return this.nowMs;
  }
  setImmediate(callback: () => void): number {
    return this.callbacks.push(callback);
  }
  /** Ends a turn; false if nothing was to be done. */
  endTurn(): boolean {
    const callbacks = this.callbacks.splice(0);
    for (const callback of callbacks) callback();
    return callbacks.length > 0;
  }
}

Deno.test("a turn that sends nothing has no flush, and one that sends much has one", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  assertEquals(timing.endTurn(), false);
  const flushed: number[] = [];
  for (let i = 0; i < 100; i++) flush.add({ flush: () => flushed.push(i) });
  assertEquals([timing.callbacks.length, flush.waiting], [1, 100]);
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

Deno.test("a socket that is sent something while the flush runs is flushed again", () => {
  const timing = new FakeTiming();
  const flush = new Flush(timing);
  let flushes = 0;
  const socket = { flush: () => void (++flushes === 1 && flush.add(socket)) };
  flush.add(socket);
  while (timing.endTurn());
  assertEquals(flushes, 2);
});
