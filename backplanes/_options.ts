import type { BackplaneTimers } from "./broker_backplane.ts";

/** The platform's timers. */
export const platformTimers: BackplaneTimers = {
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as number | undefined),
};

/** The platform's randomness. */
export function platformRandom(size: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(size));
}

/**
 * A whole number of bytes.
 *
 * @throws {TypeError} if it is no number.
 * @throws {RangeError} if it is below `min` or not whole.
 */
export function wholeNumber(
  option: string,
  value: number | undefined,
  fallback: number,
  min = 1,
): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number") {
    throw new TypeError(`${option} must be a number, got ${describe(value)}`);
  }
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new RangeError(`${option} must be a whole number from ${min}, got ${value}`);
}

/**
 * Checks that an object has methods.
 *
 * @throws {TypeError} naming the first that is missing.
 */
export function requireMethods<T extends object>(
  option: string,
  value: T,
  methods: readonly (keyof T & string)[],
): void {
  if (typeof value !== "object" && typeof value !== "function" || value === null) {
    throw new TypeError(`${option} must be an object, got ${describe(value)}`);
  }
  const missing = methods.find((method) => typeof value[method] !== "function");
  if (missing === undefined) return;
  throw new TypeError(`${option} must have a method ${missing}, got ${describe(value[missing])}`);
}

/** Says what a value is. */
export function describe(value: unknown): string {
  return value === null ? "null" : typeof value;
}
