import type { Clock } from "../backplane/clock.ts";

/** What a node does in the background. All of it ends with the node. */
export class TaskGroup {
  readonly #clock: Clock;
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True once the group has been stopped. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Aborted when the group is stopped. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Adds a task, which must handle its own errors. */
  run(task: Promise<void>): void {
    const tracked = task.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  /** Ends everything that waits in {@linkcode delay} or {@linkcode within}. */
  stop(): void {
    this.#stopped = true;
    this.#stopping.abort();
  }

  /** Resolves when no task is left. */
  async ended(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Waits, but no longer than until the group is stopped. */
  async delay(delayMs: number): Promise<void> {
    await this.within(delayMs, new Promise(() => {}));
  }

  /**
   * What `work` resolves to; undefined if that takes over `limitMs`, or when the group is stopped.
   */
  async within<T>(limitMs: number, work: Promise<T>): Promise<T | undefined> {
    const { signal } = this.#stopping;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const stop = () => resolve(undefined);
    const timer = this.#clock.setTimeout(stop, limitMs);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
    try {
      return await Promise.race([work, promise]);
    } finally {
      this.#clock.clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }
}
