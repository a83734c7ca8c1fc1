const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;

/**
 * The delay in milliseconds before the next try after `failures` failed ones: exponential with full
 * jitter, so from 0 to 500 ms after the first and from 0 to 30 s after many.
 *
 * @param fraction random, from 0 up to 1.
 */
export function backoffMs(failures: number, fraction: number): number {
  return fraction * Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 16));
}
