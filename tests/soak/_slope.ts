/** A measurement over time. */
export interface Point {
  /** In milliseconds. */
  readonly at: number;
  readonly value: number;
}

const MINUTE_MS = 60_000;

/**
 * The lowest of each `size` measurements. What a collector of garbage has not got round to yet makes a
 * single one too high, never too low.
 */
export function floor(points: readonly Point[], size: number): Point[] {
  const lowest: Point[] = [];
  for (let from = 0; from + size <= points.length; from += size) {
    const group = points.slice(from, from + size);
    lowest.push(group.reduce((low, point) => point.value < low.value ? point : low));
  }
  return lowest;
}

/** How much a value grows in a minute: the line of least squares through the later half. */
export function slopePerMinute(points: readonly Point[]): number {
  const later = points.slice(points.length >> 1);
  if (later.length < 2) return 0;
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const at = mean(later.map((point) => point.at));
  const value = mean(later.map((point) => point.value));
  let covariance = 0;
  let variance = 0;
  for (const point of later) {
    covariance += (point.at - at) * (point.value - value);
    variance += (point.at - at) ** 2;
  }
  return MINUTE_MS * covariance / variance;
}
