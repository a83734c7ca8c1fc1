import { backoffMs } from "../backplane/backoff.ts";
import { type RandomBytes, randomFraction, type Timers } from "../backplane/clock.ts";

/** A topic that the broker does not let this node subscribe to. */
export interface Refusal {
  readonly topic: string;
  /** The broker's error. */
  readonly cause: unknown;
}

/**
 * The topics that a broker refuses, and when to ask for them again: with exponential backoff, until
 * they are granted or no longer wanted. A broker does not say when a permission has been repaired,
 * so only asking tells. One timer serves all topics.
 *
 * Topics are asked for in rounds: at the start, on each new connection, and when the timer fires. A
 * topic that was refused in an earlier round and not in this one has been granted.
 */
export class RefusedTopics {
  readonly #refusals = new Map<string, { readonly cause: unknown; readonly round: number }>();
  readonly #timers: Timers;
  readonly #randomBytes: RandomBytes;
  readonly #ask: () => Promise<void>;
  #round = 0;
  /** Times that the timer has fired since nothing was refused. */
  #failures = 0;
  #timer: unknown;
  #asking = false;
  #stopped = false;

  /**
   * @param ask asks for all refused topics again, which is a round. It resolves when the broker has
   * answered, and rejects if the broker never will.
   */
  constructor(timers: Timers, randomBytes: RandomBytes, ask: () => Promise<void>) {
    this.#timers = timers;
    this.#randomBytes = randomBytes;
    this.#ask = ask;
  }

  /** How many topics are refused. */
  get size(): number {
    return this.#refusals.size;
  }

  /** One of the refused topics, if any. */
  get first(): Refusal | undefined {
    for (const [topic, { cause }] of this.#refusals) return { topic, cause };
    return undefined;
  }

  /** The refused topics. */
  topics(): string[] {
    return [...this.#refusals.keys()];
  }

  /** The broker has refused a topic in this round. True unless that was known. */
  add(topic: string, cause: unknown): boolean {
    if (this.#stopped) return false;
    const isNew = !this.#refusals.has(topic);
    this.#refusals.set(topic, { cause, round: this.#round });
    this.#schedule();
    return isNew;
  }

  /** A topic is no longer wanted. */
  delete(topic: string): void {
    if (this.#refusals.delete(topic)) this.#rest();
  }

  /** A round begins. */
  beginRound(): void {
    this.#round++;
  }

  /** The broker has answered this round. True if it has granted a topic that was refused before. */
  endRound(): boolean {
    const before = this.size;
    for (const [topic, { round }] of this.#refusals) {
      if (round < this.#round) this.#refusals.delete(topic);
    }
    this.#rest();
    return this.size < before;
  }

  /** Stops asking. */
  stop(): void {
    this.#stopped = true;
    this.#forget();
  }

  #forget(): void {
    this.#refusals.clear();
    this.#rest();
  }

  /** Stops the timer if nothing is refused. */
  #rest(): void {
    if (this.size > 0) return;
    this.#failures = 0;
    this.#timers.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#asking || this.size === 0) return;
    const delayMs = backoffMs(this.#failures, randomFraction(this.#randomBytes));
    this.#timer = this.#timers.setTimeout(() => this.#askAgain(), delayMs);
  }

  async #askAgain(): Promise<void> {
    this.#timer = undefined;
    this.#failures++;
    this.#asking = true;
    try {
      await this.#ask();
    } catch {
      // The client has been closed for good. If it is opened after all, that begins a new round.
      this.#forget();
    }
    this.#asking = false;
    this.#schedule();
  }
}
