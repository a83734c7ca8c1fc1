/**
 * How long clients are read in a turn of the event loop, shared by all sockets of a process. A stream
 * may hand over some MiB in one turn, and a KiB that is compressed may take milliseconds: without a
 * limit, one client could hold up all others, their heartbeats and the application's timers.
 */

import { systemTiming, type Timing } from "./_timing.ts";

/** What the clients of a turn may take together. */
const TURN_MS = 10;

/** What one client may take before it is the next one's turn. */
const SLICE_MS = 2;

/** What has been read and waits. */
export interface Reader {
  /** Goes on until nothing waits any more, or `isOver` says so. */
  readOn(isOver: () => boolean): void;
}

export class Reading {
  readonly #timing: Timing;
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
  readonly #isSliceOver = () => this.#timing.now() >= this.#sliceEndsAt;

  constructor(timing: Timing = systemTiming) {
    this.#timing = timing;
  }

  /** True if this turn has read enough. */
  get isOver(): boolean {
    return this.#isOpen && this.#timing.now() >= this.#endsAt;
  }

  /** Begins to count for one client; gives what says when it is enough. */
  begin(): () => boolean {
    if (!this.#isOpen) this.#open();
    this.#sliceEndsAt = this.#timing.now() + SLICE_MS;
    return this.#isSliceOver;
  }

  /** Has `reader` read on in a later turn; `isGreedy` if it has just been read. */
  wait(reader: Reader, isGreedy: boolean): void {
    (isGreedy ? this.#greedy : this.#fresh).push(reader);
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#timing.nextTurn(() => this.#readOn());
  }

  #open(): void {
    this.#isOpen = true;
    this.#endsAt = this.#timing.now() + TURN_MS;
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
export const sharedReading: Reading = new Reading();
