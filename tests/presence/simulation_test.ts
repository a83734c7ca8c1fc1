import { assert } from "@std/assert";
import { runMeshSeed } from "./_mesh_run.ts";
import { runSeed } from "./_run.ts";

/** How many seeds the ordinary tests run; the long run is `deno task simulate:presence`. */
const SEEDS = 100;

/** A seed with a whole mesh takes longer. */
const MESH_SEEDS = 20;

Deno.test("instances agree after loss, freezes, partitions and restarts", () => {
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

Deno.test("presence on a mesh agrees within a second, and a node's ids are gone when it ends", async () => {
  for (let seed = 1; seed <= MESH_SEEDS; seed++) {
    const { violation, log } = await runMeshSeed(seed);
    const replay = `Replay: deno task simulate:presence --mesh --seed ${seed}`;
    assert(violation === undefined, [...log.slice(-30), violation, replay].join("\n"));
  }
});
