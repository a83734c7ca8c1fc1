/**
 * 5: a client that stops reading, a thousand that never read, a node that stops, a node that is killed
 * and comes back.
 */

import type { JoinPlan } from "../load/orders.ts";
import type { Running } from "../running.ts";
import { type Context, placed, type Scenario, stageSteps, type Step } from "../scenario.ts";
import { percentile } from "../stats.ts";

const ONE_ROOM = { rooms: 1, perClient: 1 };
/** 0.8 MB a second for everybody, the one who does not read included. */
const BYTES = 16 * 1024;
const RATE = 50;
const FAIR_MS = 5_000;
const STALL_MS = 20_000;
const QUICK_SHARE = 5;
const STALLED_CLIENT = 0;
const CLIENTS = 20;
const SAMPLE_MS = 1_000;
const SET_UP_SECONDS = 1.5;

const FLOOD_CLIENTS = 1_000;
const FLOOD_BYTES = 1024;
/** To each room. */
const FLOOD_RATE = 1_000;
const FLOOD_MS = 10_000;
const FLOOD_SAMPLE_MS = 250;
/** Memory counts as free again when this share of it is left at most. */
const FREE_SHARE = 0.02;
const FREE_LIMIT_MS = 12_000;

const NODES = 3;
const STALLED_NODE = 2;
const NODE_CLIENTS = 6;
const RECOVERY_LIMIT_MS = 60_000;

const KILLS = 2;
const KNOWN_LIMIT_MS = 5_000;
const PAUSE_MS = 300;
const KILL_SECONDS = 2.5;

/** Paces, and takes down the memory of nodes and broker every second. */
async function paced(running: Running, ms: number, hear: readonly number[], except?: number) {
  const memory: number[] = [];
  const take = () => memory.push(running.residentBytesExcept(except));
  take();
  const timer = setInterval(take, SAMPLE_MS);
  try {
    const order = { op: "pace", rate: RATE, ms, bytes: BYTES, hear } as const;
    return { memory, result: await running.generator.run(order) };
  } finally {
    clearInterval(timer);
  }
}

/** Fair weather, then the same with something stalled: what others see, and what it takes to hold. */
async function stalled(context: Context, running: Running, {
  part,
  hear,
  except,
  stall,
}: {
  readonly part: string;
  readonly hear: readonly number[];
  readonly except?: number;
  stall(): void | Promise<unknown>;
}) {
  const share = context.quick ? QUICK_SHARE : 1;
  const fair = await paced(running, FAIR_MS / share, hear, except);
  await stall();
  const bad = await paced(running, STALL_MS / share, hear, except);
  const [before = 0] = bad.memory;
  const at = ({ result }: typeof fair, q: number) => percentile(result.latenciesMs, q);
  return {
    case: { part },
    values: {
      fairP50Ms: at(fair, 0.5),
      fairP99Ms: at(fair, 0.99),
      p50Ms: at(bad, 0.5),
      p99Ms: at(bad, 0.99),
      p999Ms: at(bad, 0.999),
      lost: bad.result.lost,
      peakGrowthBytes: Math.max(...bad.memory) - before,
      endGrowthBytes: (bad.memory.at(-1) ?? before) - before,
    },
    curves: { memoryBytes: bad.memory, worstMs: bad.result.worstMs },
  };
}

function clientSteps(context: Context): Step[] {
  return stageSteps(context, {
    what: "a client that stops reading",
    contenders: placed(context, "alone"),
    nodes: 1,
    rounds: 1,
    together: true,
    setUpSeconds: SET_UP_SECONDS,
    setUp: (running) => running.settle(CLIENTS, ONE_ROOM),
    measurements: [{
      what: "a stalled client",
      seconds: (FAIR_MS + STALL_MS) / 1000 / (context.quick ? QUICK_SHARE : 1),
      run: (running) =>
        stalled(context, running, {
          part: "client",
          hear: [0],
          stall: () => running.generator.run({ op: "pause", client: STALLED_CLIENT }),
        }),
    }],
  });
}

function nodeSteps(context: Context): Step[] {
  return stageSteps(context, {
    what: "a node that stops",
    contenders: placed(context, "cluster"),
    nodes: NODES,
    rounds: 1,
    together: true,
    setUpSeconds: SET_UP_SECONDS * 2,
    setUp: (running) => running.settle(NODE_CLIENTS, ONE_ROOM),
    measurements: [{
      what: "a stalled node, and its return",
      seconds: (FAIR_MS + STALL_MS) / 1000 / (context.quick ? QUICK_SHARE : 1) + 10,
      async run(running) {
        const sample = await stalled(context, running, {
          part: "node",
          hear: [0, 1],
          except: STALLED_NODE,
          stall: () => running.freeze(STALLED_NODE),
        });
        await running.thaw();
        const order = { op: "probe", from: 0, to: STALLED_NODE } as const;
        const back = await running.generator.run({ ...order, timeoutMs: RECOVERY_LIMIT_MS });
        const { ms: recoveryMs, reconnected } = back;
        return { ...sample, values: { ...sample.values, recoveryMs, reconnected } };
      },
    }],
  });
}

