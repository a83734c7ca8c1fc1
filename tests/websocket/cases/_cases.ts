/** Tests that run on every runtime: no test runner, `node:assert` only. From sentence to test. */
export type Cases = Readonly<Record<string, () => void | Promise<void>>>;
