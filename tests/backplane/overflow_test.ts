import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Overflow } from "../../backplane/overflow.ts";

function watched(maxBytes: number) {
  const seen = { reports: 0 };
  return { seen, overflow: new Overflow(maxBytes, () => void seen.reports++) };
}

Deno.test("overflow: the first drop of an episode is reported later in the same turn", async () => {
  const { seen, overflow } = watched(100);
  overflow.dropped();
  assertEquals(seen.reports, 0);
  await Promise.resolve();
  assertEquals(seen.reports, 1);
  for (let i = 0; i < 10; i++) overflow.dropped();
  await Promise.resolve();
  assertEquals(seen.reports, 1);
});

Deno.test("overflow: an episode ends when half of the queue has drained, not before", async () => {
  const { seen, overflow } = watched(100);
  overflow.dropped();
  overflow.drained(51);
  overflow.dropped();
  await Promise.resolve();
  assertEquals(seen.reports, 1);
  overflow.drained(50);
  overflow.dropped();
  await Promise.resolve();
  assertEquals(seen.reports, 2);
});

Deno.test("overflow: each episode has one report, whatever comes between", async () => {
  const step = fc.oneof(fc.constant("drop" as const), fc.nat(100));
  await fc.assert(
    fc.asyncProperty(fc.array(step), async (steps) => {
      const { seen, overflow } = watched(100);
      let episodes = 0;
      let inEpisode = false;
      for (const step of steps) {
        if (step === "drop") {
          if (!inEpisode) episodes++;
          inEpisode = true;
          overflow.dropped();
        } else {
          if (step <= 50) inEpisode = false;
          overflow.drained(step);
        }
      }
      await Promise.resolve();
      assertEquals(seen.reports, episodes);
      assert(episodes <= steps.length);
    }),
  );
});
