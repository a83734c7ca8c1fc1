/**
 * How long clients are read in a turn of the event loop, shared by all sockets of a process. A stream
 * may hand over some MiB in one turn, and a KiB that is compressed may take milliseconds: without a
 * limit, one client could hold up all others, their heartbeats and the application's timers.
 */

import { sharedFlush } from "./_flush.ts";
import { Queue } from "./_queue.ts";
import { systemTiming, type Timing } from "./_timing.ts";

/** What the clients of a turn may take together. */
const TURN_MS = 10;

/** What one client may take before it is the next one's turn. */
const SLICE_MS = 2;

/**
 * While more has been read than could be written in a turn, those that send much have to wait, as long as
 * this many turns: what waits to be written would only grow, and quiet clients wait for it as well.
 */
const MAX_TURNS_BEHIND = 5;

/**
 * The clock takes 0.2 µs to look at on some machines. While frames take less than this together, fewer of
 * them are followed by a look: every second, fourth, and at last every eighth.
 */
const QUICK_MS = 0.1;
const MAX_FRAMES_BETWEEN_LOOKS = 8;

/** What has been read and waits. */
export interface Reader {
  /** Goes on until nothing waits any more, or `isOver` says so. */
  readOn(isOver: () => boolean): void;
}

export class Reading {
  readonly #timing: Timing;
  readonly #isBehind: () => boolean;
  /** Those that have not been read since they wait. They want little, as far as is known. */
  readonly #fresh = new Queue<Reader>();
  /** Those that have been read, and want more. */
  readonly #greedy = new Queue<Reader>();
  /** True from the first long read of a turn until the turn has ended. */
  #isOpen = false;
  /** True while it is planned to read on. */
  #isPlanned = false;
  #turnsBehind = 0;
  #endsAt = 0;
  #sliceEndsAt = 0;
  #lookedAt = 0;
  #framesBetweenLooks = 1;
  #framesToLook = 1;

  /** `isBehind` says that more has been read already than could be written in a turn. */
  constructor(timing: Timing = systemTiming, isBehind: () => boolean = () => false) {
    this.#timing = timing;
    this.#isBehind = isBehind;
  }

  /** True if this turn has read enough. */
  get isOver(): boolean {
    return this.#isOpen && this.#timing.now() >= this.#endsAt;
  }

  /** True if those that send much have to wait. */
  get isBehind(): boolean {
    return this.#isBehind();
  }

  /** Begins to count for one client; gives what is to be asked after each frame whether it is enough. */
  begin(): () => boolean {
    if (!this.#isOpen) this.#open();
    this.#lookedAt = this.#timing.now();
    this.#sliceEndsAt = this.#lookedAt + SLICE_MS;
    this.#framesBetweenLooks = this.#framesToLook = 1;
    return this.#isSliceOver;
  }

  readonly #isSliceOver = (): boolean => {
    if (--this.#framesToLook > 0) return false;
    const now = this.#timing.now();
    this.#framesBetweenLooks = now - this.#lookedAt < QUICK_MS
      ? Math.min(2 * this.#framesBetweenLooks, MAX_FRAMES_BETWEEN_LOOKS)
      : 1;
    this.#framesToLook = this.#framesBetweenLooks;
    this.#lookedAt = now;
    return now >= this.#sliceEndsAt;
  };

  /** Has `reader` read on in a later turn; `isGreedy` if it has just been read. */
  wait(reader: Reader, isGreedy: boolean): void {
    (isGreedy ? this.#greedy : this.#fresh).push(reader);
    this.#plan();
  }

  #open(): void {
    this.#isOpen = true;
    this.#endsAt = this.#timing.now() + TURN_MS;
    this.#timing.endOfTurn(() => this.#isOpen = false);
  }

  /** Reads in turn those that wait, for as long as this turn may last. */
  #readOn(): void {
    if (!this.#isOpen) this.#open();
    const takesGreedy = !this.#isBehind() || ++this.#turnsBehind >= MAX_TURNS_BEHIND;
    if (takesGreedy) this.#turnsBehind = 0;
    try {
      while (!this.isOver) {
        // Those that want still more come after all others.
        const reader = this.#fresh.shift() ?? (takesGreedy ? this.#greedy.shift() : undefined);
        if (reader === undefined) break;
        reader.readOn(this.begin());
      }
    } finally {
      this.#isPlanned = false;
      if (this.#waiting > 0) this.#plan();
    }
  }

  get #waiting(): number {
    return this.#fresh.length + this.#greedy.length;
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#timing.nextTurn(() => this.#readOn());
  }
}

/** The one of this process. */
export const sharedReading: Reading = new Reading(systemTiming, () => sharedFlush.isBehind);
