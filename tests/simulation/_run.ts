/**
 * One seed: a cluster is started, suffers, is repaired, and must then be as if nothing had been.
 *
 * | act | what must hold, besides what holds after every step |
 * | --- | --- |
 * | all start at once | the mesh is complete within {@linkcode FORM_LIMIT_MS}, and no link is lost or refused |
 * | faults and traffic | |
 * | repair | the mesh is complete within {@linkcode COMPLETE_LIMIT_MS}, one link for each pair |
 * | calm | no link is lost, nobody is refused; all that was queued arrives, what was dropped is reported, a broadcast goes to those who want it and to no others |
 * | one path is slower than what is sent over it | no link is lost: bytes still arrive |
 * | some machines die and are started again at once, one after the other | it has taken its ghost's place in {@linkcode GHOST_LIMIT_MS} |
 * | shutdown, one node after the other | last words are heard, goodbyes understood, nothing is left |
 */

import { Cluster, type Counts } from "./_cluster.ts";
import { Violation } from "./_ledger.ts";
import { nameOf } from "./_node.ts";

/** How long a repaired cluster may take until it is complete. */
export const COMPLETE_LIMIT_MS = 90_000;
/** How long a node that is started again may take to replace its ghost everywhere. */
const GHOST_LIMIT_MS = 4_000;
const MAX_GHOSTS = 3;
/** How long nodes that are started together may take to find each other. */
const FORM_LIMIT_MS = 4_000;
const CALM_MS = 30_000;
const MAX_LAST_WORDS = 30;
const ARRIVAL_LIMIT_MS = 10_000;
const SLOW_MS = 30_000;
/** How much more is sent over a slow path than it carries. */
const OVERLOAD = 2.5;
/** How long the writer on a slow path waits, at most, until its buffer takes more. */
const WRITE_STALL_MS = 8_000;

export interface Outcome extends Counts {
  readonly seed: number;
  readonly size: number;
  /** How long the repaired cluster took until it was complete. */
  readonly completeMs: number;
  readonly violation: unknown;
  readonly history: readonly string[];
}

export async function runSeed(
  seed: number,
  { onTrace }: { onTrace?: (line: string) => void } = {},
): Promise<Outcome> {
  const cluster = new Cluster(seed, onTrace);
  const { simulation } = cluster;
  let completeMs = 0;
  const onUncaught = (event: Event) => {
    event.preventDefault();
    const what = event instanceof PromiseRejectionEvent
      ? event.reason
      : event instanceof ErrorEvent
      ? event.error
      : event.type;
    cluster.fail(new Violation(`uncaught: ${what?.stack ?? what}`));
  };
  globalThis.addEventListener("unhandledrejection", onUncaught);
  globalThis.addEventListener("error", onUncaught);
  try {
    await suffer(cluster);
    completeMs = await recover(cluster);
    await stayCalm(cluster);
    await slowDown(cluster);
    for (const hostname of simulation.random.shuffled(cluster.hostnames).slice(0, MAX_GHOSTS)) {
      await replaceGhost(cluster, hostname);
    }
    await shutDown(cluster);
    // An uncaught rejection is told of in a turn of its own.
    await new Promise((resolve) => setTimeout(resolve, 0));
    cluster.throwIfFailed();
  } catch (error) {
    cluster.fail(error);
  } finally {
    globalThis.removeEventListener("unhandledrejection", onUncaught);
    globalThis.removeEventListener("error", onUncaught);
  }
  const { violation, history, plan: { size } } = cluster;
  return { seed, size, completeMs, violation, history, ...cluster.counts };
}

/** All dial each other at once, and nothing is wrong: no link may come up in vain. */
async function form(cluster: Cluster): Promise<void> {
  await within(cluster, "the mesh has not formed", FORM_LIMIT_MS, () => cluster.isComplete());
  await cluster.simulation.run(FORM_LIMIT_MS);
  const troubles = cluster.running.reduce((sum, node) => sum + node.troubles, 0);
  if (troubles > 0) throw new Violation("links lost or refused while the mesh formed");
}

async function suffer(cluster: Cluster): Promise<void> {
  const { simulation, plan } = cluster;
  for (const hostname of cluster.hostnames) await cluster.start(hostname);
  await form(cluster);
  cluster.beginTraffic();
  const end = simulation.now + plan.faultsMs;
  while (simulation.now < end) {
    await simulation.run(simulation.random.between(0, 2 * plan.faultEveryMs));
    cluster.throwIfFailed();
    cluster.injectFault();
  }
}

/** Gives when the mesh became complete for good: a link may be there and be dead, which takes time to show. */
async function recover(cluster: Cluster): Promise<number> {
  const { simulation } = cluster;
  cluster.log("repair");
  const repairedAt = simulation.now;
  await cluster.repair();
  let completeAt: number | undefined;
  const end = repairedAt + COMPLETE_LIMIT_MS;
  while (simulation.now < end) {
    await simulation.run(100);
    if (!cluster.isComplete()) completeAt = undefined;
    else completeAt ??= simulation.now;
  }
  cluster.throwIfFailed();
  if (completeAt === undefined) {
    throw new Violation(`the mesh is not complete ${COMPLETE_LIMIT_MS} ms after all faults`);
  }
  cluster.log(`complete, for good ${(completeAt - repairedAt).toFixed(0)} ms after the repair`);
  return completeAt - repairedAt;
}

