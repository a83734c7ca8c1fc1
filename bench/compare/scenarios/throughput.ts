/** 1: deliveries a second of a whole cluster that is broadcast to until saturation. */

import type { JoinPlan } from "../load/orders.ts";
import { membersPerRoom } from "../load/plan.ts";
import { aheadOf, saturate } from "../measure.ts";
import { generatorSteps } from "./generator.ts";
import { placed, type Scenario, stageSteps } from "../scenario.ts";

/** All clients in one room, or each in ten of a thousand. */
const ONE_ROOM: JoinPlan = { rooms: 1, perClient: 1 };
const MANY_ROOMS: JoinPlan = { rooms: 1_000, perClient: 10 };

/** What is measured, with messages of each size. */
interface Cell {
  readonly nodes: number;
  readonly clients: number;
  readonly plan: JoinPlan;
  /** The node that broadcasts, if not all do. */
  readonly from?: number;
}

const CELLS: readonly Cell[] = [
  { nodes: 2, clients: 100, plan: ONE_ROOM },
  // Every broadcast crosses a link, and the node that delivers it can be fully loaded: the other
  // core has time for the rest, the generator included.
  { nodes: 2, clients: 100, plan: { ...ONE_ROOM, node: 1 }, from: 0 },
  { nodes: 2, clients: 1_000, plan: MANY_ROOMS },
];
const SIZES = [64, 1024];
const ROUNDS = 5;
const ROUND_MS = 700;
const WARM_UP_MS = 300;
const SET_UP_SECONDS = 2;
/** A round, with what is left in flight at its end. */
const ROUND_SECONDS = 0.9;

/** Cluster throughput. */
export const throughput: Scenario = {
  number: 1,
  title: "Cluster throughput",
  steps: (context) => {
    const contests = CELLS.flatMap(({ nodes, clients, plan, from }) => {
      const ahead = (bytes: number) =>
        aheadOf({ nodes, clients, bytes, perBroadcast: membersPerRoom(clients, plan) });
      return stageSteps(context, {
        what: `${nodes} nodes, ${clients} ${sockets(plan)}, rooms: ${plan.rooms}`,
        contenders: placed(context, "cluster"),
        nodes,
        rounds: context.quick ? 1 : ROUNDS,
        setUpSeconds: SET_UP_SECONDS,
        async setUp(running) {
          await running.settle(clients, plan);
          await saturate(running, {
            ms: WARM_UP_MS,
            bytes: SIZES[0],
            times: 1,
            from,
            ...ahead(SIZES[0]),
          });
        },
        measurements: SIZES.map((bytes) => ({
          what: `${bytes} B`,
          seconds: ROUND_SECONDS,
          async run(running) {
            const order = { ms: ROUND_MS, bytes, times: 1, from, ...ahead(bytes) };
            const { rates } = await saturate(running, order);
            const { rooms } = plan;
            return { case: { nodes, clients, at: sockets(plan), rooms, bytes }, values: rates };
          },
        })),
      });
    });
    return [...generatorSteps(context), ...contests];
  },
};

/** What the report calls them. */
function sockets({ node }: JoinPlan): string {
  return node === undefined ? "sockets" : "sockets on one node";
}
