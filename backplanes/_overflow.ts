/** Tells of a full queue once, and again only after half of it has drained. */
export class Overflow {
  readonly #maxBytes: number;
  readonly #tell: () => void;
  #overflowing = false;

  constructor(maxBytes: number, tell: () => void) {
    this.#maxBytes = maxBytes;
    this.#tell = tell;
  }

  /** The queue holds so much now. */
  update(queuedBytes: number): void {
    if (queuedBytes <= this.#maxBytes / 2) this.#overflowing = false;
  }

  /** Something did not fit. */
  happened(): void {
    if (this.#overflowing) return;
    this.#overflowing = true;
    // Later, so that a listener that publishes does not do so in the midst of a publish.
    queueMicrotask(this.#tell);
  }
}
