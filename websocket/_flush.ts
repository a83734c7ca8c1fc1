/**
 * The flush that all sockets of a process share: what they collect during a turn of the event loop is
 * written when the turn ends, one socket after the other.
 */

import { FrameList } from "./_frame_list.ts";
import { Queue } from "./_queue.ts";
import { systemTiming, type Timing } from "./_timing.ts";

/** How long a flush may keep the event loop from timers and input. */
const PAUSE_AFTER_MS = 10;

/** The part of that for sockets with little to send, while others wait. */
const LIGHT_MS = 5;

/** The most that a socket with little to send has to send. One system call writes it. */
const LIGHT_BYTES = 4096;

/** How long a turn may spend on writing to sockets before it ends. */
const EARLY_MS = 10;

/**
 * The flush reads the clock once for so many sockets. One write may take 0.2 ms if the kernel has to
 * make room.
 */
const SOCKETS_PER_CLOCK_READ = 8;

/** A socket's outbox, as the flush sees it. */
export interface Flushable {
  /** Bytes that a flush would write. */
  readonly collectedBytes: number;
  /** Writes what has been collected, before the turn ends. */
  write(): void;
  /** Writes what has been collected, at the end of a turn. */
  flush(): void;
}

export class Flush {
  readonly #timing: Timing;
  /** Sockets that have been added, and of which nobody has checked how much they have to send. */
  readonly #added = new Queue<Flushable>();
  /** Sockets with much to send. */
  readonly #heavy = new Queue<Flushable>();
  #isScheduled = false;
  #isBehind = false;
  /** How long this turn has spent on writing so far. */
  #earlyMs = 0;
  /** Lists of one frame that were begun in this turn: the latest for each kind of socket. */
  #begun: (FrameList | undefined)[] = [];
  /** Lists that were made in this turn. */
  readonly #made: FrameList[] = [];

  constructor(timing: Timing = systemTiming) {
    this.#timing = timing;
  }

  /** Sockets that wait to be flushed. */
  get waiting(): number {
    return this.#added.length + this.#heavy.length;
  }

  /** True if the last turn was too short for all sockets that had something to send. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Has `socket` flushed when the turn ends. */
  add(socket: Flushable): void {
    this.#added.push(socket);
    this.#schedule();
  }

  /**
   * Writes to a socket before the turn ends. Returns false, and writes nothing, if this turn has
   * already spent too long on that.
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

  /**
   * Makes a list longer, or begins one. Until the turn ends, other sockets of this kind that add the
   * same frame get the same list. Sockets of different kinds are sent different frames for a message.
   */
  append(list: FrameList | undefined, kind: number, frame: Uint8Array): FrameList {
    // A long frame is written at once. Without a flush, the sharing would never end.
    this.#schedule();
    // A room gives the same frame to one socket after the other, whatever their lists are.
    const latest = this.#made.at(-1);
    const longer = list?.append(frame, latest) ?? new FrameList(undefined, frame, latest);
    if (list === undefined) this.#begun[kind] = longer;
    this.#made.push(longer);
    return longer;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#timing.endOfTurn(() => this.#run());
  }

  #run(): void {
    this.#isScheduled = false;
    this.#endSharing();
    this.#earlyMs = 0;
    const startedAt = this.#timing.now();
    try {
      this.#flushLight(startedAt);
      this.#flushHeavy(startedAt);
    } finally {
      this.#putOff();
    }
  }

  /** Has those that still wait flushed in the next turn, before sockets that are added meanwhile. */
  #putOff(): void {
    this.#isBehind = this.waiting > 0;
    if (!this.#isBehind) return;
    this.#isScheduled = true;
    this.#timing.nextTurn(() => this.#run());
  }

  #endSharing(): void {
    this.#begun = [];
    for (const list of this.#made) list.endSharing();
    this.#made.length = 0;
  }

  /**
   * Flushes the sockets with little to send. They come first, so that a quiet room does not wait for
   * busy ones. They may not use the whole turn, so the others do not wait for ever.
   */
  #flushLight(startedAt: number): void {
    for (let looked = 1; this.#added.length > 0; looked++) {
      const socket = this.#added.shift();
      if (socket === undefined) return;
      if (socket.collectedBytes > LIGHT_BYTES) this.#heavy.push(socket);
      else socket.flush();
      if (looked % SOCKETS_PER_CLOCK_READ !== 0) continue;
      const limitMs = this.#heavy.length > 0 ? LIGHT_MS : PAUSE_AFTER_MS;
      if (this.#timing.now() - startedAt >= limitMs) return;
    }
  }

  #flushHeavy(startedAt: number): void {
    for (let flushed = 1; this.#heavy.length > 0; flushed++) {
      this.#heavy.shift()?.flush();
      if (flushed % SOCKETS_PER_CLOCK_READ !== 0) continue;
      if (this.#timing.now() - startedAt >= PAUSE_AFTER_MS) return;
    }
  }
}

/** The one of this process. */
export const sharedFlush: Flush = new Flush();
