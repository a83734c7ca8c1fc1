/**
 * Which runtime this is. Nothing else in the mesh asks: where runtimes differ there are two
 * implementations, and the choice is made here or by {@linkcode isDeno}.
 */

import { versions } from "node:process";

/** True on Deno. Node.js, Bun and others use the `node:` modules. */
export const isDeno: boolean = typeof Deno !== "undefined";

/**
 * False on Bun, whose `node:tls` cannot end one direction of a channel and go on reading. It would
 * throw away what arrives after that. Then TCP would throw away what is still on its way to the
 * peer.
 */
export const tlsHalfCloses: boolean = !("bun" in versions);

/** The first version of Deno with which TLS between nodes is safe. */
const MIN_DENO = [2, 9, 6];

/**
 * Checks that the runtime's `node:tls` shows the certificate that a channel really uses. Earlier
 * versions of Deno show another one when a TLS session is resumed.
 *
 * @throws {Error} if this version of Deno does not.
 */
export function requireTls(): void {
  if (!isDeno) return;
  const version = Deno.version.deno;
  const [major, minor, patch] = version.split(".").map((part) => parseInt(part, 10));
  const [minMajor, minMinor, minPatch] = MIN_DENO;
  const newer = (major - minMajor) || (minor - minMinor) || (patch - minPatch);
  if (newer >= 0) return;
  throw new Error(
    `TLS between nodes needs Deno ${MIN_DENO.join(".")} or later, this is ${version}`,
  );
}
