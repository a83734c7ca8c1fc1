/** Reports the first drop of each episode in which a queue is full. */
export class Overflow {
  readonly #maxBytes: number;
  readonly #report: () => void;
  #overflowing = false;

  /** Watches a queue that holds up to `maxBytes`. `report` is called once per episode. */
  constructor(maxBytes: number, report: () => void) {
    this.#maxBytes = maxBytes;
    this.#report = report;
  }

  /** The queue has drained to `queuedBytes`. The episode ends when it is half empty. */
  drained(queuedBytes: number): void {
    if (queuedBytes <= this.#maxBytes / 2) this.#overflowing = false;
  }

  /** A message did not fit. */
  dropped(): void {
    if (this.#overflowing) return;
    this.#overflowing = true;
    // In a microtask, so that a listener cannot publish in the middle of a publish.
    queueMicrotask(this.#report);
  }
}