/** Kills the last node, and has it come back. */
async function killed(running: Running): Promise<Record<string, number>> {
  const told = new Set<number>();
  const known = Promise.withResolvers<number>();
  const start = performance.now();
  running.listen(({ event, from, atMs }) => {
    if (event !== "peerdown") return;
    told.add(from);
    if (told.size === NODES - 1) known.resolve(atMs - start);
  });
  const returned = await running.replace(STALLED_NODE, { pauseMs: PAUSE_MS });
  const ready = performance.now();
  const { port } = running.nodes[STALLED_NODE];
  await running.generator.run({ op: "reopen", node: STALLED_NODE, port });
  const timeoutMs = RECOVERY_LIMIT_MS;
  const order = { op: "probe", timeoutMs } as const;
  for (let other = 0; other < STALLED_NODE; other++) {
    await running.generator.run({ ...order, from: other, to: STALLED_NODE });
    await running.generator.run({ ...order, from: STALLED_NODE, to: other });
  }
  const values = { startMs: returned, deliveryMs: performance.now() - ready };
  if (!running.contender.tellsOfPeers) return values;
  const late = new Promise<number>((resolve) => setTimeout(resolve, KNOWN_LIMIT_MS, NaN));
  return { ...values, knownMs: await Promise.race([known.promise, late]) };
}

function killSteps(context: Context): Step[] {
  return stageSteps(context, {
    what: "a node that is killed",
    contenders: placed(context, "cluster"),
    nodes: NODES,
    rounds: context.quick ? 1 : KILLS,
    setUpSeconds: SET_UP_SECONDS * 2,
    setUp: (running) => running.settle(NODE_CLIENTS, ONE_ROOM),
    measurements: [{
      what: "kill -9 and return",
      seconds: KILL_SECONDS,
      run: async (running) => ({ case: { part: "kill" }, values: await killed(running) }),
    }],
  });
}

/** Broadcasts to clients that never read, then closes them, and waits for their memory. */
async function flooded(running: Running, name: string, plan: JoinPlan, quick: boolean) {
  const clients = quick ? FLOOD_CLIENTS / QUICK_SHARE : FLOOD_CLIENTS;
  await running.open(clients, plan);
  await running.generator.run({ op: "join", ...plan });
  await running.collectGarbage();
  const before = await running.heapBytes();
  const residentBefore = running.residentBytes();
  let peak = before;
  let residentPeak = residentBefore;
  let isOver = false;
  const watch = async () => {
    while (!isOver) {
      peak = Math.max(peak, await running.heapBytes());
      residentPeak = Math.max(residentPeak, running.residentBytes());
      await sleep(FLOOD_SAMPLE_MS);
    }
  };
  const watching = watch();
  const ms = quick ? FLOOD_MS / QUICK_SHARE : FLOOD_MS;
  const order = { op: "flood", ms, bytes: FLOOD_BYTES, rate: FLOOD_RATE } as const;
  const { quietMs, lost, rate } = await running.generator.run(order);
  isOver = true;
  await watching;
  await running.generator.run({ op: "close" });
  const closed = performance.now();
  let left = peak - before;
  while (left > (peak - before) * FREE_SHARE && performance.now() - closed < FREE_LIMIT_MS) {
    await sleep(FLOOD_SAMPLE_MS);
    await running.collectGarbage();
    left = await running.heapBytes() - before;
  }
  return {
    case: { part: "flood", rooms: name },
    values: {
      perClientBytes: (peak - before) / clients,
      // A socket of the runtime's own may hold what is not in JavaScript's memory.
      perClientResidentBytes: (residentPeak - residentBefore) / clients,
      leftPerClientBytes: left / clients,
      freeAfterMs: performance.now() - closed,
      quietP50Ms: percentile(quietMs, 0.5),
      quietP99Ms: percentile(quietMs, 0.99),
      quietMaxMs: quietMs.at(-1) ?? NaN,
      lost,
      rate,
    },
  };
}

function floodSteps(context: Context): Step[] {
  const plans = {
    "all in one room": { rooms: 1, perClient: 1 },
    "each in a room of its own": { rooms: FLOOD_CLIENTS, perClient: 1 },
  };
  if (context.quick) plans["each in a room of its own"].rooms /= QUICK_SHARE;
  // Others have no limit to what waits for a client: a machine runs out of memory.
  const contenders = placed(context, "alone").filter(({ ours, runtime }) =>
    ours && runtime === "deno"
  );
  return Object.entries(plans).flatMap(([name, plan]) =>
    contenders.flatMap((contender) =>
      stageSteps(context, {
        what: `clients that never read, ${name}`,
        contenders: [contender],
        nodes: 1,
        rounds: 1,
        setUpSeconds: 0.5,
        setUp: () => Promise.resolve(),
        measurements: [{
          what: `${FLOOD_CLIENTS} of them`,
          seconds: (FLOOD_MS + FREE_LIMIT_MS) / 1000 / (context.quick ? QUICK_SHARE : 1),
          run: (running) => flooded(running, name, plan, context.quick),
        }],
      })
    )
  );
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Bad weather. */
export const badWeather: Scenario = {
  number: 5,
  title: "Bad weather",
  steps: (context) => [
    ...clientSteps(context),
    ...floodSteps(context),
    ...nodeSteps(context),
    ...killSteps(context),
  ],
};
