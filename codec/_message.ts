import { targetTooSmall } from "./_faults.ts";
import { writeText } from "./_text.ts";
import { FrameError } from "./frame_error.ts";

/** The largest `u32` length. A JavaScript string never reaches it: it has fewer than 2³⁰ units. */
const MAX_MESSAGE_BYTES = 0xffff_ffff;

/**
 * Writes a text or bytes at `at`, and returns the offset after them. Errors name the enclosing
 * message, `what`, and count offsets from its start, `base`.
 */
export function writeMessage(
  message: string | Uint8Array,
  target: Uint8Array,
  at: number,
  base: number,
  what: string,
): number {
  if (typeof message === "string") {
    const end = writeText(message, target, at);
    if (end > target.length) throw targetTooSmall(target, what);
    return end;
  }
  const size = message.length;
  if (size > MAX_MESSAGE_BYTES) {
    throw new FrameError(
      "message-too-long",
      at - base,
      `message has ${size} bytes, at most ${MAX_MESSAGE_BYTES} are possible`,
    );
  }
  if (at + size > target.length) throw targetTooSmall(target, what);
  target.set(message, at);
  return at + size;
}
