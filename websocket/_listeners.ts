/** The listeners of a socket, in the order in which they were added. */

interface Entry {
  readonly type: string;
  readonly listener: Listener;
  readonly once: boolean;
  /** Stops waiting for the signal. */
  readonly forgetSignal: (() => void) | undefined;
  removed: boolean;
}

type Handler = (event: never) => unknown;
export type Listener = Handler | { handleEvent: Handler };

export class Listeners {
  // Copied on change, so that an event reaches those that listened when it began.
  #entries: readonly Entry[] = [];

  add(type: string, listener: Listener, once: boolean, signal: AbortSignal | undefined): void {
    if (signal?.aborted || this.#find(type, listener) !== undefined) return;
    let forgetSignal: (() => void) | undefined;
    if (signal !== undefined) {
      const remove = () => this.remove(type, listener);
      signal.addEventListener("abort", remove, { once: true });
      forgetSignal = () => signal.removeEventListener("abort", remove);
    }
    this.#entries = [...this.#entries, { type, listener, once, forgetSignal, removed: false }];
  }

  remove(type: string, listener: Listener): void {
    const entry = this.#find(type, listener);
    if (entry !== undefined) this.#remove(entry);
  }

  /** Calls `call` with each listener of `type`. */
  each(type: string, call: (listener: Listener) => void): void {
    for (const entry of this.#entries) {
      if (entry.type !== type || entry.removed) continue;
      if (entry.once) this.#remove(entry);
      call(entry.listener);
    }
  }

  /** Removes all. */
  clear(): void {
    for (const entry of this.#entries) this.#remove(entry);
  }

  #find(type: string, listener: Listener): Entry | undefined {
    return this.#entries.find((entry) => entry.type === type && entry.listener === listener);
  }

  #remove(entry: Entry): void {
    entry.removed = true;
    entry.forgetSignal?.();
    this.#entries = this.#entries.filter((other) => other !== entry);
  }
}
