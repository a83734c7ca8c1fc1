/** 3: what one node can do by itself: a broadcast to many, memory of connections and memberships. */

import type { JoinPlan } from "../load/orders.ts";
import { aheadOf, calmest, saturate } from "../measure.ts";
import type { Running } from "../running.ts";
import { placed, type Scenario, stageSteps } from "../scenario.ts";
import { median, percentile } from "../stats.ts";

const CLIENTS = 1_000;
/** Singly, and in a burst within one tick. */
const TIMES = [1, 20];
const BYTES = 64;
const ROUNDS = 9;
const ROUND_MS = 600;
const WARM_UP_MS = 300;
const SET_UP_SECONDS = 2;
const ROUND_SECONDS = 0.8;
const ONE_ROOM: JoinPlan = { rooms: 1, perClient: 1 };

const IDLE_CLIENTS = 5_000;
/** Each connection in ten rooms of fifty. */
const FEW_ROOMS: JoinPlan = { rooms: 1_000, perClient: 10 };
/** A million memberships. */
const MANY_ROOMS: JoinPlan = { rooms: 10_000, perClient: 200 };
const MEMORY_ROUNDS = 1;
const MEMORY_SECONDS = 8;
const QUICK_SHARE = 10;

/** Memory after garbage is gone. */
async function residentBytes(running: Running): Promise<number> {
  await running.collectGarbage();
  return running.residentBytes();
}

/** One node. */
export const oneNode: Scenario = {
  number: 3,
  title: "One node",
  steps: (context) => {
    const contenders = placed(context, "alone");
    const clients = CLIENTS;
    const fanOut = stageSteps(context, {
      what: `fan-out to ${clients} sockets`,
      contenders,
      nodes: 1,
      rounds: context.quick ? 1 : ROUNDS,
      setUpSeconds: SET_UP_SECONDS,
      async setUp(running) {
        await running.settle(clients, ONE_ROOM);
        await saturate(running, { ms: WARM_UP_MS, bytes: BYTES, times: 1, ahead: 0 });
      },
      measurements: TIMES.map((times) => ({
        what: times === 1 ? "singly" : `${times} in a tick`,
        seconds: ROUND_SECONDS,
        async run(running) {
          const perBroadcast = clients * times;
          // Singly means one at a time: a contender must not send together what comes together.
          const ahead = times === 1
            ? { ahead: 0 }
            : aheadOf({ nodes: 1, clients, bytes: BYTES, perBroadcast });
          const order = { ms: ROUND_MS, bytes: BYTES, times, ...ahead };
          const { rates, eachMs } = await calmest(() => saturate(running, order));
          const sorted = [...eachMs].sort((a, b) => a - b);
          const values = times === 1
            ? { ...rates, p50Ms: median(sorted), p99Ms: percentile(sorted, 0.99) }
            : rates;
          return { case: { part: "fan-out", clients, times }, values };
        },
      })),
    });
    const idle = context.quick ? IDLE_CLIENTS / QUICK_SHARE : IDLE_CLIENTS;
    const rounds = context.quick ? 1 : MEMORY_ROUNDS;
    const memory = Array.from({ length: rounds }, (_, round) =>
      stageSteps(context, {
        what: `memory, round ${round + 1}`,
        contenders,
        nodes: 1,
        rounds: 1,
        setUpSeconds: 1,
        // What the first connections bring in besides themselves is not counted.
        async setUp(running) {
          await running.open(10);
          await running.generator.run({ op: "join", ...ONE_ROOM });
          await running.generator.run({ op: "close" });
        },
        measurements: [{
          what: `${idle} connections and ${idle * MANY_ROOMS.perClient} memberships`,
          seconds: MEMORY_SECONDS,
          async run(running) {
            const empty = await residentBytes(running);
            await running.open(idle);
            const connected = await residentBytes(running);
            await running.generator.run({ op: "join", ...FEW_ROOMS });
            const joined = await residentBytes(running);
            const start = performance.now();
            await running.generator.run({ op: "join", ...MANY_ROOMS });
            const joinSeconds = (performance.now() - start) / 1000;
            const full = await residentBytes(running);
            const memberships = idle * MANY_ROOMS.perClient;
            return {
              case: { part: "memory", clients: idle },
              values: {
                emptyBytes: empty,
                perConnectionBytes: (connected - empty) / idle,
                perConnectionInRoomsBytes: (joined - empty) / idle,
                perMembershipBytes: (full - joined) / memberships,
                fullBytes: full,
                joinSeconds,
              },
            };
          },
        }],
      })).flat();
    return [...fanOut, ...memory];
  },
};
