/** 4: what a broadcast costs as rooms and nodes become more. */

import type { JoinPlan } from "../load/orders.ts";
import { membersPerRoom } from "../load/plan.ts";
import { aheadOf, saturate } from "../measure.ts";
import type { Running } from "../running.ts";
import { type Context, placed, type Scenario, stageSteps, type Step } from "../scenario.ts";

/** Everybody is in every room, so that a broadcast is the same work however many there are. */
const ROOM_CLIENTS = 10;
const ROOM_COUNTS = [1, 1_000, 100_000];
const ROOM_NODES = 2;
const ROOM_ROUNDS = 1;
const NODE_COUNTS = [2, 8, 16];
const NODE_CLIENTS = 32;
const NODE_ROUNDS = 1;
const ONE_ROOM: JoinPlan = { rooms: 1, perClient: 1 };
const BYTES = 64;
const ROUND_MS = 700;
const ROUND_SECONDS = 1;
const SECONDS_PER_NODE = 0.35;
const SECONDS_PER_ROOM = 1 / 50_000;

function roomSteps(context: Context): Step[] {
  const joined = new WeakMap<Running, number>();
  const counts = context.quick ? ROOM_COUNTS.slice(0, -1) : ROOM_COUNTS;
  return stageSteps(context, {
    what: `${ROOM_NODES} nodes, more and more rooms`,
    contenders: placed(context, "cluster"),
    nodes: ROOM_NODES,
    rounds: context.quick ? 1 : ROOM_ROUNDS,
    setUpSeconds: 1.5,
    setUp: (running) => running.settle(ROOM_CLIENTS, ONE_ROOM),
    measurements: counts.map((rooms) => ({
      what: `${rooms} rooms`,
      seconds: ROUND_SECONDS + rooms * SECONDS_PER_ROOM,
      async run(running) {
        const plan = { rooms, perClient: rooms };
        if (joined.get(running) !== rooms) await running.generator.run({ op: "join", ...plan });
        joined.set(running, rooms);
        const values = await costs(running, ROOM_NODES, ROOM_CLIENTS, plan);
        return { case: { part: "rooms", rooms }, values };
      },
    })),
  });
}

function nodeSteps(context: Context): Step[] {
  const counts = context.quick ? [2, 4] : NODE_COUNTS;
  const rounds = context.quick ? 1 : NODE_ROUNDS;
  // Not side by side: sixteen nodes of everybody at once are more than most machines have room for.
  return counts.flatMap((nodes) =>
    Array.from(
      { length: rounds },
      () =>
        placed(context, "cluster").flatMap((contender) =>
          stageSteps(context, {
            what: `more and more nodes: ${nodes}`,
            contenders: [contender],
            nodes,
            rounds: 1,
            setUpSeconds: 1 + nodes * SECONDS_PER_NODE,
            setUp: (running) => running.settle(NODE_CLIENTS, ONE_ROOM),
            measurements: [{
              what: `${NODE_CLIENTS} sockets`,
              seconds: ROUND_SECONDS,
              async run(running) {
                const values = await costs(running, nodes, NODE_CLIENTS, ONE_ROOM);
                return { case: { part: "nodes", nodes }, values };
              },
            }],
          })
        ),
    ).flat()
  );
}

async function costs(running: Running, nodes: number, clients: number, plan: JoinPlan) {
  const perBroadcast = membersPerRoom(clients, plan);
  const ahead = aheadOf({ nodes, clients, bytes: BYTES, perBroadcast });
  return (await saturate(running, { ms: ROUND_MS, bytes: BYTES, times: 1, ...ahead })).rates;
}

/** Growth. */
export const growth: Scenario = {
  number: 4,
  title: "Growth",
  steps: (context) => [...roomSteps(context), ...nodeSteps(context)],
};
