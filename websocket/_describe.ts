/** The type of a value, in a word. */
export function describe(value: unknown): string {
  return value === null ? "null" : typeof value;
}