async function stayCalm(cluster: Cluster): Promise<void> {
  const troubles = () => cluster.running.reduce((sum, node) => sum + node.troubles, 0);
  const before = troubles();
  await cluster.simulation.run(CALM_MS);
  cluster.throwIfFailed();
  if (troubles() !== before) throw new Violation("links lost or refused though all is well");
  cluster.endTraffic();
  cluster.broadcastFromAll();
  await within(
    cluster,
    "messages are missing, and nobody has said so",
    ARRIVAL_LIMIT_MS,
    () => cluster.missing() === 0,
  );
  await within(
    cluster,
    "messages are dropped, and the receivers have not been told",
    ARRIVAL_LIMIT_MS,
    () => cluster.unreported() === 0,
  );
  // Rooms for answers have closed, and that has been announced.
  await cluster.simulation.run(ARRIVAL_LIMIT_MS);
  cluster.checkInterest();
  cluster.checkPairs();
}

/** A link whose bytes arrive is alive, however long a ping waits in buffers on the way. */
async function slowDown(cluster: Cluster): Promise<void> {
  const { simulation, plan } = cluster;
  const [from, to] = simulation.random.shuffled(cluster.running);
  // The path is never silent for longer than a second, though writes may stall for many.
  const bytesPerMs = Math.max(plan.maxChunkBytes / 1_000, plan.bufferBytes / 3 / WRITE_STALL_MS);
  const size = Math.min(plan.maxMessageBytes, Math.max(50, Math.floor(200 * bytesPerMs)));
  const troubles = () => cluster.running.reduce((sum, node) => sum + node.troubles, 0);
  const before = troubles();
  cluster.log(`${(1_000 * bytesPerMs).toFixed(0)} bytes/s from ${nameOf(from.host.hostname)}`);
  simulation.network.throttle(from.host.hostname, to.host.hostname, 1_000 * bytesPerMs);
  const end = simulation.now + SLOW_MS;
  while (simulation.now < end) {
    from.broadcast(["lobby"], size);
    await simulation.run(size / bytesPerMs / OVERLOAD);
    cluster.throwIfFailed();
    if (troubles() !== before) throw new Violation("a link that was slow but alive is lost");
  }
  simulation.network.heal();
  await within(
    cluster,
    "messages for a slow peer are missing",
    ARRIVAL_LIMIT_MS,
    () => cluster.missing() === 0,
  );
}

async function replaceGhost(cluster: Cluster, hostname: string): Promise<void> {
  cluster.crash(hostname, true);
  await cluster.start(hostname);
  await within(
    cluster,
    `the ghost of ${hostname} is in the way`,
    GHOST_LIMIT_MS,
    () => cluster.isComplete(),
  );
  // A ghost gives way at once: nobody waits until it has been found out to be one.
  const troubles = cluster.nodes.get(hostname)?.troubles ?? 0;
  if (troubles > 0) throw new Violation(`${hostname} is refused because of its ghost`);
  cluster.broadcastFromAll();
  await within(
    cluster,
    "messages to or from a restarted node are missing",
    ARRIVAL_LIMIT_MS,
    () => cluster.missing() === 0,
  );
}

async function shutDown(cluster: Cluster): Promise<void> {
  const { simulation } = cluster;
  for (const hostname of simulation.random.shuffled(cluster.hostnames)) {
    cluster.broadcastFromAll();
    const node = cluster.nodes.get(hostname);
    const links = [...node?.life.links.values() ?? []];
    const ends = links.map((link) => cluster.farEndOf(link, nameOf(hostname)));
    // More than fits the smaller queues.
    for (let i = 0; i < MAX_LAST_WORDS; i++) node?.broadcast(["lobby"], 100);
    await simulation.complete(cluster.shutdown(hostname));
    cluster.throwIfFailed();
    const lost = links.reduce((sum, link) => sum + link.missing, 0);
    if (lost > 0) throw new Violation(`${lost} last words of ${hostname} are lost`);
    const isReported = links.every(({ tellsMissed, dropped }, i) =>
      !tellsMissed || ends[i]?.reported === dropped
    );
    if (!isReported) throw new Violation(`${hostname} has not said how many of them it dropped`);
    await within(
      cluster,
      `${hostname} has left, and is still linked`,
      1_000,
      () => cluster.running.every((other) => !other.life.links.has(nameOf(hostname))),
    );
    for (const { mesh, downReasons } of cluster.running) {
      const reason = downReasons.get(nameOf(hostname));
      if (reason === "goodbye") continue;
      throw new Violation(`${mesh.name} takes the goodbye of ${hostname} for "${reason}"`);
    }
  }
}

async function within(
  cluster: Cluster,
  what: string,
  limitMs: number,
  condition: () => boolean,
): Promise<number> {
  try {
    return await cluster.simulation.runUntil(condition, { limitMs });
  } catch (error) {
    cluster.throwIfFailed();
    if (error instanceof Violation) throw error;
    throw new Violation(`${what} after ${limitMs} ms`, { cause: error });
  }
}
