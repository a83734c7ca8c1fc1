import { Reader } from "./_reader.ts";
import { GOODBYE } from "./tags.ts";

/**
 * Encodes GOODBYE (`docs/wire.md`): the sender leaves on purpose. Only for a peer that
 * announced {@linkcode FEATURE_GOODBYE}.
 *
 * @example
 * ```ts
 * import { checkGoodbye, encodeGoodbye } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeGoodbye(), Uint8Array.of(0xe0));
 * checkGoodbye(encodeGoodbye());
 * ```
 */
export function encodeGoodbye(): Uint8Array {
  return Uint8Array.of(GOODBYE);
}

/**
 * Checks that `bytes` are a GOODBYE, which has no content to decode.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`.
 *
 * @example See {@linkcode encodeGoodbye}.
 */
export function checkGoodbye(bytes: Uint8Array): void {
  new Reader(bytes, GOODBYE, "goodbye").end();
}
