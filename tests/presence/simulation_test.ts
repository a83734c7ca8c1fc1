import { assert } from "@std/assert";
import { runSeed } from "./_run.ts";

/** How many seeds the ordinary tests run; the long run is `deno task simulate:presence`. */
const SEEDS = 100;

Deno.test("instances agree under loss, freezes, partitions and restarts, and when these are over", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violation, log } = runSeed(seed);
    assert(
      violation === undefined,
      [...log.slice(-30), violation, `Replay: deno task simulate:presence --seed ${seed}`].join(
        "\n",
      ),
    );
  }
});
