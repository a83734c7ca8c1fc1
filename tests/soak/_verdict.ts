/** What a soak has shown: the figures, and what does not hold. */

import {
  type Account,
  type Life,
  type Loss,
  settle,
  SLOW_CODE,
  unexplainedCloses,
  unexplainedEnds,
  unexplainedGaps,
} from "./_account.ts";
import type { SoakCluster } from "./_cluster.ts";
import type { DoneFault } from "./_faults.ts";
import { type GrowthLimit, HEAP_GROWTH, RESIDENT_GROWTH, slopeLimit } from "./_limits.ts";
import type { FaultKind } from "./_plan.ts";
import type { Memory } from "./_protocol.ts";
import { floor, type Point, slopePerMinute } from "./_slope.ts";

/** A run that is over. */
export interface SoakRun {
  readonly cluster: SoakCluster;
  /** The books, as they were when all was quiet, and when all nodes had left. */
  readonly quiet: readonly Life[];
  readonly atEnd: readonly Life[];
  readonly faults: readonly DoneFault[];
  /** The node that was never restarted. */
  readonly witness: number;
  /** Descriptors of all nodes when the mesh was first complete, and when all clients were gone. */
  readonly before: readonly (number | undefined)[];
  readonly after: readonly (number | undefined)[];
  /** Between these there was traffic. */
  readonly startedAt: number;
  readonly endedAt: number;
}

/** See the file's head. */
export interface Verdict {
  readonly account: Account;
  readonly lines: string[];
  readonly violations: string[];
}

const KINDS: readonly FaultKind[] = [
  "kill",
  "restart",
  "freeze",
  "pause",
  "flood",
  "stall",
  "expel",
];
/** Of so many samples the lowest counts. */
const FLOOR_OF = 5;
const KIB = 1024;
const MIB = 1024 * KIB;

/** Looks at a run from all sides. */
export function judge(run: SoakRun): Verdict {
  const { cluster, quiet, atEnd, faults } = run;
  const account = settle(quiet);
  // At the end last words are in the books that were not when all was quiet. But what was missing
  // on its way to a node that left since would count as lost with it.
  const found = [
    ...account.violations,
    ...settle(atEnd).violations,
    ...unexplainedEnds(atEnd, faults),
    ...unexplainedGaps(atEnd, cluster.clients.gaps),
    ...unexplainedCloses(atEnd, cluster.clients.closed),
  ];
  const violations = [...new Set(found)];
  const lines = KINDS.flatMap((kind) => {
    const those = faults.filter((fault) => fault.kind === kind);
    if (those.length === 0) return [];
    const times = [
      spread("closed after", those.map(({ expelledMs }) => expelledMs)),
      spread("gone after", those.map(({ freedMs }) => freedMs)),
      spread("noticed after", those.map(({ noticedMs }) => noticedMs)),
      spread("complete after", those.map(({ completeMs }) => completeMs)),
      spread("clients back after", those.map(({ clientsBackMs }) => clientsBackMs)),
    ].filter((text) => text !== "").join("; ");
    return `${kind.padEnd(11)} ×${those.length}${times && `: ${times}`}`;
  });
  lines.push(...messages(run, account, violations));
  lines.push(...memory(run, violations));
  lines.push(descriptors(run, violations));
  return { account, lines, violations };
}

/** One line for each fault: when, what, and what it cost. */
export function describeFaults(faults: readonly DoneFault[], losses?: readonly Loss[]): string[] {
  const startedAt = faults.at(0)?.from ?? 0;
  return faults.map((fault) => {
    const { kind, name, from, to } = fault;
    const lost = losses?.filter(({ sender, receiver, downAt }) =>
      (sender === name || receiver === name) && from <= downAt && downAt <= to
    ).reduce((sum, { count }) => sum + count, 0);
    const parts = [
      [fault.expelledMs, "closed after"],
      [fault.freedMs, "gone after"],
      [fault.noticedMs, "noticed after"],
      [fault.completeMs, "complete after"],
      [fault.clientsBackMs, "clients back after"],
    ].flatMap(([ms, text]) => typeof ms === "number" ? `${text} ${milliseconds(ms)}` : []);
    const at = ((from - startedAt) / 1000).toFixed(1).padStart(6);
    const local = name.slice(0, name.indexOf("@"));
    if (fault.dropped !== undefined) parts.push(`${number(fault.dropped)} messages dropped`);
    parts.push(...heldAndKept("", fault.heldBytes, fault.keptBytes));
    parts.push(...heldAndKept(" resident", fault.heldResidentBytes, fault.keptResidentBytes));
    if (lost !== undefined) parts.push(`${number(lost)} messages lost`);
    return `${at} s  ${kind.padEnd(7)} ${local}: ${parts.join(", ")}`;
  });
}

