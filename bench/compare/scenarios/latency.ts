/** 2: from a client's message on one node to its receipt by the clients of another, at a fixed rate. */

import { placed, type Scenario, stageSteps } from "../scenario.ts";
import { percentile } from "../stats.ts";

const NODES = 2;
const CLIENTS = 100;
const ONE_ROOM = { rooms: 1, perClient: 1 };
const BYTES = 64;
/** Broadcasts a second: far below what any contender carries. */
const RATE = 300;
/** Other load on the machine comes in bursts, so there are many short rounds. */
const ROUNDS = 7;
const ROUND_MS = 2_000;
const WARM_UP_MS = 500;
const SET_UP_SECONDS = 2;
const OVERHEAD_SECONDS = 0.3;

/** Of the distribution that is kept: dense where it is rare. */
export const SHARES: readonly number[] = [
  ...[0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.965, 0.98, 0.985, 0.99],
  ...[0.993, 0.995, 0.9965, 0.998, 0.9985, 0.999, 0.9995, 0.9998, 0.9999],
];

/** Latency. */
export const latency: Scenario = {
  number: 2,
  title: "Latency",
  steps: (context) => {
    return stageSteps(context, {
      what: `${NODES} nodes, ${CLIENTS} sockets`,
      contenders: placed(context, "cluster"),
      nodes: NODES,
      rounds: context.quick ? 1 : ROUNDS,
      setUpSeconds: SET_UP_SECONDS,
      async setUp(running) {
        await running.settle(CLIENTS, ONE_ROOM);
        const order = { op: "pace", rate: RATE, ms: WARM_UP_MS, bytes: BYTES, hear: [1] } as const;
        await running.generator.run(order);
      },
      measurements: [{
        what: `${BYTES} B at a fixed rate`,
        seconds: ROUND_MS / 1000 + OVERHEAD_SECONDS,
        async run(running) {
          const order = { op: "pace", rate: RATE, ms: ROUND_MS, bytes: BYTES, hear: [1] } as const;
          const { latenciesMs, lateMs, lost } = await running.generator.run(order);
          const at = (share: number) => percentile(latenciesMs, share);
          return {
            case: { nodes: NODES, clients: CLIENTS, bytes: BYTES },
            values: {
              p50Ms: at(0.5),
              p99Ms: at(0.99),
              p999Ms: at(0.999),
              lateMs,
              lost,
              rate: RATE,
            },
            curves: { quantilesMs: SHARES.map(at) },
          };
        },
      }],
    });
  },
};
