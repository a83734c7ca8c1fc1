/**
 * The flush that all sockets of a process share: what they collect during a turn of the event loop is
 * written when the turn ends, one socket after the other.
 */

import { FrameList } from "./_frame_list.ts";
import { Queue } from "./_queue.ts";
import { systemTiming, type Timing } from "./_timing.ts";

/** How long a flush may keep the event loop from timers and other input. */
const PAUSE_AFTER_MS = 10;

/** What of it sockets with little to send may take while others wait. */
const LIGHT_MS = 5;

/** What a socket has at most to count as one with little to send: writing it costs one system call. */
const LIGHT_BYTES = 4096;

/** How long sockets may be written before the turn ends. */
const EARLY_MS = 10;

/** Sockets between two looks at the clock. A write may take 0.2 ms if the kernel has to make room. */
const SOCKETS_BETWEEN_LOOKS = 8;

/** What is flushed. */
export interface Flushable {
  /** Bytes that a flush would write. */
  readonly collectedBytes: number;
  /** Writes what has been collected, before the turn ends. */
  write(): void;
  /** Writes what has been collected, as it is this socket's turn. */
  flush(): void;
}

export class Flush {
  readonly #timing: Timing;
  /** Sockets that have been added and not looked at yet. */
  readonly #added = new Queue<Flushable>();
  /** Those that were found to have much to send. */
  readonly #heavy = new Queue<Flushable>();
  #isScheduled = false;
  #isBehind = false;
  /** How long sockets have been written before this turn ended. */
  #earlyMs = 0;
  /** Lists of one frame that were begun in this turn: the latest for each kind of socket. */
  #begun: (FrameList | undefined)[] = [];

  constructor(timing: Timing = systemTiming) {
    this.#timing = timing;
  }

  /** Sockets that wait to be flushed. */
  get waiting(): number {
    return this.#added.length + this.#heavy.length;
  }

  /** True if the last turn was too short for all that had something to send. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Has `socket` flushed when the turn ends. */
  add(socket: Flushable): void {
    this.#added.push(socket);
    this.#schedule();
  }

  /**
   * Writes a socket before the turn ends. False if that has taken too long in this turn already: then
   * nothing is written, as the turn must come to its end.
   */
  writeEarly(socket: Flushable): boolean {
    if (this.#earlyMs >= EARLY_MS) return false;
    this.#schedule();
    const startedAt = this.#timing.now();
    socket.write();
    this.#earlyMs += this.#timing.now() - startedAt;
    return true;
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
    this.#earlyMs = 0;
    const startedAt = this.#timing.now();
    this.#flushLight(startedAt);
    this.#flushHeavy(startedAt);
    this.#isBehind = this.waiting > 0;
    if (!this.#isBehind) return;
    // The others go on in the next turn, before sockets that are added in the meantime.
    this.#isScheduled = true;
    this.#timing.nextTurn(() => this.#run());
  }

  /**
   * Flushes those that have little to send. They come first, so that a quiet room does not wait for busy
   * ones; as they may not take the whole time, the others do not wait for ever.
   */
  #flushLight(startedAt: number): void {
    for (let looked = 1; this.#added.length > 0; looked++) {
      const socket = this.#added.shift();
      if (socket === undefined) return;
      if (socket.collectedBytes > LIGHT_BYTES) this.#heavy.push(socket);
      else socket.flush();
      if (looked % SOCKETS_BETWEEN_LOOKS !== 0) continue;
      const limitMs = this.#heavy.length > 0 ? LIGHT_MS : PAUSE_AFTER_MS;
      if (this.#timing.now() - startedAt >= limitMs) return;
    }
  }

  #flushHeavy(startedAt: number): void {
    for (let flushed = 1; this.#heavy.length > 0; flushed++) {
      this.#heavy.shift()?.flush();
      if (flushed % SOCKETS_BETWEEN_LOOKS !== 0) continue;
      if (this.#timing.now() - startedAt >= PAUSE_AFTER_MS) return;
    }
  }
}

/** The one of this process. */
export const sharedFlush: Flush = new Flush();
