import { assert, assertEquals } from "@std/assert";
import { runSeed } from "./_run.ts";

/** How many seeds the ordinary tests run; the long run is `deno task simulate`. */
const SEEDS = 40;

/** One in which much happens. */
const SEED = 16;

async function assertHolds(seed: number): Promise<void> {
  const { violation, history } = await runSeed(seed);
  assert(
    violation === undefined,
    [...history.slice(-30), violation, `Replay: deno task simulate --seed ${seed}`].join("\n"),
  );
}

Deno.test("a cluster keeps its promises under faults, and is complete again when they stop", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await assertHolds(seed);
});

Deno.test("a seed gives the same run twice, event for event, and another seed gives another run", async () => {
  const run = async (seed: number) => {
    const trace: string[] = [];
    const { history, steps } = await runSeed(seed, { onTrace: (line) => trace.push(line) });
    return { trace, history, steps };
  };
  const first = await run(SEED);
  // Real time passes differently the second time, and that must not matter.
  const busy = setInterval(() => {
    for (const end = performance.now() + 3; performance.now() < end;);
  }, 5);
  const second = await run(SEED);
  clearInterval(busy);
  assert(first.trace.length > 10_000, "a run in which much happens");
  assertEquals(second.steps, first.steps);
  // Not by `assertEquals`, which would print hundreds of thousands of lines.
  const differs = first.trace.findIndex((line, i) => line !== second.trace[i]);
  assertEquals(differs, -1, `from ${first.trace[differs]} on`);
  assertEquals(second.trace.length, first.trace.length);
  assertEquals(second.history, first.history);
  const other = await run(SEED + 1);
  assert(other.trace.join() !== first.trace.join());
});
