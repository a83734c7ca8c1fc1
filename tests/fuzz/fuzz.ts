/**
 * Fuzzes all targets in turn: `fuzz.ts [--seconds S] [--target NAME] [--seed N] [--seeds COUNT]`, on
 * each core or on `--workers N`. With `--seed` alone it runs that one; with `--input FILE` or `--hex
 * BYTES` it runs that input, of one target. `--grow` adds inputs with new outcomes to the corpus. Ends
 * with 1 at the first that fails.
 */

import { parseArgs } from "node:util";
import { shareOut } from "../_workers.ts";
import { readCorpus, writeCorpus } from "./_corpus.ts";
import { type Failure, Fuzzer } from "./_fuzzer.ts";
import { minimise } from "./_minimise.ts";
import { Run } from "./_run.ts";
import { type Target, Violation } from "./_target.ts";
import { TARGETS } from "./_targets.ts";
import type { Turn, TurnResult } from "./_worker.ts";

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    seed: { type: "string" },
    seeds: { type: "string" },
    seconds: { type: "string", default: "600" },
    input: { type: "string" },
    hex: { type: "string" },
    workers: { type: "string", default: String(navigator.hardwareConcurrency) },
    grow: { type: "boolean", default: false },
  },
});
const isTerminal = Deno.stdout.isTerminal();
const targets = TARGETS.filter(({ name }) => values.target === undefined || values.target === name);
if (targets.length === 0) {
  console.error(`--target must be one of ${TARGETS.map(({ name }) => name).join(", ")}`);
  Deno.exit(2);
}

const given = values.hex !== undefined
  ? Uint8Array.fromHex(values.hex)
  : values.input === undefined
  ? undefined
  : Deno.readFileSync(values.input);
if (given !== undefined) await replay(() => given);
else if (values.seed === undefined || values.seeds !== undefined) await fuzz();
else await replay((fuzzer) => fuzzer.input(Number(values.seed)));

async function replay(inputFor: (fuzzer: Fuzzer) => Uint8Array): Promise<void> {
  for (const target of targets) {
    const fuzzer = new Fuzzer(target);
    const input = inputFor(fuzzer);
    const failure = await fuzzer.run(input);
    if (failure !== undefined) await fail(target, failure);
    console.log(`${target.name} ${input.toHex()}\n  ${[...fuzzer.outcomes.keys()]}`);
  }
}

async function fuzz(): Promise<void> {
  const first = Number(values.seed ?? 1);
  const end = first + Number(values.seeds ?? Infinity);
  const endAt = performance.now() + 1000 * Number(values.seconds);
  const runs = targets.map((target) => new Run(target, first, end));
  // Each run has its turn; those that have come to their end drop out.
  const waiting = [...runs];
  const next = (): Turn | undefined => {
    while (performance.now() < endAt) {
      const run = waiting.shift();
      if (run === undefined) return undefined;
      const turn = run.turn();
      if (turn === undefined) continue;
      waiting.push(run);
      return turn;
    }
    return undefined;
  };
  let failed: TurnResult | undefined;
  const onResult = (result: TurnResult) => {
    runs.find(({ target }) => target.name === result.target)?.add(result);
    if (result.failure !== undefined) failed ??= result;
    if (isTerminal) showProgress(runs, endAt - performance.now());
    return failed === undefined;
  };
  const script = new URL("./_worker.ts", import.meta.url);
  await shareOut<Turn, TurnResult>({ script, workers: Number(values.workers), next, onResult });
  if (isTerminal) console.log();
  const target = targets.find(({ name }) => name === failed?.target);
  if (target !== undefined && failed?.failure !== undefined) {
    const { input, seed, text } = failed.failure;
    const again = await new Fuzzer(target).run(input);
    await fail(target, { input, seed, violation: again?.violation ?? text });
  }
  for (const run of runs) {
    report(run);
    if (values.grow) {
      writeCorpus(run.target, new Map([...readCorpus(run.target), ...run.news]));
    }
  }
  console.log(`${casesOf(runs)} inputs held`);
}

function casesOf(runs: readonly Run[]): number {
  return runs.reduce((sum, { cases }) => sum + cases, 0);
}

function showProgress(runs: readonly Run[], leftMs: number): void {
  const minutes = Math.max(0, leftMs) / 60_000;
  const line = `\r${casesOf(runs)} inputs, ${minutes.toFixed(1)} min left `;
  Deno.stdout.writeSync(new TextEncoder().encode(line));
}

function report({ target, cases, tookMs, outcomes, news }: Run): void {
  const rate = Math.round(1000 * cases / tookMs);
  console.log(
    `${target.name.padEnd(18)} ${String(cases).padStart(9)} inputs, ${
      String(rate).padStart(6)
    }/s, ` +
      `${outcomes.size} outcomes, ${news.size} new`,
  );
}

async function fail(target: Target, failure: Failure & { seed?: number }): Promise<never> {
  const fuzzer = new Fuzzer(target);
  const kind = kindOf(failure.violation);
  const input = await minimise(failure.input, async (candidate) => {
    const again = await fuzzer.run(candidate);
    return again !== undefined && kindOf(again.violation) === kind;
  });
  const replay = `deno task fuzz --target ${target.name}`;
  const { violation } = await fuzzer.run(input) ?? failure;
  const text = violation instanceof Violation
    ? violation.message
    : violation instanceof Error
    ? violation.stack
    : violation;
  console.error(`\n${target.name}, seed ${failure.seed ?? "none"}`);
  console.error(`\n${text}`);
  console.error(`\nReplay: ${replay} --hex ${input.toHex()}`);
  if (failure.seed !== undefined) {
    console.error(`The original input: ${replay} --seed ${failure.seed}`);
  }
  Deno.exit(1);
}

/** Two inputs fail alike if what they show begins alike: the rest tells of their bytes. */
function kindOf(violation: unknown): string {
  const text = violation instanceof Violation ? violation.message.split(":")[0] : String(violation);
  return text.replaceAll(/\d+/g, "");
}
