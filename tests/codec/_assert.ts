import { assertEquals, assertInstanceOf, AssertionError } from "@std/assert";
import { FrameError, type FrameErrorCode } from "../../codec/mod.ts";

/** Runs `run`, which must throw a `FrameError` of this code and, if given, this offset. */
export function assertFrameError(
  run: () => unknown,
  code: FrameErrorCode,
  offset?: number,
): FrameError {
  const error = frameErrorOf(run);
  if (!error) throw new AssertionError(`expected a FrameError (${code}), nothing was thrown`);
  assertEquals(error.code, code, error.message);
  if (offset !== undefined) assertEquals(error.offset, offset, error.message);
  return error;
}

/** What `run` throws, which must be a `FrameError`; undefined if it throws nothing. */
export function frameErrorOf(run: () => unknown): FrameError | undefined {
  try {
    run();
  } catch (error) {
    assertInstanceOf(error, FrameError);
    return error as FrameError;
  }
  return undefined;
}
