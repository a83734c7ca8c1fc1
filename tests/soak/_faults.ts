/** What is done to the nodes, and how long it takes until all is well again. */

import type { FaultSpan } from "./_account.ts";
import { type RunningLife, type SoakCluster, Violation } from "./_cluster.ts";
import {
  CLIENTS_BACK_MS,
  END_MS,
  FREEZE_NOTICED_MS,
  GOODBYE_NOTICED_MS,
  KEPT_BYTES,
  KEPT_RESIDENT_BYTES,
  KILL_NOTICED_MS,
  PROCESS_MS,
  SLOW_CLOSED_MS,
  SLOW_FREED_MS,
} from "./_limits.ts";
import type { LinkRecord } from "./_link_book.ts";
import type { PlannedFault } from "./_plan.ts";
import { type Memory, now } from "./_protocol.ts";
import { allRooms, roomsOf } from "./_rooms.ts";

/** Clients that stop reading. Half of them read again when they have been closed. */
const STALLED = 16;

/** How often memory is looked at until it has come back. */
const LOOK_MS = 250;

/** How long things took; what did not happen is left out. */
interface Times {
  /** Until all others had the node down. */
  readonly noticedMs?: number;
  /** From its return until messages were heard on all its links, both ways. */
  readonly completeMs?: number;
  /** From its return until all its clients were connected to it. */
  readonly clientsBackMs?: number;
  /** From a disconnect until all members had been closed, on all nodes. */
  readonly expelledMs?: number;
  /** Messages that did not fit, and were reported so. */
  readonly dropped?: number;
  /** From the close of clients that do not read until the last of them had gone. */
  readonly freedMs?: number;
  /** How much more memory the node had when it had closed them, and when they had gone. */
  readonly heldBytes?: number;
  readonly keptBytes?: number;
  readonly heldResidentBytes?: number;
  readonly keptResidentBytes?: number;
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

const actions = { kill, expel, stall, pause, flood, freeze, restart };

type Plan = PlannedFault;

async function kill(cluster: SoakCluster, life: RunningLife, { forMs }: Plan): Promise<Times> {
  const from = now();
  life.end = "killed";
  life.child.signal("SIGKILL");
  const noticed = cluster.noticed(life, KILL_NOTICED_MS);
  // The first to wait hears of it.
  noticed.catch(() => {});
  await delay(forMs);
  const times = await comeBack(cluster, life.node);
  return { noticedMs: lastOf(await noticed) - from, ...times };
}

async function expel(cluster: SoakCluster, life: RunningLife, { part = 0 }: Plan): Promise<Times> {
  const { clients, clientCount } = cluster;
  const rooms = allRooms(clientCount);
  const room = rooms[Math.floor(part * rooms.length)];
  const members = Array.from({ length: clientCount }, (_, client) => roomsOf(client))
    .filter((own) => own.includes(room)).length;
  const from = now();
  const expected = clients.expelled + members;
  await life.child.send({ do: "expel", room });
  await cluster.until(`the ${members} members of ${room} being closed`, PROCESS_MS, () => {
    return clients.expelled >= expected;
  });
  const expelledMs = now() - from;
  await cluster.until(`the members of ${room} being back`, CLIENTS_BACK_MS, () => {
    return clients.returned === clients.expelled;
  });
  if (clients.expelled === expected) return { expelledMs, clientsBackMs: now() - from };
  throw new Violation(`${members} clients are in ${room}, and ${clients.expelled} were closed`);
}

async function stall(cluster: SoakCluster, life: RunningLife): Promise<Times> {
  const { name, child, incarnation, port } = life;
  const before = await memoryOf(cluster, life);
  const { connected } = cluster.stalled;
  const rooms = allRooms(cluster.clientCount).slice(0, STALLED);
  await cluster.tellStalled({ do: "stall", life: incarnation, port, rooms });
  await cluster.until("clients that do not read being connected", PROCESS_MS, () => {
    return cluster.stalled.connected > connected;
  });
  const { poured, freed } = life;
  await child.send({ do: "pour" });
  await cluster.until(`${name} closing clients that do not read`, SLOW_CLOSED_MS, () => {
    return life.poured > poured;
  });
  const closedAt = now();
  const held = await memoryOf(cluster, life);
  const awake = await wake(cluster, STALLED / 2);
  await cluster.until(`${name} giving up clients that do not read`, SLOW_FREED_MS, () => {
    return life.freed > freed;
  });
  const freedMs = now() - closedAt;
  let kept = await memoryOf(cluster, life);
  const isBack = () =>
    kept.heapBytes - before.heapBytes <= KEPT_BYTES &&
    kept.rssBytes - before.rssBytes <= KEPT_RESIDENT_BYTES;
  while (!isBack() && now() < closedAt + SLOW_FREED_MS) {
    await delay(LOOK_MS);
    kept = await memoryOf(cluster, life);
  }
  const asleep = await wake(cluster, STALLED / 2);
  if (awake.cut > 0 || asleep.closed > 0) {
    throw new Violation(
      `${awake.cut} clients that read again were not told that they were slow, ` +
        `${asleep.closed} that did not read were not cut off`,
    );
  }
  const times = {
    freedMs,
    heldBytes: held.heapBytes - before.heapBytes,
    keptBytes: kept.heapBytes - before.heapBytes,
    heldResidentBytes: held.rssBytes - before.rssBytes,
    keptResidentBytes: kept.rssBytes - before.rssBytes,
  };
  if (isBack()) return times;
  throw new Violation(
    `clients that do not read have been gone for ${SLOW_FREED_MS} ms, and ${name} still has ` +
      `${times.keptBytes} bytes more in its heap and ${times.keptResidentBytes} more resident`,
  );
}

/** Has clients read again that had stopped. Gives how their connections have ended. */
async function wake(
  cluster: SoakCluster,
  count: number,
): Promise<{ closed: number; cut: number }> {
  const { woken } = cluster.stalled;
  const { length } = woken;
  await cluster.tellStalled({ do: "wake", count });
  await cluster.until("clients reading again", PROCESS_MS, () => woken.length > length);
  return woken[length];
}

async function memoryOf(cluster: SoakCluster, life: RunningLife): Promise<Memory> {
  await cluster.report([life]);
  const { report } = life;
  if (report === undefined) throw new Violation(`${life.name} has not reported`);
  return report.memory;
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
  await shouter.child.send({ do: "shout" });
  await delay(plan.forMs);
  life.child.signal("SIGCONT");
  // It answers after its shouting.
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
