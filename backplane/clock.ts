/** Timers, which a test can replace. */
export interface Timers {
  /** Calls `callback` once after `delayMs` milliseconds. */
  setTimeout(callback: () => void, delayMs: number): unknown;
  /** Cancels what `setTimeout` has returned. */
  clearTimeout(timer: unknown): void;
}

/** Time, which a test can replace. */
export interface Clock extends Timers {
  /** Milliseconds since 1970 that never run backwards. */
  now(): number;
}

/** The platform's timers. */
export const systemTimers: Timers = {
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as number | undefined),
};

/** The platform's clock and timers. */
export const systemClock: Clock = {
  ...systemTimers,
  // `Date.now()` jumps when somebody sets the machine's clock.
  now: () => performance.timeOrigin + performance.now(),
};

/** Gives `size` random bytes, for secrets as well as for jitter. */
export type RandomBytes = (size: number) => Uint8Array;

/** The platform's cryptographic randomness. */
export function systemRandom(size: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(size));
}

/** A number from 0 up to but not including 1. */
export function randomFraction(randomBytes: RandomBytes): number {
  const [a, b, c] = randomBytes(3);
  return (a << 16 | b << 8 | c) / 2 ** 24;
}
