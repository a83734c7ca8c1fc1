import { SESSION_MAX_FRAME_BYTES } from "../codec/mod.ts";
import { describe, platformRandom, platformTimers, wholeNumber } from "./_options.ts";
import { checkCluster } from "./_cluster.ts";
import { type ChannelPort, WorkerChannel, type WorkerChannelListener } from "./_worker_channel.ts";
import type { BroadcastChannelOptions } from "./broadcast_channel.ts";

const ID_BYTES = 8;

/** Options checked, with what was left out filled in. */
export interface WorkerSettings extends Required<Omit<BroadcastChannelOptions, "randomBytes">> {
  /** Identity of this worker. */
  readonly id: string;
}

/**
 * Checks the options that a worker's backplanes have in common.
 *
 * @throws {TypeError} for a value of the wrong shape.
 * @throws {RangeError} for a value out of range.
 */
export function resolveWorkerOptions(options: BroadcastChannelOptions): WorkerSettings {
  const { openChannel = openPlatformChannel, randomBytes = platformRandom } = options;
  for (const [option, value] of Object.entries({ openChannel, randomBytes })) {
    if (typeof value === "function") continue;
    throw new TypeError(`${option} must be a function, got ${describe(value)}`);
  }
  return {
    cluster: checkCluster(options.cluster),
    maxMessageBytes: wholeNumber(
      "maxMessageBytes",
      options.maxMessageBytes,
      SESSION_MAX_FRAME_BYTES,
    ),
    maxQueuedBytes: wholeNumber("maxQueuedBytes", options.maxQueuedBytes, 16 * 1024 * 1024),
    timers: options.timers ?? platformTimers,
    openChannel,
    id: Array.from(randomBytes(ID_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
}

/** Opens a channel with these settings. */
export function openWorkerChannel(
  name: string,
  settings: WorkerSettings,
  listener: WorkerChannelListener,
): WorkerChannel {
  const { id, maxMessageBytes, maxQueuedBytes, timers, openChannel } = settings;
  return new WorkerChannel({
    ...{ name, id, maxMessageBytes, maxQueuedBytes, timers, openChannel },
    listener,
  });
}

function openPlatformChannel(name: string): ChannelPort {
  return new BroadcastChannel(name);
}
