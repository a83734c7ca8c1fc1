import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { HandshakeRate } from "../../mesh/handshake_rate.ts";
import { FakeTimers } from "../_fake_timers.ts";

function start(perSecond: number): { rate: HandshakeRate; timers: FakeTimers } {
  const timers = new FakeTimers();
  return { rate: new HandshakeRate({ perSecond, clock: timers }), timers };
}

/** How many of `tries` handshakes are admitted. */
function admitted(rate: HandshakeRate, tries: number, hostname: string, isKnown = false): number {
  let count = 0;
  for (let i = 0; i < tries; i++) if (rate.admit(hostname, isKnown)) count++;
  return count;
}

Deno.test("an unknown address may begin three quarters of a burst, and then a quarter of the rate", () => {
  const { rate, timers } = start(20);
  assertEquals(admitted(rate, 1_000, "10.0.0.1"), 150);
  timers.advance(1_000);
  assertEquals(admitted(rate, 1_000, "10.0.0.1"), 5);
});

Deno.test("unknown addresses share the rate, and one may use what another leaves", () => {
  const { rate, timers } = start(20);
  assertEquals(admitted(rate, 1_000, "10.0.0.1"), 150);
  assertEquals(admitted(rate, 1_000, "10.0.0.2"), 50);
  assertEquals(admitted(rate, 1_000, "10.0.0.3"), 0);
  timers.advance(1_000);
  assertEquals(admitted(rate, 1_000, "10.0.0.1"), 5);
  assertEquals(admitted(rate, 1_000, "10.0.0.3"), 15);
});

Deno.test("the host of a known node gets in, however many strangers come", () => {
  const { rate, timers } = start(20);
  for (let i = 0; i < 1_000; i++) admitted(rate, 10, `10.0.${i >> 8}.${i & 255}`);
  assertEquals(admitted(rate, 10, "10.1.0.1", true), 10);
  assertEquals(admitted(rate, 1_000, "10.1.0.1", true), 190);
  timers.advance(1_000);
  assertEquals(admitted(rate, 1_000, "10.1.0.1", true), 20);
});

Deno.test("a connection without a handshake counts as a twentieth of one", () => {
  const { rate, timers } = start(20);
  const assertSilent = (hostname: string, expected: number) => {
    let count = 0;
    for (let i = 0; i < 10_000; i++) {
      if (!rate.admit(hostname, false)) continue;
      count++;
      rate.refund(hostname, false);
    }
    // Less than a whole handshake remains.
    assert(Math.abs(count - 20 * expected) <= 20, `${count} for ${hostname}`);
  };
  assertSilent("10.0.0.1", 150);
  assertSilent("10.0.0.2", 50);
  timers.advance(1_000);
  assertSilent("10.0.0.1", 5);
  assertSilent("10.0.0.2", 15);
});

Deno.test("property: strangers begin at most a burst plus the rate in any time, from any addresses", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.record({
        afterMs: fc.nat({ max: 3_000 }),
        address: fc.nat({ max: 5_000 }),
        tries: fc.nat({ max: 300 }),
      })),
      (perSecond, events) => {
        const { rate, timers } = start(perSecond);
        const begin = timers.now();
        let count = 0;
        for (const { afterMs, address, tries } of events) {
          timers.advance(afterMs);
          count += admitted(rate, tries, `stranger ${address}`);
          const seconds = (timers.now() - begin) / 1_000;
          assert(count <= perSecond * (10 + seconds) + 1e-6);
        }
      },
    ),
  );
});
