/** What is done to the nodes, and how long it takes until all is well again. */

import type { FaultSpan } from "./_account.ts";
import { type RunningLife, type SoakCluster, Violation } from "./_cluster.ts";
import {
  CLIENTS_BACK_MS,
  END_MS,
  FREEZE_NOTICED_MS,
  GOODBYE_NOTICED_MS,
  KILL_NOTICED_MS,
  PROCESS_MS,
} from "./_limits.ts";
import type { LinkRecord } from "./_link_book.ts";
import type { PlannedFault } from "./_plan.ts";
import { now } from "./_protocol.ts";

/** How long things took; what did not happen is left out. */
interface Times {
  /** Until all others had the node down. */
  readonly noticedMs?: number;
  /** From its return until messages were heard on all its links, both ways. */
  readonly completeMs?: number;
  /** From its return until all its clients were connected to it. */
  readonly clientsBackMs?: number;
  /** Messages that did not fit, and were reported so. */
  readonly dropped?: number;
}

/** A fault that has happened. */
export type DoneFault = FaultSpan & Times;

/** Has a fault happen, and resolves when all is well again. */
export async function inflict(cluster: SoakCluster, planned: PlannedFault): Promise<DoneFault> {
  const { kind, node } = planned;
  const life = cluster.nodes[node];
  const from = now();
  const times = await actions[kind](cluster, life, planned);
  return { kind, name: life.name, from, to: now(), ...times };
}

/** Has a node leave in order and end by itself. Gives how long the others took to notice. */
export async function leave(cluster: SoakCluster, life: RunningLife): Promise<number> {
  life.end = "left";
  life.child.signal("SIGTERM");
  const { name } = life;
  await cluster.until(`${name} closing its clients`, CLIENTS_BACK_MS, () => {
    return life.leavingAt !== undefined;
  });
  const downs = await cluster.noticed(life, GOODBYE_NOTICED_MS);
  const impolite = downs.find(({ reason }) => reason !== "goodbye");
  if (impolite) throw new Violation(`${name} has left, and is reported as ${impolite.reason}`);
  await cluster.until(`${name} having left`, PROCESS_MS, () => life.hasLeft);
  await life.child.closeStdin();
  await within(`${name} ending by itself: something is left running`, life.child.ended);
  return lastOf(downs) - (life.leavingAt ?? 0);
}

const actions = { kill, pause, flood, freeze, restart };

type Plan = PlannedFault;

async function kill(cluster: SoakCluster, life: RunningLife, { forMs }: Plan): Promise<Times> {
  const from = now();
  life.end = "killed";
  life.child.signal("SIGKILL");
  const noticed = cluster.noticed(life, KILL_NOTICED_MS);
  // Whoever waits first hears of it.
  noticed.catch(() => {});
  await delay(forMs);
  const times = await comeBack(cluster, life.node);
  return { noticedMs: lastOf(await noticed) - from, ...times };
}

async function pause(cluster: SoakCluster, life: RunningLife, { forMs }: Plan): Promise<Times> {
  life.child.signal("SIGSTOP");
  await delay(forMs);
  life.child.signal("SIGCONT");
  await cluster.report([life]);
  return {};
}

async function flood(cluster: SoakCluster, life: RunningLife, plan: Plan): Promise<Times> {
  const shouter = cluster.nodes[plan.shouter ?? 0];
  const dropped = () => shouter.records.reduce((sum, record) => sum + record.dropped, 0);
  await cluster.report([shouter]);
  const before = dropped();
  life.child.signal("SIGSTOP");
  await cluster.shout(shouter);
  await delay(plan.forMs);
  life.child.signal("SIGCONT");
  // It answers behind its shouting.
  await cluster.report([shouter, life]);
  return { dropped: dropped() - before };
}

async function freeze(cluster: SoakCluster, life: RunningLife, { forMs }: Plan): Promise<Times> {
  const from = now();
  life.child.signal("SIGSTOP");
  const downs = await cluster.noticed(life, FREEZE_NOTICED_MS);
  await delay(forMs);
  const back = now();
  life.child.signal("SIGCONT");
  const completeMs = await cluster.complete(life, back) - back;
  return { noticedMs: lastOf(downs) - from, completeMs };
}

async function restart(cluster: SoakCluster, life: RunningLife): Promise<Times> {
  const noticedMs = await leave(cluster, life);
  return { noticedMs, ...await comeBack(cluster, life.node) };
}

async function comeBack(cluster: SoakCluster, node: number): Promise<Times> {
  const life = await cluster.startNode(node);
  const completeMs = await cluster.complete(life, 0) - life.listeningAt;
  const clientsBackMs = await cluster.clientsBack(life) - life.listeningAt;
  return { completeMs, clientsBackMs };
}

function lastOf(downs: readonly LinkRecord[]): number {
  return Math.max(...downs.map(({ downAt = 0 }) => downAt));
}

/** Part of the plan: nothing is waited for. */
function delay(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

async function within(what: string, event: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Violation(`waited ${END_MS} ms for ${what}`)),
    END_MS,
  );
  try {
    await Promise.race([event, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
