/** Timers, which a test can replace. */
export interface Timers {
  /** Calls `callback` once after `delayMs` milliseconds. */
  setTimeout(callback: () => void, delayMs: number): unknown;
  /** Cancels a timer that `setTimeout` returned. */
  clearTimeout(timer: unknown): void;
  /** Makes a timer keep the process alive, as a new one does. Left out where timers never do. */
  refTimer?(timer: unknown): void;
  /** Makes a timer no longer keep the process alive. */
  unrefTimer?(timer: unknown): void;
}

/** Time, which a test can replace. */
export interface Clock extends Timers {
  /** Milliseconds since 1970. They never run backwards. */
  now(): number;
}

/** The platform's timers. */
export const systemTimers: Timers = {
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as number | undefined),
  refTimer: (timer) => {
    if (typeof timer === "number") Deno.refTimer(timer);
    else (timer as { ref?(): void }).ref?.();
  },
  unrefTimer: (timer) => {
    if (typeof timer === "number") Deno.unrefTimer(timer);
    else (timer as { unref?(): void }).unref?.();
  },
};

/** The platform's timers, which do not keep the process alive. */
export const backgroundTimers: Timers = {
  setTimeout(callback, delayMs) {
    const timer = systemTimers.setTimeout(callback, delayMs);
    systemTimers.unrefTimer?.(timer);
    return timer;
  },
  clearTimeout: systemTimers.clearTimeout,
};

/** The platform's clock and timers. */
export const systemClock: Clock = {
  ...systemTimers,
  // `Date.now()` jumps when somebody sets the machine's clock.
  now: () => performance.timeOrigin + performance.now(),
};

/** The platform's clock, with timers that do not keep the process alive. */
export const backgroundClock: Clock = { ...backgroundTimers, now: systemClock.now };

/** Returns `size` random bytes, for secrets as well as for jitter. */
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
