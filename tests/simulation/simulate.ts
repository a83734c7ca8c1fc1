/**
 * Runs seeds: `simulate.ts [--seed N] [--seeds COUNT] [--seconds S] [--workers N]`. With `--seed` alone
 * it replays that one with its whole history. Without, each core runs a seed at a time. Ends with 1
 * at the first seed that fails.
 */

import { parseArgs } from "node:util";
import { shareOut } from "../_workers.ts";
import { runSeed } from "./_run.ts";
import { type Told, told } from "./_worker.ts";

const HISTORY_LINES = 40;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    seconds: { type: "string", default: "600" },
    workers: { type: "string", default: String(navigator.hardwareConcurrency) },
    trace: { type: "boolean", default: false },
  },
});
const first = Number(values.seed ?? 1);
const isTerminal = Deno.stdout.isTerminal();
const encoder = new TextEncoder();

const totals = { seeds: 0, faults: 0, messages: 0, deliveries: 0, steps: 0, simulatedMs: 0 };
const complete: number[] = [];
if (values.seed !== undefined && values.seeds === undefined) await replay(first);
else await runAll();
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

async function replay(seed: number): Promise<void> {
  const onTrace = values.trace ? (line: string) => console.log(line) : undefined;
  const outcome = await runSeed(seed, { onTrace });
  if (outcome.violation !== undefined) fail(told(outcome));
  console.log(outcome.history.join("\n"));
  count(told(outcome));
}

async function runAll(): Promise<void> {
  const end = first + Number(values.seeds ?? Infinity);
  const endAt = performance.now() + 1000 * Number(values.seconds);
  let seed = first;
  let failure: Told | undefined;
  await shareOut<number, Told>({
    script: new URL("./_worker.ts", import.meta.url),
    workers: Number(values.workers),
    next: () => seed < end && performance.now() < endAt ? seed++ : undefined,
    onResult: (outcome) => {
      if (outcome.violation === undefined) count(outcome);
      else failure ??= outcome;
      if (isTerminal) showProgress(endAt - performance.now());
      return failure === undefined;
    },
  });
  if (isTerminal) console.log();
  if (failure !== undefined) fail(failure);
}

function count(outcome: Told): void {
  totals.seeds++;
  for (const key of ["faults", "messages", "deliveries", "steps", "simulatedMs"] as const) {
    totals[key] += outcome[key];
  }
  complete.push(outcome.completeMs);
}

function showProgress(leftMs: number): void {
  const minutes = Math.max(0, leftMs) / 60_000;
  const line = `\r${totals.seeds} seeds, ${totals.faults} faults, ${minutes.toFixed(1)} min left `;
  Deno.stdout.writeSync(encoder.encode(line));
}

function fail({ seed, size, violation, history }: Told): never {
  console.error(`\nseed ${seed}, ${size} nodes. What happened last, in seconds:`);
  if (history.length > HISTORY_LINES) {
    console.error(`  (${history.length - HISTORY_LINES} earlier lines left out)`);
  }
  for (const line of history.slice(-HISTORY_LINES)) console.error(line);
  console.error(`\n${violation}`);
  console.error(`\nReplay: deno task simulate --seed ${seed}`);
  Deno.exit(1);
}
