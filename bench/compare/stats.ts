/** What is said about several measurements of the same thing. */

/** The middle one; of an even number the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  if (Number.isInteger(middle)) return (sorted[middle - 1] + sorted[middle]) / 2;
  return sorted[Math.floor(middle)];
}

/** The value that a share of all does not exceed: the nearest rank. NaN for none. */
export function percentile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return NaN;
  const rank = Math.ceil(sorted.length * share);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1];
}

/** How far the lowest and the highest lie from each other, as a share of the median. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}
