import { FrameError } from "./frame_error.ts";

/** The error for `bytes` that end inside `field` of a `message`: at least `needed` had to be there. */
export function truncated(
  bytes: Uint8Array,
  message: string,
  field: string,
  needed: number,
): FrameError {
  return new FrameError(
    "truncated",
    bytes.length,
    `${message} ends at offset ${bytes.length} in its ${field}, which needs ${needed} bytes`,
  );
}

/** The error for `bytes` that go on after a `message` that ends at `end`. */
export function trailingBytes(bytes: Uint8Array, message: string, end: number): FrameError {
  return new FrameError(
    "trailing-bytes",
    end,
    `${message} ends at offset ${end}, but ${bytes.length - end} more bytes follow`,
  );
}

/** The error for `bytes` that are not empty and begin with another tag than a `message` does. */
export function wrongTag(bytes: Uint8Array, message: string, tag: number): FrameError {
  return new FrameError("wrong-tag", 0, `${message} begins with tag ${tag}, not with ${bytes[0]}`);
}

/** The error for a message that does not fit a `target`. */
export function targetTooSmall(target: Uint8Array, message: string): FrameError {
  return new FrameError(
    "target-too-small",
    target.length,
    `${message} does not fit a target of ${target.length} bytes`,
  );
}
