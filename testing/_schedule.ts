/** Something that will happen at a time. */
export interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/**
 * What is to happen, ordered by time and then by when it was added. It is a binary heap, because a
 * cluster has thousands of timers, most of which are cancelled.
 */
export class Schedule {
  readonly #heap: Entry[] = [];
  #nextOrder = 0;
  #now: number;

  /** Begins at `now`, in milliseconds. */
  constructor(now: number) {
    this.#now = now;
  }

  /** The current simulated time, in milliseconds. */
  get now(): number {
    return this.#now;
  }

  /** Calls `run` after a delay; a negative delay counts as 0. */
  after(delayMs: number, run: () => void): Entry {
    const at = this.#now + Math.max(0, delayMs);
    const entry = { at, order: this.#nextOrder++, run, isCancelled: false };
    this.#heap.push(entry);
    this.#rise(this.#heap.length - 1);
    return entry;
  }

  /** Takes the next entry that is due up to `end`, and advances the time to it. */
  take(end: number): Entry | undefined {
    for (let next = this.#heap[0]; next !== undefined && next.at <= end; next = this.#heap[0]) {
      this.#removeFirst();
      if (next.isCancelled) continue;
      this.#now = next.at;
      return next;
    }
    return undefined;
  }

  /** Lets time pass in which nothing happens. */
  passUntil(end: number): void {
    this.#now = Math.max(this.#now, end);
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  #rise(start: number): void {
    for (let i = start; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!isBefore(this.#heap[i], this.#heap[parent])) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #sink(): void {
    const heap = this.#heap;
    for (let i = 0;;) {
      let first = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && isBefore(heap[child], heap[first])) first = child;
      }
      if (first === i) return;
      this.#swap(i, first);
      i = first;
    }
  }

  #swap(i: number, j: number): void {
    [this.#heap[i], this.#heap[j]] = [this.#heap[j], this.#heap[i]];
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
