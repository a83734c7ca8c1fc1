import { setImmediate } from "node:timers";

/** Time and turns for the shared flush and reading, which tests replace. */
export interface Timing {
  /** Milliseconds that never run backwards. */
  now(): number;
  /** Calls `callback` when this turn of the event loop has read what there was. */
  endOfTurn(callback: () => void): void;
  /** Calls `callback` after others had their turn: timers, and clients to be read. */
  nextTurn(callback: () => void): void;
}

/** The platform's. */
export const systemTiming: Timing = {
  now: () => performance.now(),
  endOfTurn: (callback) => void setImmediate(callback),
  // A chain of `setImmediate` keeps Deno 2.9 from reading any stream.
  nextTurn: (callback) => void setTimeout(callback, 0),
};
