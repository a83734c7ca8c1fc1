import type { Clock } from "../backplane/clock.ts";

/** Something open that can keep a process alive, or not. */
export interface Open {
  /** Makes it keep the process alive. */
  ref?(): void;
  /** Makes it no longer keep the process alive. */
  unref?(): void;
}

/**
 * Controls whether a node keeps the process alive. It holds the listener and the connections of the
 * node while they are open, and makes the timers of the node.
 */
export class KeepAlive implements Clock {
  readonly #clock: Clock;
  readonly #open = new Set<Open>();
  readonly #timers = new Set<unknown>();
  #isRef = true;

  /** Keeps the process alive. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  setTimeout(callback: () => void, delayMs: number): unknown {
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, delayMs);
    this.#timers.add(timer);
    if (!this.#isRef) this.#clock.unrefTimer?.(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer);
    this.#clock.clearTimeout(timer);
  }

  /** Adds something that has been opened. */
  add(open: Open): void {
    this.#open.add(open);
    if (!this.#isRef) open.unref?.();
  }

  /** Removes something that has been closed. */
  delete(open: Open): void {
    this.#open.delete(open);
  }

  /** Makes everything keep the process alive, or nothing. */
  set(isRef: boolean): void {
    if (isRef === this.#isRef) return;
    this.#isRef = isRef;
    for (const open of this.#open) isRef ? open.ref?.() : open.unref?.();
    for (const timer of this.#timers) {
      if (isRef) this.#clock.refTimer?.(timer);
      else this.#clock.unrefTimer?.(timer);
    }
  }
}
