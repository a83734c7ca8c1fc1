/** One target being fuzzed, seed by seed: a seed and the corpus decide the input, and nothing else. */

import { Random } from "../../testing/mod.ts";
import { type Corpus, readCorpus } from "./_corpus.ts";
import { makeInput } from "./_mutate.ts";
import { type Target, Violation } from "./_target.ts";

/** What went wrong, and with what. */
export interface Failure {
  readonly input: Uint8Array;
  readonly violation: unknown;
}

export class Fuzzer {
  readonly target: Target;
  /** What was kept before, from outcome to input. */
  readonly corpus: Corpus;
  /** How often each outcome has come up. */
  readonly outcomes = new Map<string, number>();
  /** Of outcomes that are not in the corpus, the shortest input each. */
  readonly news: Corpus = new Map();
  cases = 0;
  /** Time that the cases have taken. */
  tookMs = 0;
  readonly #bases: readonly Uint8Array[];

  constructor(target: Target) {
    this.target = target;
    this.corpus = readCorpus(target);
    this.#bases = [...target.examples, ...this.corpus.values()];
  }

  /** The input of a seed. */
  input(seed: number): Uint8Array {
    const { framesFrom } = this.target;
    return makeInput(new Random(seed), { bases: this.#bases, framesFrom });
  }

  /** Runs an input, and gives what went wrong, if anything did. */
  async run(input: Uint8Array): Promise<Failure | undefined> {
    using uncaught = new Uncaught();
    const failure = await this.#run(input);
    const violation = await uncaught.all();
    return failure ?? (violation && { input, violation });
  }

  /** Runs seeds from `first` up to but not including `end`, for `limitMs` at most. */
  async runSeeds(
    first: number,
    end: number,
    limitMs = Infinity,
  ): Promise<{ next: number; failure: (Failure & { seed: number }) | undefined }> {
    const startedAt = performance.now();
    using uncaught = new Uncaught();
    let failure: Failure | undefined;
    let seed = first;
    let input = new Uint8Array();
    for (; seed < end && failure === undefined; seed++) {
      if (performance.now() - startedAt >= limitMs) break;
      input = new Uint8Array(this.input(seed));
      failure = await this.#run(input);
      this.cases++;
      const violation = uncaught.first;
      failure ??= violation && { input, violation };
    }
    const violation = await uncaught.all();
    failure ??= violation && { input, violation };
    this.tookMs += performance.now() - startedAt;
    return { next: seed, failure: failure && { ...failure, seed: seed - 1 } };
  }

  async #run(input: Uint8Array): Promise<Failure | undefined> {
    try {
      // A target that does not wait for anything is not waited for: that would cost more than it does.
      const running = this.target.run(input);
      const outcome = typeof running === "string" ? running : await running;
      this.#note(outcome, input);
    } catch (violation) {
      return { input, violation };
    }
    return undefined;
  }

  #note(outcome: string, input: Uint8Array): void {
    const times = this.outcomes.get(outcome) ?? 0;
    this.outcomes.set(outcome, times + 1);
    if (this.corpus.has(outcome)) return;
    const kept = this.news.get(outcome);
    if (kept === undefined || input.length < kept.length) this.news.set(outcome, input.slice());
  }
}

/** Hears of what nobody has caught. */
class Uncaught implements Disposable {
  first: Violation | undefined;
  readonly #listener = (event: Event) => {
    event.preventDefault();
    const what = event instanceof PromiseRejectionEvent
      ? event.reason
      : event instanceof ErrorEvent
      ? event.error
      : event.type;
    this.first ??= new Violation(`uncaught: ${what?.stack ?? what}`);
  };

  constructor() {
    globalThis.addEventListener("unhandledrejection", this.#listener);
    globalThis.addEventListener("error", this.#listener);
  }

  /** Waits for the turn in which an uncaught rejection is told of, and gives the first of all. */
  async all(): Promise<Violation | undefined> {
    await new Promise((resolve) => setTimeout(resolve, 0));
    return this.first;
  }

  [Symbol.dispose](): void {
    globalThis.removeEventListener("unhandledrejection", this.#listener);
    globalThis.removeEventListener("error", this.#listener);
  }
}
