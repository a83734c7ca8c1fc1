/**
 * Refuses bytes of the wrong size for a field. That is the caller's mistake, so a plain
 * `RangeError`.
 */
export function checkSize(field: string, bytes: Uint8Array, size: number): void {
  if (bytes.length === size) return;
  throw new RangeError(`${field} must have ${size} bytes, got ${bytes.length}`);
}

/** Refuses a number that is not an integer from 0 to `max`. */
export function checkRange(field: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw new RangeError(`${field} must be an integer from 0 to ${max}, got ${value}`);
}
