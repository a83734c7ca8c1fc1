import {
  checkFunction,
  checkMethods,
  checkObject,
  oneOf,
  wholeNumber,
} from "../backplane/checks.ts";
import { systemTimers } from "../backplane/clock.ts";
import type { Backplane, Timers } from "../backplane/mod.ts";
import { SESSION_MAX_FRAME_BYTES } from "../codec/mod.ts";
import { guardOnError, type OnError } from "../backplane/errors.ts";

/** Options of {@linkcode Rooms}. */
export interface RoomsOptions {
  /** Carries broadcasts to other nodes. Left out: this node is alone, and everything else works. */
  backplane?: Backplane;
  /**
   * Unsent bytes above which a socket counts as slow. Default: 1 MiB.
   *
   * A `ServerWebSocket` counts up to 64 KiB that only wait for the turn of the event loop to end.
   * Other sockets count all that they are sent within a turn, because the platform writes between
   * turns: to broadcast more than this at once, raise the limit or wait in between.
   */
  maxBufferedBytes?: number;
  /**
   * What a broadcast does about a slow socket. `"close"` (the default) removes it from all rooms
   * and closes it with 1013, so its client knows that it must resynchronise. `"skip"` leaves it in
   * its rooms, where it misses this message.
   */
  slowSocket?: "close" | "skip";
  /**
   * Largest message in bytes, of UTF-8 if it is a text. Default: 16 MiB. The backplane has a limit
   * of its own, which counts the whole encoded broadcast.
   */
  maxMessageBytes?: number;
  /**
   * Gets the errors of listeners and event listeners, of the backplane, and of sockets that cannot
   * be closed. Default: one `console.error` for each.
   */
  onError?: (error: unknown) => void;
  /** Default: the platform's. */
  timers?: Timers;
}

/** Options as `Rooms` works with them. */
export interface RoomsSettings {
  readonly backplane: Backplane | undefined;
  readonly maxBufferedBytes: number;
  readonly closeSlow: boolean;
  readonly maxMessageBytes: number;
  readonly onError: OnError;
  readonly timers: Timers;
}

/**
 * Checks options, and fills in the defaults.
 *
 * @throws {TypeError} for an option of the wrong type.
 * @throws {RangeError} for an option out of range.
 */
export function resolveOptions(options: RoomsOptions): RoomsSettings {
  checkObject("options", options, "backplane and others");
  const { backplane, onError, timers = systemTimers } = options;
  if (backplane !== undefined) checkMethods("backplane", backplane, "publish", "subscribe");
  if (onError !== undefined) checkFunction("onError", onError);
  checkMethods("timers", timers, "setTimeout", "clearTimeout");
  return {
    backplane,
    maxBufferedBytes: wholeNumber("maxBufferedBytes", options.maxBufferedBytes, 1024 * 1024, {
      min: 0,
    }),
    closeSlow: oneOf("slowSocket", options.slowSocket, ["close", "skip"]) === "close",
    maxMessageBytes: wholeNumber(
      "maxMessageBytes",
      options.maxMessageBytes,
      SESSION_MAX_FRAME_BYTES,
      { min: 0 },
    ),
    onError: guardOnError(onError),
    timers,
  };
}
