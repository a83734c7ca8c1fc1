/**
 * How long clients are read in a turn of the event loop, shared by all sockets of a process. A stream
 * may hand over some MiB in one turn, and a KiB that is compressed may take milliseconds: without a
 * limit, one client could hold up all others, their heartbeats and the application's timers.
 */

import { sharedFlush } from "./_flush.ts";
import { systemTiming, type Timing } from "./_timing.ts";

/** What the clients of a turn may take together. */
const TURN_MS = 10;

/** What one client may take before it is the next one's turn; all of them, while writing is behind. */
const SLICE_MS = 2;

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
  #fresh: Reader[] = [];
  /** Those that have been read, and want more. */
  #greedy: Reader[] = [];
  /** True from the first long read of a turn until the turn has ended. */
  #isOpen = false;
  /** True while it is planned to read on. */
  #isPlanned = false;
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
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#timing.nextTurn(() => this.#readOn());
  }

  #open(): void {
    this.#isOpen = true;
    this.#endsAt = this.#timing.now() + (this.#isBehind() ? SLICE_MS : TURN_MS);
    this.#timing.endOfTurn(() => this.#isOpen = false);
  }

  #readOn(): void {
    this.#isPlanned = false;
    if (!this.#isOpen) this.#open();
    const [fresh, greedy] = [this.#fresh, this.#greedy];
    this.#fresh = [];
    // Those that want still more come after all others.
    this.#greedy = [];
    for (const reader of this.#read(fresh)) this.wait(reader, false);
    const unread = this.#read(greedy);
    if (unread.length === 0) return;
    const stillGreedy = this.#greedy;
    this.#greedy = [];
    for (const reader of [...unread, ...stillGreedy]) this.wait(reader, true);
  }

  /** Reads these in turn, and gives those that the turn is too short for. */
  #read(readers: readonly Reader[]): Reader[] {
    let next = 0;
    while (next < readers.length && !this.isOver) readers[next++].readOn(this.begin());
    return readers.slice(next);
  }
}

/** The one of this process. */
export const sharedReading: Reading = new Reading(systemTiming, () => sharedFlush.isBehind);
