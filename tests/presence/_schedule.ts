/** What is to happen, by time, and at one time in the order in which it was asked for. */
export class Schedule {
  now = 1_000;
  readonly #items: { at: number; order: number; run: () => void }[] = [];
  #order = 0;

  at(at: number, run: () => void): void {
    const item = { at: Math.max(at, this.now), order: this.#order++, run };
    const items = this.#items;
    let i = items.push(item) - 1;
    for (; i > 0; i = (i - 1) >> 1) {
      const parent = items[(i - 1) >> 1];
      if (isBefore(parent, item)) break;
      items[i] = parent;
    }
    items[i] = item;
  }

  after(ms: number, run: () => void): void {
    this.at(this.now + ms, run);
  }

  /** Runs what falls due up to `end`. */
  runUntil(end: number): void {
    for (let next = this.#items[0]; next !== undefined && next.at <= end; next = this.#items[0]) {
      this.#removeFirst();
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  #removeFirst(): void {
    const items = this.#items;
    const last = items.pop();
    if (last === undefined || items.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isBefore(items[child + 1], items[child])) child++;
      if (isBefore(last, items[child])) break;
      items[i] = items[child];
      i = child;
    }
    items[i] = last;
  }
}

function isBefore(a: { at: number; order: number }, b: { at: number; order: number }): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
