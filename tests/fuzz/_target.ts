/** What is fuzzed: code that reads bytes from outside, and an oracle that says what must come of them. */
export interface Target {
  /** What it is called on the command line, and in `tests/testdata/fuzz`. */
  readonly name: string;
  /** Inputs that are valid, or nearly, for mutations to begin with. */
  readonly examples: readonly Uint8Array[];
  /** Where, in an input that is a stream, its frames begin; left out if it is none. */
  readonly framesFrom?: number;
  /** How many seeds the ordinary tests run: as many as take half a second or less. */
  readonly testSeeds: number;
  /** True if the same input may have different outcomes, for there are keys in it that are new each time. */
  readonly hasFreshKeys?: boolean;
  /**
   * Runs one input and gives what kind of outcome it had: another kind is another path through the
   * code.
   *
   * @throws {Violation} if anything happens that must not.
   */
  run(input: Uint8Array): string | Promise<string>;
}

/** Something has happened that must not. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Throws a {@linkcode Violation} unless `condition` holds. */
export function check(condition: boolean, what: string | (() => string)): asserts condition {
  if (!condition) throw new Violation(typeof what === "string" ? what : what());
}

/** Throws a {@linkcode Violation} unless both are the same, as text if they are no plain values. */
export function checkSame(found: unknown, expected: unknown, what: string): void {
  if (found === expected) return;
  const [left, right] = [found, expected].map((value) => JSON.stringify(value));
  check(left === right, () => `${what}: ${left}, but must be ${right}`);
}

/** A size as a power of two: outcomes that differ by less are of one kind. */
export function magnitude(size: number): number {
  return size < 12 ? size : 8 + Math.floor(Math.log2(size));
}
