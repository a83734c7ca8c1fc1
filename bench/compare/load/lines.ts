/** JSON values, a line each, between the processes of the comparison. */

import { lines } from "../../../examples/chat/node_process.ts";

export { lines };

const encoder = new TextEncoder();

/** A value as a line. */
export function toLine(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${JSON.stringify(value)}\n`);
}
