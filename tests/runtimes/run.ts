/**
 * Runs the cases that hold on every runtime, on Deno, Node.js or Bun: `run.ts [WORDS]`. With words, only
 * the cases whose sentence has them. Ends with 1 if one fails, or none runs.
 */

import process from "node:process";
import { ALL } from "./cases/all.ts";

const words = process.argv[2] ?? "";
let failed = 0;
let passed = 0;
for (const [name, run] of Object.entries(ALL)) {
  if (!name.includes(words)) continue;
  try {
    await run();
    passed++;
  } catch (error) {
    failed++;
    console.error(`FAILED: ${name}\n`, error);
  }
}
console.log(`${passed} passed, ${failed} failed`);
// If all is well the process ends by itself, because the cases leave nothing behind.
if (failed > 0 || passed === 0) process.exit(1);
