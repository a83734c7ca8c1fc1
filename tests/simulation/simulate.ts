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
    seconds: { type: "string", default: "600" },
    trace: { type: "boolean", default: false },
  },
});
const first = Number(values.seed ?? 1);
const count = values.seeds ? Number(values.seeds) : values.seed ? 1 : Infinity;
const endAt = performance.now() + 1000 * Number(values.seconds);
const isTerminal = Deno.stdout.isTerminal();
const encoder = new TextEncoder();

const totals = { seeds: 0, faults: 0, messages: 0, deliveries: 0, steps: 0, simulatedMs: 0 };
const complete: number[] = [];
for (let seed = first; seed < first + count && performance.now() < endAt; seed++) {
  const onTrace = values.trace ? (line: string) => console.log(line) : undefined;
  const outcome = await runSeed(seed, { onTrace });
  if (outcome.violation !== undefined) {
    fail(outcome);
    Deno.exit(1);
  }
  if (values.seed && count === 1) console.log(outcome.history.join("\n"));
  totals.seeds++;
  for (const key of ["faults", "messages", "deliveries", "steps", "simulatedMs"] as const) {
    totals[key] += outcome[key];
  }
  complete.push(outcome.completeMs);
  if (isTerminal && !values.seed) {
    const minutes = Math.max(0, endAt - performance.now()) / 60_000;
    const line = `\r${totals.seeds} seeds, ${totals.faults} faults, ${
      minutes.toFixed(1)
    } min left `;
    Deno.stdout.writeSync(encoder.encode(line));
  }
}
if (isTerminal && !values.seed) console.log();
complete.sort((a, b) => a - b);
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
console.log(
  `${totals.seeds} seeds held: ${totals.faults} faults, ${totals.messages} broadcasts, ` +
    `${totals.deliveries} deliveries between nodes, ${totals.steps} steps, ` +
    `${(totals.simulatedMs / 3_600_000).toFixed(1)} h of cluster life; mesh complete again after ` +
    `${seconds(complete[complete.length >> 1] ?? 0)} (median), ${
      seconds(complete.at(-1) ?? 0)
    } (worst)`,
);

function fail({ seed, size, violation, history }: Outcome): void {
  console.error(`\nseed ${seed}, ${size} nodes. What happened last, in seconds:`);
  if (history.length > HISTORY_LINES) {
    console.error(`  (${history.length - HISTORY_LINES} earlier lines left out)`);
  }
  for (const line of history.slice(-HISTORY_LINES)) console.error(line);
  const isPlain = violation instanceof Error && violation.name === "Violation";
  console.error(
    `\n${isPlain ? violation.message : violation instanceof Error ? violation.stack : violation}`,
  );
  console.error(`\nReplay: deno task simulate --seed ${seed}`);
}
