/** Runs the seeds that `fuzz.ts` hands to it. */

import { doJobs } from "../_workers.ts";
import type { Corpus } from "./_corpus.ts";
import { Fuzzer } from "./_fuzzer.ts";
import { TARGETS } from "./_targets.ts";

/** Seeds of one target, from `first` up to but not including `end`. */
export interface Turn {
  readonly target: string;
  readonly first: number;
  readonly end: number;
}

/** What has come of a turn. */
export interface TurnResult {
  readonly target: string;
  readonly cases: number;
  readonly tookMs: number;
  /** Outcomes that this worker had not seen before, and inputs that are to be kept for them. */
  readonly outcomes: readonly string[];
  readonly news: Corpus;
  readonly failure?: { readonly seed: number; readonly input: Uint8Array; readonly text: string };
}

/** The fuzzer of a target, and what of it has been handed over. */
interface Running {
  readonly fuzzer: Fuzzer;
  readonly seen: Set<string>;
  readonly told: Map<string, Uint8Array>;
}

const running = new Map<string, Running>();

async function run({ target, first, end }: Turn): Promise<TurnResult> {
  const { fuzzer, seen, told } = runningOf(target);
  const before = { cases: fuzzer.cases, tookMs: fuzzer.tookMs };
  const { failure } = await fuzzer.runSeeds(first, end);
  const outcomes = [...fuzzer.outcomes.keys()].filter((outcome) => !seen.has(outcome));
  for (const outcome of outcomes) seen.add(outcome);
  const news = new Map([...fuzzer.news].filter(([outcome, input]) => told.get(outcome) !== input));
  for (const [outcome, input] of news) told.set(outcome, input);
  const result = {
    target,
    cases: fuzzer.cases - before.cases,
    tookMs: fuzzer.tookMs - before.tookMs,
    outcomes,
    news,
  };
  if (failure === undefined) return result;
  const { seed, input, violation } = failure;
  const text = violation instanceof Error ? violation.stack ?? violation.message : `${violation}`;
  return { ...result, failure: { seed, input, text } };
}

function runningOf(name: string): Running {
  const known = running.get(name);
  if (known !== undefined) return known;
  const target = TARGETS.find((candidate) => candidate.name === name);
  if (target === undefined) throw new RangeError(`there is no target ${name}`);
  const made = { fuzzer: new Fuzzer(target), seen: new Set<string>(), told: new Map() };
  running.set(name, made);
  return made;
}

doJobs(run);
