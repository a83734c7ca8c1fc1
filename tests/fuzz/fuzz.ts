/**
 * Fuzzes all targets in turn: `fuzz.ts [--seconds S] [--target NAME] [--seed N] [--seeds COUNT]`. With
 * `--seed` alone it runs that one; with `--input FILE` or `--hex BYTES` it runs that input, of one
 * target. `--grow` adds inputs with new outcomes to the corpus. Ends with 1 at the first that fails.
 */

import { parseArgs } from "node:util";
import { writeCorpus } from "./_corpus.ts";
import { type Failure, Fuzzer } from "./_fuzzer.ts";
import { minimise } from "./_minimise.ts";
import { type Target, Violation } from "./_target.ts";
import { TARGETS } from "./_targets.ts";

/** How long a target runs before it is the next one's turn. */
const TURN_MS = 500;

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    seed: { type: "string" },
    seeds: { type: "string" },
    seconds: { type: "string", default: "600" },
    input: { type: "string" },
    hex: { type: "string" },
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
  const runs = targets.map((target) => ({ fuzzer: new Fuzzer(target), next: first }));
  let isOver = false;
  while (!isOver) {
    isOver = true;
    for (const run of runs) {
      const leftMs = endAt - performance.now();
      if (run.next >= end || leftMs <= 0) continue;
      isOver = false;
      const { fuzzer, next } = run;
      const result = await fuzzer.runSeeds(next, end, Math.min(TURN_MS, leftMs));
      run.next = result.next;
      if (result.failure !== undefined) await fail(fuzzer.target, result.failure);
      if (isTerminal) showProgress(runs.map(({ fuzzer }) => fuzzer), run.next - 1, leftMs);
    }
  }
  if (isTerminal) console.log();
  for (const { fuzzer } of runs) {
    report(fuzzer);
    if (values.grow) writeCorpus(fuzzer.target, new Map([...fuzzer.corpus, ...fuzzer.news]));
  }
  const cases = runs.reduce((sum, { fuzzer }) => sum + fuzzer.cases, 0);
  console.log(`${cases} cases held`);
}

function showProgress(fuzzers: readonly Fuzzer[], seed: number, leftMs: number): void {
  const cases = fuzzers.reduce((sum, fuzzer) => sum + fuzzer.cases, 0);
  const line = `\r${cases} cases, seed ${seed}, ${(leftMs / 60_000).toFixed(1)} min left `;
  Deno.stdout.writeSync(new TextEncoder().encode(line));
}

function report({ target, cases, tookMs, outcomes, news }: Fuzzer): void {
  const rate = Math.round(1000 * cases / tookMs);
  console.log(
    `${target.name.padEnd(18)} ${String(cases).padStart(9)} cases, ${
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
