import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { Random } from "../../testing/mod.ts";
import { planFaults, type PlannedFault } from "./_plan.ts";
import { floor, slopePerMinute } from "./_slope.ts";

function plan(seed: number, options: { witness: number; freezes: boolean }): PlannedFault[] {
  return planFaults(new Random(seed), { nodes: 4, ...options }).take(300).toArray();
}

Deno.test("the seed decides the plan", () => {
  const options = { witness: 0, freezes: true };
  assertEquals(plan(7, options), plan(7, options));
  assert(JSON.stringify(plan(7, options)) !== JSON.stringify(plan(8, options)));
});

Deno.test("the witness is never killed, frozen or restarted, and never floods", () => {
  const faults = plan(7, { witness: 2, freezes: true });
  const kinds = (those: PlannedFault[]) => [...new Set(those.map(({ kind }) => kind))].sort();
  const all = ["expel", "flood", "freeze", "kill", "pause", "restart", "stall"];
  assertEquals(kinds(faults.filter(({ node }) => node === 2)), [
    "expel",
    "flood",
    "pause",
    "stall",
  ]);
  assertEquals(kinds(faults), all);
  assert(faults.every(({ node, shouter }) => shouter !== 2 && shouter !== node));
});

Deno.test("restarts roll over all nodes but the witness, one after another", () => {
  const faults = plan(7, { witness: 1, freezes: false });
  assert(faults.every(({ kind }) => kind !== "freeze"));
  const first = faults.findIndex(({ kind }) => kind === "restart");
  const rolled = faults.slice(first, first + 3);
  assertEquals(rolled.map(({ kind }) => kind), ["restart", "restart", "restart"]);
  assertEquals(rolled.map(({ node }) => node).sort(), [0, 2, 3]);
});

Deno.test("the slope is that of the later half, per minute", () => {
  const points = Array.from({ length: 20 }, (_, i) => ({
    at: 1_000 * i,
    // A warm-up that does not count, then 3 a second.
    value: i < 10 ? 1_000 * i : 3 * i,
  }));
  assertAlmostEquals(slopePerMinute(points), 180);
  assertEquals(slopePerMinute(points.map(({ at }) => ({ at, value: 5 }))), 0);
  assertEquals(slopePerMinute([]), 0);
});

Deno.test("garbage that waits to be collected does not count", () => {
  const values = [5, 3, 9, 8, 4, 4, 7];
  const points = values.map((value, at) => ({ at, value }));
  assertEquals(floor(points, 3), [{ at: 1, value: 3 }, { at: 4, value: 4 }]);
});
