import { setImmediate } from "node:timers";

/** Time and turns for the shared flush and reading, which tests replace. */
export interface Timing {
  /** Milliseconds that never run backwards. */
  now(): number;
  /** Calls `callback` when this turn of the event loop has read what there was. */
  endOfTurn(callback: () => void): void;
  /** Calls `callback` after others had their turn: timers, and clients to be read. */
  nextTurn(callback: () => void): void;
}

/**
 * The platform's event loop. Deno 2.9 reads no stream during a chain of immediates, nor while each of
 * its turns has an immediate and a due timer. Clients then wait for up to a second. So the timer for
 * the next turn is set after the work at the end of this turn, when it cannot be due yet.
 */
class SystemTiming implements Timing {
  #atEnd: (() => void)[] = [];
  #inNext: (() => void)[] = [];
  #isEndPlanned = false;
  #isNextPlanned = false;

  now(): number {
    return performance.now();
  }

  endOfTurn(callback: () => void): void {
    this.#atEnd.push(callback);
    this.#planEnd();
  }

  nextTurn(callback: () => void): void {
    this.#inNext.push(callback);
    this.#planEnd();
  }

  #planEnd(): void {
    if (this.#isEndPlanned) return;
    this.#isEndPlanned = true;
    setImmediate(() => this.#end());
  }

  #end(): void {
    const callbacks = this.#atEnd;
    this.#atEnd = [];
    this.#isEndPlanned = false;
    try {
      runAll(callbacks, (rest) => {
        this.#atEnd.unshift(...rest);
        this.#planEnd();
      });
    } finally {
      this.#planNext();
    }
  }

  #planNext(): void {
    if (this.#isNextPlanned || this.#inNext.length === 0) return;
    this.#isNextPlanned = true;
    setTimeout(() => this.#next(), 0);
  }

  #next(): void {
    const callbacks = this.#inNext;
    this.#inNext = [];
    this.#isNextPlanned = false;
    runAll(callbacks, (rest) => {
      this.#inNext.unshift(...rest);
      this.#planEnd();
    });
  }
}

/** Calls all of them. If one throws, the platform reports the error, and the others are put off. */
function runAll(callbacks: readonly (() => void)[], putOff: (rest: (() => void)[]) => void): void {
  let called = 0;
  try {
    while (called < callbacks.length) callbacks[called++]();
  } finally {
    if (called < callbacks.length) putOff(callbacks.slice(called));
  }
}

/** The one of this process. */
export const systemTiming: Timing = new SystemTiming();
