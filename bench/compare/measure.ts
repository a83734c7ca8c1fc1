/** The measurement that most scenarios are made of: how fast, at which cost. */

import type { SaturateOrder } from "./load/orders.ts";
import type { Running } from "./running.ts";

const MILLION = 1_000_000;

/** Deliveries that may be missing, so that nobody idles… */
const MAX_AHEAD = 20_000;
/** …of which so many bytes for each client lie in the system's buffers, and nothing piles up… */
const CLIENT_BYTES = 32 * 1024;
/** …so many broadcasts, where each has few members… */
const MAX_BROADCASTS = 2_000;
/** …but no fewer than so many of each node. */
const MIN_BROADCASTS = 6;

/** How far the generator may be ahead. */
export function aheadOf({ nodes, clients, bytes, perBroadcast }: {
  readonly nodes: number;
  readonly clients: number;
  readonly bytes: number;
  /** Deliveries of all that is broadcast for one message of a client. */
  readonly perBroadcast: number;
}): number {
  const most = Math.min(MAX_AHEAD, clients * CLIENT_BYTES / bytes, MAX_BROADCASTS * perBroadcast);
  return Math.max(most, MIN_BROADCASTS * nodes * perBroadcast);
}

/** What saturation has shown. */
export interface Rates extends Record<string, number> {
  readonly deliveriesPerSecond: number;
  readonly broadcastsPerSecond: number;
  /** Of the nodes; of the broker beside it. */
  readonly cpuPerMillion: number;
  readonly brokerCpuPerMillion: number;
  readonly cpuPerBroadcastMicros: number;
  /** How much of a core the generator used. */
  readonly generatorShare: number;
  /** Nodes and broker. */
  readonly peakBytes: number;
  readonly lost: number;
}

/** Broadcasts as fast as deliveries come in. */
export async function saturate(
  running: Running,
  order: Omit<SaturateOrder, "op">,
): Promise<{ rates: Rates; eachMs: readonly number[] }> {
  running.resetPeak();
  const before = running.cpuSeconds();
  const result = await running.generator.run({ op: "saturate", ...order });
  const after = running.cpuSeconds();
  const seconds = result.ms / 1000;
  const nodes = after.nodes - before.nodes;
  const broker = after.broker - before.broker;
  const rates = {
    deliveriesPerSecond: result.perSecond,
    broadcastsPerSecond: result.perSecond * result.broadcasts / result.deliveries,
    cpuPerMillion: nodes / result.deliveries * MILLION,
    brokerCpuPerMillion: broker / result.deliveries * MILLION,
    cpuPerBroadcastMicros: (nodes + broker) / result.broadcasts * MILLION,
    generatorShare: (after.generator - before.generator) / seconds,
    peakBytes: running.peakBytes(),
    lost: result.lost,
  };
  return { rates, eachMs: result.eachMs };
}
