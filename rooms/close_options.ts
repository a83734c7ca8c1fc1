import { checkObject, checkString, describe } from "../backplane/checks.ts";
import { isCloseCode, MAX_CLOSE_REASON_BYTES } from "../codec/mod.ts";
import type { CloseReason } from "./_closer.ts";

/** Why sockets are closed. */
export interface CloseOptions {
  /** The close code: 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999. */
  code?: number;
  /** The close reason, at most 123 bytes of UTF-8. Default: none. */
  reason?: string;
}

/**
 * Checks code and reason.
 *
 * @throws {TypeError} if the options are not an object, the code not a number or the reason not a
 * string.
 * @throws {RangeError} for another code, or a reason that is too long.
 */
export function readCloseOptions(options: CloseOptions, defaultCode: number): CloseReason {
  checkObject("options", options, "code and reason");
  const { code = defaultCode, reason = "" } = options;
  if (typeof code !== "number") {
    throw new TypeError(`code must be a number, got ${describe(code)}`);
  }
  if (!isCloseCode(code)) {
    throw new RangeError(
      `code must be 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999, got ${code}`,
    );
  }
  checkString("reason", reason);
  const text = reason.toWellFormed();
  const size = new TextEncoder().encode(text).length;
  if (size > MAX_CLOSE_REASON_BYTES) {
    throw new RangeError(
      `reason must have at most ${MAX_CLOSE_REASON_BYTES} bytes of UTF-8, got ${size}`,
    );
  }
  return { code, reason: text };
}
