import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { backoffMs } from "../../backplane/backoff.ts";

Deno.test("backoff doubles from 250 ms up to 30 s", () => {
  const longest = [0, 1, 2, 3, 6, 7, 8, 1_000].map((failures) => backoffMs(failures, 1));
  assertEquals(longest, [250, 500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000]);
});

Deno.test("backoff has full jitter, so any delay from 0 up to the longest", () => {
  assertEquals([backoffMs(3, 0), backoffMs(3, 0.5)], [0, 1_000]);
  const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.nat(), fraction, (failures, fraction) => {
      const delayMs = backoffMs(failures, fraction);
      assert(delayMs >= 0 && delayMs < backoffMs(failures, 1) || delayMs === 0);
    }),
  );
});
