/** Runs the seeds that `simulate.ts` hands to it. */

import { doJobs } from "../_workers.ts";
import { type Outcome, runSeed } from "./_run.ts";

/** An outcome as it travels between workers. */
export type Told = Omit<Outcome, "violation" | "history"> & {
  /** What was violated; left out if all held. */
  readonly violation?: string;
  /** What happened last, if something was violated. */
  readonly history: readonly string[];
};

/** Puts an outcome into words. */
export function told({ violation, history, ...outcome }: Outcome): Told {
  if (violation === undefined) return { ...outcome, history: [] };
  const isPlain = violation instanceof Error && violation.name === "Violation";
  const text = isPlain
    ? violation.message
    : violation instanceof Error
    ? violation.stack
    : String(violation);
  return { ...outcome, violation: text, history };
}

if ("DedicatedWorkerGlobalScope" in globalThis) {
  doJobs(async (seed: number): Promise<Told> => told(await runSeed(seed)));
}
