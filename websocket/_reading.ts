/**
 * How long clients are read in a turn of the event loop, shared by all sockets of a process. A stream
 * may hand over some MiB in one turn, and a KiB that is compressed may take milliseconds: without a
 * limit, one client could hold up all others, their heartbeats and the application's timers.
 */

import { setImmediate } from "node:timers";

/** What the clients of a turn may take together. */
const TURN_MS = 10;

/** What one of those that wait may take before it is the next one's turn. */
const SLICE_MS = 2;

/** What has been read and waits. */
export interface Reader {
  /** Goes on until nothing waits any more, or `isOver` says so. */
  readOn(isOver: () => boolean): void;
}

/** When turns end, and what time it is; to be replaced in tests. */
export interface ReadingTiming {
  now(): number;
  setImmediate(callback: () => void): unknown;
}

const systemTiming: ReadingTiming = {
  now: () => performance.now(),
  setImmediate: (callback) => setImmediate(callback),
};

export class Reading {
  readonly #timing: ReadingTiming;
  #waiting: Reader[] = [];
  /** True from the first long read of a turn until the turn has ended. */
  #isOpen = false;
  #endsAt = 0;
  #sliceEndsAt = 0;
  readonly #isTurnOver = () => this.#timing.now() >= this.#endsAt;
  readonly #isSliceOver = () => this.#timing.now() >= this.#sliceEndsAt;

  constructor(timing: ReadingTiming = systemTiming) {
    this.#timing = timing;
  }

  /** True if this turn has read enough. */
  get isOver(): boolean {
    return this.#isOpen && this.#isTurnOver();
  }

  /** Begins to count, if that has not happened in this turn; gives what says when it is enough. */
  begin(): () => boolean {
    if (!this.#isOpen) this.#open();
    return this.#isTurnOver;
  }

  /** Has `reader` read on in a later turn. */
  wait(reader: Reader): void {
    this.#waiting.push(reader);
    if (!this.#isOpen) this.#open();
  }

  #open(): void {
    this.#isOpen = true;
    this.#endsAt = this.#timing.now() + TURN_MS;
    this.#timing.setImmediate(() => this.#run());
  }

  #run(): void {
    this.#isOpen = false;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    this.#open();
    let next = 0;
    while (next < waiting.length && !this.#isTurnOver()) {
      this.#sliceEndsAt = this.#timing.now() + SLICE_MS;
      waiting[next++].readOn(this.#isSliceOver);
    }
    // Those that had no turn come before those that had one and still wait.
    if (next < waiting.length) this.#waiting = [...waiting.slice(next), ...this.#waiting];
  }
}

/** The one of this process. */
export const sharedReading: Reading = new Reading();
