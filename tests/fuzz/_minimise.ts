/** Makes an input that fails shorter and plainer, for as long as it fails. */

import { concat } from "@std/bytes";

const MAX_TRIES = 2_000;
/** An input that hangs takes long to fail, each time. */
const LIMIT_MS = 20_000;

export async function minimise(
  input: Uint8Array,
  fails: (input: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  let best = input;
  let tries = 0;
  const endAt = performance.now() + LIMIT_MS;
  const keepIf = async (candidate: Uint8Array) => {
    if (tries++ >= MAX_TRIES || performance.now() > endAt || !await fails(candidate)) return false;
    best = candidate;
    return true;
  };
  for (let size = best.length; size > 0; size >>= 1) {
    for (let at = 0; at < best.length;) {
      const shorter = concat([best.subarray(0, at), best.subarray(at + size)]);
      if (!await keepIf(shorter)) at += size;
    }
  }
  for (let at = 0; at < best.length; at++) {
    if (best[at] === 0) continue;
    const plainer = best.slice();
    plainer[at] = 0;
    await keepIf(plainer);
  }
  return best;
}
