/** One target that several workers fuzz: who runs which seeds, and what has come of them. */

import type { Corpus } from "./_corpus.ts";
import type { Target } from "./_target.ts";
import type { Turn, TurnResult } from "./_worker.ts";

/** How long a target runs, roughly, before it is the next one's turn. */
const TURN_MS = 500;

/** How many seeds a target runs while nobody knows how long they take. */
const FIRST_SEEDS = 20;

/** See the head of the file. */
export class Run {
  readonly target: Target;
  readonly news: Corpus = new Map();
  readonly outcomes = new Set<string>();
  cases = 0;
  tookMs = 0;
  #next: number;
  readonly #end: number;

  constructor(target: Target, first: number, end: number) {
    this.target = target;
    this.#next = first;
    this.#end = end;
  }

  /** Seeds for a turn, unless all have been given out. */
  turn(): Turn | undefined {
    if (this.#next >= this.#end) return undefined;
    const first = this.#next;
    const seeds = this.tookMs > 0
      ? Math.max(1, Math.round(TURN_MS * this.cases / this.tookMs))
      : FIRST_SEEDS;
    this.#next = Math.min(this.#end, first + seeds);
    return { target: this.target.name, first, end: this.#next };
  }

  add({ cases, tookMs, outcomes, news }: TurnResult): void {
    this.cases += cases;
    this.tookMs += tookMs;
    for (const outcome of outcomes) this.outcomes.add(outcome);
    for (const [outcome, input] of news) {
      const kept = this.news.get(outcome);
      if (kept === undefined || input.length < kept.length) this.news.set(outcome, input);
    }
  }
}
