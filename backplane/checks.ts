/**
 * Checks of options. A value of the wrong type is a `TypeError`, a value out of range a
 * `RangeError`; both name the option, the allowed values and the actual one.
 */

/** The largest delay that a platform's timer takes, in milliseconds. */
export const MAX_DELAY_MS: number = 2 ** 31 - 1;

/** Which whole numbers are allowed; by default those from 1 to 2⁵³−1. */
export interface NumberRange {
  readonly min?: number;
  readonly max?: number;
}

/**
 * A whole number, or `fallback` if the option is left out.
 *
 * @throws {TypeError} if it is not a number.
 * @throws {RangeError} if it is not whole, or out of range.
 */
export function wholeNumber(
  option: string,
  value: unknown,
  fallback: number,
  { min = 1, max = Number.MAX_SAFE_INTEGER }: NumberRange = {},
): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number") {
    throw new TypeError(`${option} must be a number, got ${describe(value)}`);
  }
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const limit = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new RangeError(`${option} must be a whole number ${limit}, got ${value}`);
}

/**
 * One of several words, or the first if the option is left out.
 *
 * @throws {TypeError} if it is not a string.
 * @throws {RangeError} if it is another string.
 */
export function oneOf<Word extends string>(
  option: string,
  value: unknown,
  words: readonly [Word, ...Word[]],
): Word {
  if (value === undefined) return words[0];
  const allowed = words.map((word) => JSON.stringify(word)).join(" or ");
  if (typeof value !== "string") {
    throw new TypeError(`${option} must be ${allowed}, got ${describe(value)}`);
  }
  const word = words.find((word) => word === value);
  if (word !== undefined) return word;
  throw new RangeError(`${option} must be ${allowed}, got ${JSON.stringify(value)}`);
}

/**
 * A boolean, or false if the option is left out.
 *
 * @throws {TypeError} for anything else.
 */
export function checkBoolean(option: string, value: unknown = false): boolean {
  if (typeof value === "boolean") return value;
  throw new TypeError(`${option} must be true or false, got ${describe(value)}`);
}

/**
 * Checks that a value is a string.
 *
 * @throws {TypeError} if it is not.
 */
export function checkString(option: string, value: unknown): asserts value is string {
  if (typeof value === "string") return;
  throw new TypeError(`${option} must be a string, got ${describe(value)}`);
}

/**
 * Checks that a value is a function.
 *
 * @throws {TypeError} if it is not.
 */
export function checkFunction(option: string, value: unknown): void {
  if (typeof value === "function") return;
  throw new TypeError(`${option} must be a function, got ${describe(value)}`);
}

/**
 * Checks that a value is an object. The error says which `parts` it should have.
 *
 * @throws {TypeError} if it is not.
 */
export function checkObject(option: string, value: unknown, parts: string): void {
  if (typeof value === "object" && value !== null) return;
  throw new TypeError(`${option} must be an object with ${parts}, got ${describe(value)}`);
}

/**
 * Checks that an object has methods.
 *
 * @throws {TypeError} that names the first missing one.
 */
export function checkMethods<T extends object>(
  option: string,
  value: T,
  ...methods: (keyof T & string)[]
): void {
  if (typeof value !== "function") {
    checkObject(option, value, `the methods ${methods.join(", ")}`);
  }
  const missing = methods.find((method) => typeof value[method] !== "function");
  if (missing === undefined) return;
  throw new TypeError(`${option} must have a method ${missing}, got ${describe(value[missing])}`);
}

/** The type of a value, in a word. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  return value.constructor?.name || "object";
}
