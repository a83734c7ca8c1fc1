import {
  checkFunction,
  checkMethods,
  checkObject,
  MAX_DELAY_MS,
  wholeNumber,
} from "../backplane/checks.ts";
import { backgroundClock, systemRandom } from "../backplane/clock.ts";
import type { Clock, RandomBytes } from "../backplane/mod.ts";
import { LIMITS } from "./_limits.ts";

/** The largest 16-bit length on the wire. */
const MAX_TEXT_BYTES = 0xffff;

/** Options of `Presence`. Give all nodes the same options. */
export interface PresenceOptions {
  /**
   * A node that has nothing else to say sends a heartbeat this often, in milliseconds. If a message
   * was lost without any other sign, the next heartbeat reveals it. Default: 500.
   */
  heartbeatIntervalMs?: number;
  /**
   * A node that says nothing for this long counts as gone, in milliseconds; at least twice
   * `heartbeatIntervalMs`. Default: 20,000. The mesh notices by itself within 16,000, so there a
   * node is gone with its `peerdown`. On a broker only silence tells, so a shorter time drops a
   * killed node sooner. A node that is busy or frozen for longer than this counts as gone too.
   */
  timeoutMs?: number;
  /** How long {@linkcode Presence.ready} waits for the other nodes. Default: 1,000. */
  readyTimeoutMs?: number;
  /** Largest id in bytes of UTF-8, at most 65,535. Default: 256. */
  maxIdBytes?: number;
  /** Largest meta in bytes of JSON, at most 65,535. Default: 4,096. */
  maxMetaBytes?: number;
  /** Default: the platform's, with timers that do not keep the process alive. */
  clock?: Clock;
  /** Default: the platform's. */
  randomBytes?: RandomBytes;
}

/** Options as `Presence` works with them. */
export type PresenceSettings = Required<PresenceOptions>;

/**
 * Checks options, and fills in the defaults.
 *
 * @throws {TypeError} for an option of the wrong type.
 * @throws {RangeError} for an option out of range.
 */
export function resolveOptions(options: PresenceOptions): PresenceSettings {
  checkObject("options", options, "heartbeatIntervalMs and others");
  const { clock = backgroundClock, randomBytes = systemRandom } = options;
  checkMethods("clock", clock, "now", "setTimeout", "clearTimeout");
  checkFunction("randomBytes", randomBytes);
  const heartbeatIntervalMs = wholeNumber("heartbeatIntervalMs", options.heartbeatIntervalMs, 500, {
    max: Math.floor(MAX_DELAY_MS / 2),
  });
  const timeoutMs = wholeNumber(
    "timeoutMs",
    options.timeoutMs,
    Math.max(20_000, 2 * heartbeatIntervalMs),
    { min: 2 * heartbeatIntervalMs, max: MAX_DELAY_MS },
  );
  return {
    heartbeatIntervalMs,
    timeoutMs,
    readyTimeoutMs: wholeNumber("readyTimeoutMs", options.readyTimeoutMs, 1_000, {
      min: 0,
      max: MAX_DELAY_MS,
    }),
    maxIdBytes: wholeNumber("maxIdBytes", options.maxIdBytes, LIMITS.maxIdBytes, {
      max: MAX_TEXT_BYTES,
    }),
    maxMetaBytes: wholeNumber("maxMetaBytes", options.maxMetaBytes, LIMITS.maxMetaBytes, {
      max: MAX_TEXT_BYTES,
    }),
    clock,
    randomBytes,
  };
}
