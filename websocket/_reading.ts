/**
 * Limits how long a turn of the event loop reads from clients, for all sockets of a process. A stream
 * may hand over some MiB in one turn, and a compressed KiB may take milliseconds. Without a limit,
 * one client could hold up all others, their heartbeats and the application's timers.
 */

import { sharedFlush } from "./_flush.ts";
import { Queue } from "./_queue.ts";
import { systemTiming, type Timing } from "./_timing.ts";

/** How long a turn may read from all clients together. */
const TURN_MS = 5;

/** How long it may read from one client before it is the next one's turn. */
const SLICE_MS = 2;

/**
 * While the flush is behind, clients that send much wait for so many turns. If they were read, the
 * unsent bytes would only grow, and quiet clients would wait for those as well.
 */
const MAX_TURNS_BEHIND = 5;

/**
 * Reading the clock takes 0.2 µs on some machines. If the frames since the last reading took less than
 * this, twice as many follow before the next one, up to the maximum.
 */
const QUICK_MS = 0.1;
const MAX_FRAMES_PER_CLOCK_READ = 8;

/** A connection with bytes that it has received and not read yet. */
export interface Reader {
  /** Reads on until nothing is left, or until `isOver` returns true. */
  readOn(isOver: () => boolean): void;
}

export class Reading {
  readonly #timing: Timing;
  readonly #isBehind: () => boolean;
  /** Connections that have not been read since they began to wait. They may have sent little. */
  readonly #fresh = new Queue<Reader>();
  /** Connections that have been read, and have more to read. */
  readonly #greedy = new Queue<Reader>();
  /** True from the first long read of a turn until the turn has ended. */
  #isOpen = false;
  /** True while a later turn is planned. */
  #isPlanned = false;
  #turnsBehind = 0;
  #endsAt = 0;
  #sliceEndsAt = 0;
  #readClockAt = 0;
  #framesPerClockRead = 1;
  #framesLeft = 1;

  /** `isBehind` returns true while the flush needs more than a turn. */
  constructor(timing: Timing = systemTiming, isBehind: () => boolean = () => false) {
    this.#timing = timing;
    this.#isBehind = isBehind;
  }

  /** Connections that wait to be read. */
  get waiting(): number {
    return this.#fresh.length + this.#greedy.length;
  }

  /** True if this turn has read enough. */
  get isOver(): boolean {
    return this.#isOpen && this.#timing.now() >= this.#endsAt;
  }

  /** True if clients that send much have to wait. */
  get isBehind(): boolean {
    return this.#isBehind();
  }

  /** Begins to read one client. The reader calls what this returns after each frame; true: stop. */
  begin(): () => boolean {
    if (!this.#isOpen) this.#open();
    this.#readClockAt = this.#timing.now();
    this.#sliceEndsAt = this.#readClockAt + SLICE_MS;
    this.#framesPerClockRead = this.#framesLeft = 1;
    return this.#isSliceOver;
  }

  readonly #isSliceOver = (): boolean => {
    if (--this.#framesLeft > 0) return false;
    const now = this.#timing.now();
    this.#framesPerClockRead = now - this.#readClockAt < QUICK_MS
      ? Math.min(2 * this.#framesPerClockRead, MAX_FRAMES_PER_CLOCK_READ)
      : 1;
    this.#framesLeft = this.#framesPerClockRead;
    this.#readClockAt = now;
    return now >= this.#sliceEndsAt;
  };

  /** Has `reader` read on in a later turn. `isGreedy`: it has just been read. */
  wait(reader: Reader, isGreedy: boolean): void {
    (isGreedy ? this.#greedy : this.#fresh).push(reader);
    this.#plan();
  }

  #open(): void {
    this.#isOpen = true;
    this.#endsAt = this.#timing.now() + TURN_MS;
    this.#timing.endOfTurn(() => this.#isOpen = false);
  }

  /** Reads those that wait, one after the other, as long as this turn may last. */
  #readOn(): void {
    if (!this.#isOpen) this.#open();
    const takesGreedy = !this.#isBehind() || ++this.#turnsBehind >= MAX_TURNS_BEHIND;
    if (takesGreedy) this.#turnsBehind = 0;
    try {
      while (!this.isOver) {
        // A connection that has more to read comes after all others.
        const reader = this.#fresh.shift() ?? (takesGreedy ? this.#greedy.shift() : undefined);
        if (reader === undefined) break;
        reader.readOn(this.begin());
      }
    } finally {
      this.#isPlanned = false;
      if (this.waiting > 0) this.#plan();
    }
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#timing.nextTurn(() => this.#readOn());
  }
}

/** The one of this process. */
export const sharedReading: Reading = new Reading(systemTiming, () => sharedFlush.isBehind);
