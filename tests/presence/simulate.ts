/**
 * Runs seeds: `simulate.ts [--seed N] [--seeds COUNT] [--seconds S]`. With `--seed` alone it replays
 * that one with its whole history. Ends with 1 at the first seed that fails.
 */

import { parseArgs } from "node:util";
import { type Outcome, runSeed } from "./_run.ts";

const HISTORY_LINES = 40;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    seconds: { type: "string", default: "60" },
  },
});
const first = Number(values.seed ?? 1);
const count = values.seeds ? Number(values.seeds) : values.seed ? 1 : Infinity;
const endAt = performance.now() + 1000 * Number(values.seconds);

const totals = { seeds: 0, faults: 0, changes: 0, messages: 0, simulatedMs: 0 };
for (let seed = first; seed < first + count && performance.now() < endAt; seed++) {
  const outcome = runSeed(seed);
  if (outcome.violation !== undefined) {
    fail(outcome);
    Deno.exit(1);
  }
  if (values.seed && count === 1) console.log(outcome.log.join("\n"));
  totals.seeds++;
  for (const key of ["faults", "changes", "messages", "simulatedMs"] as const) {
    totals[key] += outcome[key];
  }
}
console.log(
  `${totals.seeds} seeds held: ${totals.faults} faults, ${totals.changes} changes, ` +
    `${totals.messages} messages, ${(totals.simulatedMs / 3_600_000).toFixed(1)} h of cluster life`,
);

function fail({ seed, plan, violation, log }: Outcome): void {
  console.error(`\nseed ${seed}, ${JSON.stringify(plan)}. What happened last, in milliseconds:`);
  if (log.length > HISTORY_LINES) console.error(`  (${log.length - HISTORY_LINES} before)`);
  for (const line of log.slice(-HISTORY_LINES)) console.error(line);
  const isPlain = violation instanceof Error && violation.name === "Violation";
  console.error(
    `\n${isPlain ? violation.message : violation instanceof Error ? violation.stack : violation}`,
  );
  console.error(`\nReplay: deno task simulate:presence --seed ${seed}`);
}
