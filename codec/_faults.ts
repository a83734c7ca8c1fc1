import { FrameError } from "./frame_error.ts";

/**
 * The error for a `message` that ends inside `field`, although it needs at least `needed` bytes.
 */
export function truncated(
  bytes: Uint8Array,
  message: string,
  field: string,
  needed: number,
): FrameError {
  return new FrameError(
    "truncated",
    bytes.length,
    `${message} ends at offset ${bytes.length} in its ${field}, ${needed} bytes are needed`,
  );
}

/** The error for `bytes` that continue after the `end` of a `message`. */
export function trailingBytes(bytes: Uint8Array, message: string, end: number): FrameError {
  return new FrameError(
    "trailing-bytes",
    end,
    `${message} ends at offset ${end}, but ${bytes.length - end} more bytes follow`,
  );
}

/** The error for non-empty `bytes` that do not begin with the `tag` of a `message`. */
export function wrongTag(bytes: Uint8Array, message: string, tag: number): FrameError {
  return new FrameError("wrong-tag", 0, `${message} must begin with tag ${tag}, got ${bytes[0]}`);
}

/** The error for a message that does not fit into `target`. */
export function targetTooSmall(target: Uint8Array, message: string): FrameError {
  return new FrameError(
    "target-too-small",
    target.length,
    `${message} does not fit into a target of ${target.length} bytes`,
  );
}
