/**
 * Destroys the streams of clients that are gone or do not close, for all sockets of a process. It
 * takes some 0.1 ms for each. When a thousand clients stall in one room, all of them are due in the
 * same turn of the event loop, so without a limit everybody else would wait.
 */

import { Queue } from "./_queue.ts";
import { systemTiming, type Timing } from "./_timing.ts";

/** How long a turn may spend on this. */
const TURN_MS = 10;

/** A stream, as far as it is needed here. */
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

  /** Streams that wait to be destroyed. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Destroys a stream at once if this turn has time for it, otherwise in a later turn. */
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
