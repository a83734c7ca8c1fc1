// JavaScript, as Node.js runs no TypeScript everywhere: types are in comments.
// deno-lint-ignore-file explicit-module-boundary-types

/**
 * How a server program of the comparison is told what to do, on every runtime alike: what it is to
 * be as JSON in its first argument, orders on its standard input and answers on its standard output,
 * a JSON value a line. When its input ends, which it does when whoever started it is gone however it
 * went, so does the program.
 */

import process from "node:process";
import { createInterface } from "node:readline";

/** What the program is to be: see `NodeConfig`. */
export const config = JSON.parse(process.argv[2] ?? "{}");

/** @param {Record<string, unknown>} value */
export function say(value) {
  process.stdout.write(`${JSON.stringify({ pid: process.pid, ...value })}\n`);
}

/** What several nodes in one process tree are to do on the same order: see `socket_io.mjs`. */
const more = new Set();

/** @param {(order: { op: string }) => void} take */
export function alsoOrder(take) {
  more.add(take);
}

/** Frees what is garbage, so that memory in use can be told from memory that was. */
export function collectGarbage() {
  globalThis.Bun?.gc(true);
  globalThis.gc?.();
}

/**
 * Says that a node of this program takes connections.
 *
 * @param {{ port: number, pid?: number, seed?: string }} node
 */
export function ready(node) {
  say({ ready: { pid: process.pid, ...node } });
}

/** Takes orders from now on. */
export function takeOrders() {
  const input = createInterface({ input: process.stdin });
  input.on("line", (line) => {
    const order = JSON.parse(line);
    if (order.op === "gc") collectGarbage();
    for (const take of more) take(order);
    const { heapUsed, external } = process.memoryUsage();
    say({ done: order.op, heapBytes: heapUsed + external });
  });
  input.on("close", () => process.exit(0));
}
