/**
 * The timer that all sockets of a process share: it asks each of them, a few times in each of its
 * intervals, whether something is due.
 */

/** The clock of a heartbeat, which tests replace. */
export interface HeartbeatClock {
  /** Milliseconds that never run backwards. */
  now(): number;
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** What the heartbeat asks. */
export interface Beating {
  /** The shortest time that matters to it, in milliseconds. */
  readonly shortestMs: number;
  /** Its place among the others; belongs to the heartbeat. */
  slot: number;
  /** Does what is due at this time. */
  beat(time: number): void;
}

const systemClock: HeartbeatClock = {
  now: () => performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as number | undefined),
};

const MAX_PERIOD_MS = 1_000;
const MIN_PERIOD_MS = 5;

/** How often a socket is asked in the shortest time that matters to it. */
const BEATS = 5;

export class Heartbeat {
  #clock: HeartbeatClock = systemClock;
  readonly #beating: Beating[] = [];
  #periodMs = MAX_PERIOD_MS;
  #timer: unknown;
  #lastBeatAt = 0;
  #time = 1;

  /**
   * Milliseconds, as of the last beat, in which this process could have received something from
   * clients. Time during which it was stopped or too busy to read does not count against them.
   */
  get time(): number {
    return this.#time;
  }

  /** How many are asked. */
  get size(): number {
    return this.#beating.length;
  }

  /** Begins to ask `beating`. */
  add(beating: Beating): void {
    beating.slot = this.#beating.push(beating) - 1;
    const periodMs = Math.max(MIN_PERIOD_MS, Math.min(MAX_PERIOD_MS, beating.shortestMs / BEATS));
    if (periodMs < this.#periodMs) {
      this.#periodMs = periodMs;
      this.#stop();
    }
    if (this.#timer === undefined) this.#start();
  }

  /** Stops asking `beating`. With the last one the timer ends. */
  delete(beating: Beating): void {
    if (this.#beating[beating.slot] !== beating) return;
    const last = this.#beating[this.#beating.length - 1];
    this.#beating[beating.slot] = last;
    last.slot = beating.slot;
    this.#beating.pop();
    if (this.#beating.length > 0) return;
    this.#stop();
    this.#periodMs = MAX_PERIOD_MS;
  }

  /** For tests: uses another clock until the result is disposed. */
  useClock(clock: HeartbeatClock): Disposable {
    const before = this.#clock;
    this.#setClock(clock);
    return { [Symbol.dispose]: () => this.#setClock(before) };
  }

  #setClock(clock: HeartbeatClock): void {
    this.#stop();
    this.#clock = clock;
    if (this.#beating.length > 0) this.#start();
  }

  #start(): void {
    this.#lastBeatAt = this.#clock.now();
    this.#wait();
  }

  #wait(): void {
    this.#timer = this.#clock.setTimeout(() => this.#beat(), this.#periodMs);
  }

  #stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #beat(): void {
    const now = this.#clock.now();
    // Whole numbers need no separate memory where they are stored.
    this.#time += Math.round(Math.min(now - this.#lastBeatAt, 2 * this.#periodMs));
    this.#lastBeatAt = now;
    this.#wait();
    // From the last to the first: one that is deleted meanwhile is replaced by one that has had its
    // turn.
    for (let i = this.#beating.length - 1; i >= 0; i--) this.#beating[i]?.beat(this.#time);
  }
}

/** The heartbeat of this process. */
export const sharedHeartbeat: Heartbeat = new Heartbeat();
