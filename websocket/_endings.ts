/**
 * The ends of connections whose clients are gone or do not close, shared by all sockets of a process.
 * Destroying a stream takes some 0.1 ms. When a thousand clients stall in one room, all of them are due
 * in the same turn of the event loop: without a limit, everybody else would wait for that.
 */

import { Queue } from "./_queue.ts";
import { systemTiming, type Timing } from "./_timing.ts";

/** What the ends of a turn may take together. */
const TURN_MS = 10;

/** What is ended: a stream. */
export interface Endable {
  destroy(): unknown;
}

export class Endings {
  readonly #timing: Timing;
  readonly #waiting = new Queue<Endable>();
  #isOpen = false;
  #isPlanned = false;
  #spentMs = 0;

  constructor(timing: Timing = systemTiming) {
    this.#timing = timing;
  }

  /** Streams that wait for their end. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Destroys a stream: at once if this turn has time for it, else in one of the next. */
  add(stream: Endable): void {
    if (this.waiting === 0 && this.#spentMs < TURN_MS) return this.#destroy(stream);
    this.#waiting.push(stream);
    this.#plan();
  }

  #destroy(stream: Endable): void {
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.#timing.endOfTurn(() => {
        this.#isOpen = false;
        this.#spentMs = 0;
      });
    }
    const startedAt = this.#timing.now();
    stream.destroy();
    this.#spentMs += this.#timing.now() - startedAt;
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#timing.nextTurn(() => this.#goOn());
  }

  #goOn(): void {
    this.#isPlanned = false;
    while (this.#spentMs < TURN_MS) {
      const stream = this.#waiting.shift();
      if (stream === undefined) return;
      this.#destroy(stream);
    }
    if (this.waiting > 0) this.#plan();
  }
}

/** The one of this process. */
export const sharedEndings: Endings = new Endings();
