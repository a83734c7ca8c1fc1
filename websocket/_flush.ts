/**
 * The flush that all sockets of a process share: what they collect during a turn of the event loop is
 * written when the turn ends, one socket after the other.
 */

import { FrameList } from "./_frame_list.ts";
import { systemTiming, type Timing } from "./_timing.ts";

/** How long a flush may keep the event loop from timers and other input. */
const PAUSE_AFTER_MS = 20;

/** Sockets between two looks at the clock. */
const SOCKETS_BETWEEN_LOOKS = 32;

/** What is flushed. */
export interface Flushable {
  /** Writes what has been collected. */
  flush(): void;
}

export class Flush {
  readonly #timing: Timing;
  #waiting: Flushable[] = [];
  /** Of those that wait, how many have been flushed. */
  #flushed = 0;
  #isScheduled = false;
  /** Lists of one frame that were begun in this turn: the latest for each kind of socket. */
  #begun: (FrameList | undefined)[] = [];

  constructor(timing: Timing = systemTiming) {
    this.#timing = timing;
  }

  /** Sockets that wait to be flushed. */
  get waiting(): number {
    return this.#waiting.length - this.#flushed;
  }

  /** Has `socket` flushed when the turn ends. */
  add(socket: Flushable): void {
    this.#waiting.push(socket);
    this.#schedule();
  }

  /** A list with only this frame, if a socket of this kind has just begun one. */
  begunWith(kind: number, frame: Uint8Array): FrameList | undefined {
    return this.#begun[kind]?.shareFor(frame);
  }

  /** Begins a list. Sockets of different kinds are sent different frames for the same message. */
  begin(kind: number, frame: Uint8Array): FrameList {
    // A long frame is written at once: then nobody else ends the turn, after which it must be free.
    this.#schedule();
    return this.#begun[kind] = new FrameList(undefined, frame);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#timing.endOfTurn(() => this.#run());
  }

  #run(): void {
    this.#isScheduled = false;
    this.#begun = [];
    const startedAt = this.#timing.now();
    while (this.#flushed < this.#waiting.length) {
      this.#waiting[this.#flushed++].flush();
      if (this.#flushed % SOCKETS_BETWEEN_LOOKS !== 0) continue;
      if (this.#timing.now() - startedAt < PAUSE_AFTER_MS) continue;
      // The others go on in the next turn, before sockets that are added in the meantime.
      this.#waiting = this.#waiting.slice(this.#flushed);
      this.#flushed = 0;
      if (this.#waiting.length === 0) return;
      this.#isScheduled = true;
      this.#timing.nextTurn(() => this.#run());
      return;
    }
    this.#waiting = [];
    this.#flushed = 0;
  }
}

/** The one of this process. */
export const sharedFlush: Flush = new Flush();