function messages({ cluster }: SoakRun, account: Account, violations: string[]): string[] {
  const { done, closed } = cluster.clients;
  const broadcasts = cluster.lives.reduce((sum, { report }) => sum + (report?.broadcasts ?? 0), 0);
  const total = (key: "slow" | "failed") =>
    cluster.lives.reduce((sum, { report }) => sum + (report?.[key] ?? 0), 0);
  if (total("failed") > 0) violations.push(`${total("failed")} sends to clients have failed`);
  const slow = closed.filter(({ code }) => code === SLOW_CODE);
  const lost = account.losses.reduce((sum, { count }) => sum + count, 0);
  return [
    `messages    ${number(broadcasts)} broadcasts, ${number(account.delivered)} of them heard by ` +
    `other nodes; lost with a link and reported: ${number(lost)}; dropped and reported: ` +
    `${number(account.dropped)}; queued for a node that was killed: ${number(account.unknown)}`,
    `clients     ${number(done?.heard ?? 0)} messages heard, ${number(done?.said ?? 0)} said; ` +
    `${number(done?.agreed ?? 0)} connections ended in order and agreed with their node; closed ` +
    `as slow: ${number(slow.reduce((sum, { count }) => sum + count, 0))}`,
  ];
}

function memory(run: SoakRun, violations: string[]): string[] {
  const { cluster, faults, witness, startedAt, endedAt } = run;
  const minutes = (endedAt - startedAt) / 60_000;
  const part = (name: string, what: string, points: Point[], growth: GrowthLimit) => {
    const slope = slopePerMinute(floor(points, FLOOR_OF)) / KIB;
    const limit = slopeLimit(growth, minutes);
    const last = ((points.at(-1)?.value ?? 0) / MIB).toFixed(1);
    const signed = `${slope >= 0 ? "+" : ""}${slope.toFixed(0)} KiB/min`;
    if (slope > limit) {
      violations.push(`memory of ${name}, ${what}: ${signed}, limit ${limit.toFixed(0)}`);
    }
    return `${what} ${last} MiB, ${signed} (limit ${limit.toFixed(0)})`;
  };
  const line = (name: string, samples: readonly Memory[]) => {
    // While clients do not read, a node holds more; what it holds afterwards has been looked at.
    const stalls = faults.filter((fault) => fault.kind === "stall" && fault.name === name);
    const during = samples.filter(({ at }) =>
      at >= startedAt && at <= endedAt && !stalls.some(({ from, to }) => from <= at && at <= to)
    );
    const heap = during.map(({ at, heapBytes }) => ({ at, value: heapBytes }));
    const resident = during.map(({ at, rssBytes }) => ({ at, value: rssBytes }));
    return `memory      ${name}: ${part(name, "heap", heap, HEAP_GROWTH)}; ` +
      part(name, "resident", resident, RESIDENT_GROWTH);
  };
  const life = cluster.nodes[witness];
  return [line(life.name, life.memory), line("the clients", cluster.clients.memory)];
}

function descriptors({ before, after }: SoakRun, violations: string[]): string {
  const [expected] = before;
  if (expected === undefined) return "descriptors cannot be counted on this system";
  const agree = [...before, ...after].every((count) => count === expected);
  if (!agree) violations.push(`descriptors: ${before} at the start, ${after} at the end`);
  return `descriptors ${before.join(", ")} at the start, ${after.join(", ")} at the end`;
}

/** Median and worst of times; nothing if there are none. */
function spread(what: string, times: readonly (number | undefined)[]): string {
  const sorted = times.filter((time) => time !== undefined).sort((a, b) => a - b);
  const worst = sorted.at(-1);
  if (worst === undefined) return "";
  return `${what} ${milliseconds(sorted[sorted.length >> 1])} (p50), ${
    milliseconds(worst)
  } (worst)`;
}

function milliseconds(ms: number): string {
  return ms < 1_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Memory while clients did not read, and afterwards. */
function heldAndKept(what: string, held: number | undefined, kept: number | undefined): string[] {
  if (held === undefined || kept === undefined) return [];
  return [`${mebibytes(held)} more${what}, then ${mebibytes(kept)}`];
}

function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

function number(value: number): string {
  return value.toLocaleString("en");
}
