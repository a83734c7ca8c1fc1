/** Episodes of a full queue: reports the first drop of each. */
export class Overflow {
  readonly #maxBytes: number;
  readonly #report: () => void;
  #overflowing = false;

  /** Watches a queue that holds up to `maxBytes`. `report` is called once per episode. */
  constructor(maxBytes: number, report: () => void) {
    this.#maxBytes = maxBytes;
    this.#report = report;
  }

  /** The queue has drained to `queuedBytes`. Half empty ends the episode. */
  drained(queuedBytes: number): void {
    if (queuedBytes <= this.#maxBytes / 2) this.#overflowing = false;
  }

  /** A message did not fit. */
  dropped(): void {
    if (this.#overflowing) return;
    this.#overflowing = true;
    // Later, so that a listener that publishes does not do so in the middle of a publish.
    queueMicrotask(this.#report);
  }
}
