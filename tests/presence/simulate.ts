/**
 * Runs seeds: `simulate.ts [--mesh] [--seed N] [--seeds COUNT] [--seconds S]`. With `--seed` alone it
 * replays that one with its whole history. Ends with 1 at the first seed that fails.
 *
 * Without `--mesh`, the network is nothing but a model: a mesh or a broker that delays, loses and
 * doubles messages. With it, presence runs on real `Rooms` and real mesh nodes.
 */

import { parseArgs } from "node:util";
import { runMeshSeed } from "./_mesh_run.ts";
import { runSeed } from "./_run.ts";

const HISTORY_LINES = 40;

/** What both kinds of run tell. */
interface Outcome {
  readonly seed: number;
  readonly violation: unknown;
  readonly log: readonly string[];
  readonly faults: number;
  readonly simulatedMs: number;
}

const { values } = parseArgs({
  options: {
    mesh: { type: "boolean", default: false },
    seed: { type: "string" },
    seeds: { type: "string" },
    seconds: { type: "string", default: "60" },
  },
});
const first = Number(values.seed ?? 1);
const count = values.seeds ? Number(values.seeds) : values.seed ? 1 : Infinity;
const endAt = performance.now() + 1000 * Number(values.seconds);

let seeds = 0;
let faults = 0;
let simulatedMs = 0;
for (let seed = first; seed < first + count && performance.now() < endAt; seed++) {
  const outcome: Outcome = values.mesh ? await runMeshSeed(seed) : runSeed(seed);
  if (outcome.violation !== undefined) {
    fail(outcome);
    Deno.exit(1);
  }
  if (values.seed && count === 1) console.log(outcome.log.join("\n"));
  seeds++;
  faults += outcome.faults;
  simulatedMs += outcome.simulatedMs;
}
console.log(
  `${seeds} seeds held: ${faults} faults, ${
    (simulatedMs / 3_600_000).toFixed(1)
  } h of cluster life`,
);

function fail({ seed, violation, log }: Outcome): void {
  console.error(`\nseed ${seed}. What happened last, in milliseconds:`);
  if (log.length > HISTORY_LINES) {
    console.error(`  (${log.length - HISTORY_LINES} earlier lines left out)`);
  }
  for (const line of log.slice(-HISTORY_LINES)) console.error(line);
  const isPlain = violation instanceof Error && violation.name === "Violation";
  console.error(
    `\n${isPlain ? violation.message : violation instanceof Error ? violation.stack : violation}`,
  );
  console.error(
    `\nReplay: deno task simulate:presence ${values.mesh ? "--mesh " : ""}--seed ${seed}`,
  );
}
