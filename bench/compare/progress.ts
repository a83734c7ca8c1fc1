/** Says what is going on, and how long it will take: contender, step, time left. */

import type { Step } from "./scenario.ts";

const CLEAR_LINE = "\r\x1b[K";
const MIN_ELAPSED_SHARE = 0.02;

/** Progress through steps, on standard error. */
export class Progress {
  readonly #totalSeconds: number;
  readonly #start = performance.now();
  readonly #isTerminal = Deno.stderr.isTerminal();
  #doneSeconds = 0;

  constructor(steps: readonly Step[]) {
    this.#totalSeconds = steps.reduce((sum, { seconds }) => sum + seconds, 0);
  }

  /** The next step begins. */
  begin(title: string, step: Step): void {
    const share = this.#doneSeconds / Math.max(1, this.#totalSeconds);
    const percent = String(Math.floor(share * 100)).padStart(3);
    this.#print(
      `${percent} %  ${this.#left(share)} left  ${title} · ${step.what} · ${step.contender}`,
    );
    this.#doneSeconds += step.seconds;
  }

  /** Says something that is to stay. */
  note(text: string): void {
    if (this.#isTerminal) write(CLEAR_LINE);
    write(`${text}\n`);
  }

  end(): void {
    const minutes = (performance.now() - this.#start) / 60_000;
    this.note(`100 %  done in ${minutes.toFixed(1)} min`);
  }

  #left(share: number): string {
    const elapsed = (performance.now() - this.#start) / 1000;
    const planned = this.#totalSeconds - this.#doneSeconds;
    // Once there is something to go by, what was planned is corrected by what it really took.
    const pace = share < MIN_ELAPSED_SHARE ? 1 : elapsed / this.#doneSeconds;
    const seconds = Math.round(planned * pace);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} min`;
  }

  #print(text: string): void {
    write(this.#isTerminal ? `${CLEAR_LINE}${text}` : `${text}\n`);
  }
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
