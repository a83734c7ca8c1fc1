/** Which faults happen, in which order and to whom: decided by a seed. */

import type { Random } from "../../mesh/simulation/mod.ts";

/**
 * | fault | |
 * | --- | --- |
 * | `kill` | SIGKILL, and the node is started again after `forMs`, perhaps at once |
 * | `pause` | SIGSTOP for `forMs`, too short for anybody to miss the node |
 * | `freeze` | SIGSTOP until all have given the node up, and `forMs` longer |
 * | `restart` | SIGTERM, and the node is started again as soon as it has ended |
 */
export type FaultKind = "kill" | "pause" | "freeze" | "restart";

/** A fault to come. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** Index of the node. */
  readonly node: number;
  readonly forMs: number;
  /** How long nothing happens afterwards. */
  readonly restMs: number;
}

/** Of whom and for how long a plan is. */
export interface PlanOptions {
  readonly nodes: number;
  /** The node whose process lives through all: it is only paused. */
  readonly witness: number;
  /** Whether there is time for a freeze, which takes half a minute. */
  readonly freezes: boolean;
}

/** What a round is made of. A roll restarts each node but the witness, one after another. */
const LONG_ROUND = ["kill", "kill", "kill", "kill", "pause", "pause", "pause", "freeze", "roll"];
const SHORT_ROUND = ["kill", "kill", "pause", "roll"];

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
      } else {
        const forMs = random.chance(AT_ONCE) ? 0 : random.between(0, MAX_AWAY_MS);
        yield fault(kind === "freeze" ? kind : "kill", random.pick(mortal), forMs);
      }
    }
  }
}
