import { MAX_ASK_RETRY_MS } from "../../presence/_replica.ts";
import { MIN_ANSWER_INTERVAL_MS } from "../../presence/_authority.ts";
import { type Plan, TIMEOUT_MS, Violation, World } from "./_world.ts";

/** How a seed has ended. */
export interface Outcome {
  readonly seed: number;
  readonly plan: Plan;
  readonly violation: unknown;
  readonly log: readonly string[];
  readonly faults: number;
  readonly changes: number;
  readonly messages: number;
  readonly simulatedMs: number;
}

/** Runs a seed: faults and changes, then the promises that hold when the faults have stopped. */
export function runSeed(seed: number): Outcome {
  const world = new World(seed);
  let violation: unknown;
  try {
    run(world);
  } catch (error) {
    violation = error;
  }
  const { plan, log, faults, changes, messages, schedule } = world;
  return { seed, plan, violation, log, faults, changes, messages, simulatedMs: schedule.now };
}

function run(world: World): void {
  const { plan, schedule, random } = world;
  const pass = (ms: number) => schedule.runUntil(schedule.now + ms);
  for (let i = 0; i < plan.size; i++) world.start(`h${i}`);
  world.beginChanges();
  world.beginFaults();
  pass(random.between(2_000, 20_000));
  // Messages are no longer lost, and questions that were are asked again; the rest is as it was.
  world.isLossy = false;
  pass(random.between(1, 2) * MAX_ASK_RETRY_MS);
  world.isBusy = false;
  if (plan.faults === "losses") {
    pass(1_000);
    world.checkAgreement(true);
  }
  world.heal();
  // 200 ms until the last link is up.
  pass(1_200);
  world.checkAgreement(plan.kind === "mesh");
  // Nodes that were killed on a broker are gone by now, also for nodes that woke up in between.
  pass(2 * TIMEOUT_MS);
  world.checkAgreement(true);
  for (let i = random.integer(1, 5); i > 0; i--) {
    world.changeOne();
    pass(2 * plan.maxDelayMs + 1);
    world.checkAgreement(true);
  }
  askOften(world);
  leaveOneByOne(world);
}

/** However often the others ask, a node answers now and then only. */
function askOften(world: World): void {
  const { schedule, running } = world;
  const sites = running.flatMap(({ sites }) => sites);
  const before = new Map(sites.map((site) => [site, site.snapshots]));
  for (let i = 0; i < 50; i++) {
    for (const site of sites) site.core.start(schedule.now);
    schedule.runUntil(schedule.now + 10);
  }
  for (const site of sites) {
    const count = site.snapshots - (before.get(site) ?? 0);
    // In half a second, and the first may have been due already.
    const most = 2 + 500 / MIN_ANSWER_INTERVAL_MS;
    if (count > most) throw new Violation(`${site.node.id} has sent ${count} snapshots`);
  }
  schedule.runUntil(schedule.now + 500);
  world.checkAgreement(true);
}

/** A node that leaves is gone everywhere at once, and nothing is left of it. */
function leaveOneByOne(world: World): void {
  const { schedule, plan } = world;
  while (world.running.length > 1) {
    const [node] = world.running;
    for (const site of node.sites) site.core.end(schedule.now);
    node.state = "dead";
    schedule.runUntil(schedule.now + plan.maxDelayMs + 1);
    world.checkAgreement(true);
  }
}
