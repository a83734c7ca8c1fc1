/** Time for a mesh: what it waits by and what it stamps with. To be replaced in tests. */
export interface Clock {
  /** Milliseconds since 1970 that never run backwards. */
  now(): number;
  /** Calls `callback` once after `delayMs` milliseconds. */
  setTimeout(callback: () => void, delayMs: number): unknown;
  /** Calls off what `setTimeout` has returned. */
  clearTimeout(timer: unknown): void;
}

/** The platform's clock and timers. */
export const systemClock: Clock = {
  // `Date.now()` jumps when somebody sets the machine's clock.
  now: () => performance.timeOrigin + performance.now(),
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as number | undefined),
};

/** Gives `size` random bytes; for secrets as well as for jitter. */
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
