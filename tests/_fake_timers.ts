/** Time that passes when a test says so. Serves as timers of `Rooms` and as clock of a mesh. */
export class FakeTimers {
  #now = 1_000_000;
  #nextId = 1;
  readonly #pending = new Map<number, { at: number; callback: () => void }>();

  /** Timers that have neither run nor been called off. */
  get pending(): number {
    return this.#pending.size;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, delayMs: number): number {
    this.#pending.set(this.#nextId, { at: this.#now + delayMs, callback });
    return this.#nextId++;
  }

  clearTimeout(timer: unknown): void {
    if (typeof timer === "number") this.#pending.delete(timer);
  }

  /** Lets time pass, and runs what falls due on the way, in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#pending].filter(([, { at }]) => at <= end);
      if (due.length === 0) break;
      const [id, { at, callback }] = due.reduce((a, b) => b[1].at < a[1].at ? b : a);
      this.#pending.delete(id);
      this.#now = at;
      callback();
    }
    this.#now = end;
  }
}
