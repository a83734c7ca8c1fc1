import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { randomFraction, systemClock, systemRandom, systemTimers } from "../../backplane/clock.ts";

Deno.test("the system's clock gives the time since 1970 and does not run backwards", () => {
  assert(Math.abs(systemClock.now() - Date.now()) < 5_000);
  let last = systemClock.now();
  for (let i = 0; i < 1_000; i++) {
    const now = systemClock.now();
    assert(now >= last);
    last = now;
  }
});

Deno.test("the system's timers call back once, and never after they were cancelled", async () => {
  for (const timers of [systemTimers, systemClock]) {
    const cancelled = timers.setTimeout(() => assert(false, "called after it was cancelled"), 0);
    timers.clearTimeout(cancelled);
    timers.clearTimeout(undefined);
    let calls = 0;
    await new Promise<void>((resolve) =>
      timers.setTimeout(() => {
        calls++;
        resolve();
      }, 1)
    );
    await new Promise<void>((resolve) => timers.setTimeout(resolve, 1));
    assertEquals(calls, 1);
  }
});

Deno.test("the system's randomness has the requested size, and differs each time", () => {
  assertEquals([0, 1, 32].map((size) => systemRandom(size).length), [0, 1, 32]);
  assertNotEquals(systemRandom(16), systemRandom(16));
});

Deno.test("a random fraction is from 0 up to, but not including, 1", () => {
  assertEquals(randomFraction(() => Uint8Array.of(0, 0, 0)), 0);
  assertEquals(randomFraction(() => Uint8Array.of(0x80, 0, 0)), 0.5);
  assertEquals(randomFraction(() => Uint8Array.of(0xff, 0xff, 0xff)), 1 - 2 ** -24);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 3, maxLength: 3 }), (bytes) => {
      const fraction = randomFraction((size) => bytes.subarray(0, size));
      assert(fraction >= 0 && fraction < 1);
    }),
  );
});
