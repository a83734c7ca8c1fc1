const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;

/**
 * The delay in milliseconds before the next attempt, after `failures` failed ones. It is
 * exponential with full jitter: 0 to 500 ms after the first failure, 0 to 30 s after many.
 *
 * @param fraction random, from 0 up to 1.
 */
export function backoffMs(failures: number, fraction: number): number {
  return fraction * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 16));
}
