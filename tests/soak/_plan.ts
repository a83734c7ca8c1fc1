/** Which faults happen, in which order and to whom: decided by a seed. */

import type { Random } from "../../testing/mod.ts";

/**
 * | fault | |
 * | --- | --- |
 * | `kill` | SIGKILL, and the node is started again after `forMs`, perhaps at once |
 * | `expel` | a node disconnects a room: its members on all nodes are closed |
 * | `stall` | clients of the node stop reading, and it has much to tell them |
 * | `pause` | SIGSTOP for `forMs`, which is too short for the others to give the node up |
 * | `flood` | the same, while another node says more than fits what may wait for one peer |
 * | `freeze` | SIGSTOP until all have given the node up, and `forMs` longer |
 * | `restart` | SIGTERM: the node drains and leaves, and is started again as soon as it has ended |
 */
export type FaultKind = "kill" | "expel" | "stall" | "pause" | "flood" | "freeze" | "restart";

/** A fault to come. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** Index of the node. */
  readonly node: number;
  /** Of a flood: index of the node that says so much. */
  readonly shouter?: number;
  /** Of an `expel`: which of all rooms, as a part of their number. */
  readonly part?: number;
  readonly forMs: number;
  /** How long nothing happens afterwards. */
  readonly restMs: number;
}

/** What a plan is about. */
export interface PlanOptions {
  readonly nodes: number;
  /** The node whose process lives through all. */
  readonly witness: number;
  /** Whether there is time for a freeze, which takes half a minute. */
  readonly freezes: boolean;
}

/** What a round is made of. A roll restarts each node but the witness, one after another. */
const SHORT_ROUND: readonly (FaultKind | "roll")[] = [
  "kill",
  "expel",
  "stall",
  "pause",
  "flood",
  "roll",
];
const LONG_ROUND: typeof SHORT_ROUND = [
  ...SHORT_ROUND,
  "kill",
  "kill",
  "kill",
  "expel",
  "pause",
  "pause",
  "freeze",
];

const MAX_AWAY_MS = 3_000;
/** How often a killed node is started again without any delay, before its ghost is missed. */
const AT_ONCE = 0.3;
const PAUSE_MS = { min: 1_000, max: 3_000 };
const REST_MS = { min: 500, max: 2_500 };

/** Rounds without end. */
export function* planFaults(random: Random, options: PlanOptions): Generator<PlannedFault> {
  const { nodes, witness, freezes } = options;
  const all = Array.from({ length: nodes }, (_, node) => node);
  const mortal = all.filter((node) => node !== witness);
  const fault = (kind: FaultKind, node: number, forMs = 0): PlannedFault => {
    return { kind, node, forMs, restMs: random.between(REST_MS.min, REST_MS.max) };
  };
  for (;;) {
    for (const kind of random.shuffled(freezes ? LONG_ROUND : SHORT_ROUND)) {
      if (kind === "roll") {
        for (const node of random.shuffled(mortal)) yield fault("restart", node);
      } else if (kind === "pause") {
        yield fault(kind, random.pick(all), random.between(PAUSE_MS.min, PAUSE_MS.max));
      } else if (kind === "stall") {
        yield fault(kind, random.pick(all));
      } else if (kind === "expel") {
        yield { ...fault(kind, random.pick(all)), part: random.fraction() };
      } else if (kind === "flood") {
        const node = random.pick(all);
        // Not the witness, whose memory is to be flat.
        const shouter = random.pick(mortal.filter((other) => other !== node));
        const forMs = random.between(PAUSE_MS.min, PAUSE_MS.max);
        yield { ...fault(kind, node, forMs), shouter };
      } else {
        const forMs = random.chance(AT_ONCE) ? 0 : random.between(0, MAX_AWAY_MS);
        yield fault(kind, random.pick(mortal), forMs);
      }
    }
  }
}
