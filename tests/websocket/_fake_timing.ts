import type { Timing } from "../../websocket/_timing.ts";

/** Turns that end when a test says so, and a clock that it sets. */
export class FakeTiming implements Timing {
  nowMs = 0;
  #atEnd: (() => void)[] = [];
  #inNext: (() => void)[] = [];

  /** True if nothing is planned any more. */
  get isIdle(): boolean {
    return this.#atEnd.length + this.#inNext.length === 0;
  }

  now(): number {
    return this.nowMs;
  }

  endOfTurn(callback: () => void): void {
    this.#atEnd.push(callback);
  }

  nextTurn(callback: () => void): void {
    this.#inNext.push(callback);
  }

  /** Ends a turn and begins the next; false if nothing was to be done. */
  endTurn(): boolean {
    const wasIdle = this.isIdle;
    const callbacks = [...this.#atEnd.splice(0), ...this.#inNext.splice(0)];
    for (const callback of callbacks) callback();
    return !wasIdle;
  }
}
