/**
 * A limit on how often something may happen: a bucket of tokens that fills at a steady rate. Each time
 * costs one token, and the tokens that have gathered allow a burst.
 */
export class TokenBucket {
  readonly #capacity: number;
  readonly #perSecond: number;
  #tokens: number;
  #filledAt: number;

  /** Starts full. `now` is in milliseconds, by a clock that never goes backwards. */
  constructor(options: { capacity: number; perSecond: number; now: number }) {
    this.#capacity = options.capacity;
    this.#perSecond = options.perSecond;
    this.#tokens = options.capacity;
    this.#filledAt = options.now;
  }

  /** Takes a token, if there is one. */
  take(now: number): boolean {
    const gathered = (now - this.#filledAt) / 1000 * this.#perSecond;
    this.#tokens = Math.min(this.#capacity, this.#tokens + gathered);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
