/**
 * A cluster under load whose nodes are killed, stopped and restarted, for minutes:
 * `soak.ts [--seconds S] [--clients N] [--seed N]`. The seed decides what happens to whom. Ends with 1
 * if anything does not hold; what that is, see `tests/README.md`.
 */

import { parseArgs } from "node:util";
import { Random } from "../../testing/mod.ts";
import type { Life } from "./_account.ts";
import { SoakCluster, Violation } from "./_cluster.ts";
import { maxDescriptors, openDescriptors } from "./_descriptors.ts";
import { type DoneFault, inflict, leave } from "./_faults.ts";
import { QUIET_MS } from "./_limits.ts";
import { planFaults } from "./_plan.ts";
import { now } from "./_protocol.ts";
import { describeFaults, judge } from "./_verdict.ts";

const NODES = 4;
const DEFAULTS = { seconds: 600, clients: 3_000 };
const CI_DEFAULTS = { seconds: 30, clients: 1_000 };

/** A run that is shorter has no time for a freeze, which takes half a minute. */
const FREEZE_SECONDS = 90;

/** Samples of memory in a run, but no more than one a second. */
const SAMPLES = 120;

/** What a process has open besides one connection for each client. */
const SPARE_DESCRIPTORS = 100;

/** How often it is looked whether descriptors have been closed. */
const LOOK_MS = 100;

/** How many things that do not hold are shown: one mistake may show in thousands. */
const SHOWN = 20;

/** Exit code after Ctrl-C. */
const INTERRUPTED = 130;

const isTerminal = Deno.stdout.isTerminal();
const encoder = new TextEncoder();
const defaults = Deno.env.get("CI") === "true" ? CI_DEFAULTS : DEFAULTS;
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: String(defaults.seconds) },
    clients: { type: "string", default: String(defaults.clients) },
    seed: { type: "string", default: "1" },
  },
});
const seconds = wholeNumber("seconds", values.seconds, 1);
const clientCount = wholeNumber("clients", values.clients, NODES);
const seed = wholeNumber("seed", values.seed, 0);

const random = new Random(seed);
const witness = random.integer(0, NODES - 1);
const faults: DoneFault[] = [];

function wholeNumber(option: string, text: string, min: number): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= min) return value;
  console.error(`--${option} must be a whole number from ${min}, got ${text}`);
  Deno.exit(2);
}

/** Shows what goes on, on a terminal. */
function progress(text: string): void {
  if (isTerminal) Deno.stdout.writeSync(encoder.encode(`\r\x1b[K${text}`));
}

/** Faults until the time is over. */
async function breakThings(cluster: SoakCluster, endAt: number): Promise<void> {
  const freezes = seconds >= FREEZE_SECONDS;
  const showing = setInterval(() => {
    const minutes = Math.max(0, endAt - now()) / 60_000;
    progress(`${faults.length} faults, ${minutes.toFixed(1)} min left `);
  }, 1_000);
  try {
    for (const planned of planFaults(random.fork(), { nodes: NODES, witness, freezes })) {
      if (now() > endAt) break;
      try {
        faults.push(await inflict(cluster, planned));
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        throw new Violation(`${planned.kind} of ${cluster.names[planned.node]}: ${error.message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, planned.restMs));
    }
  } finally {
    clearInterval(showing);
    progress("");
  }
}

/**
 * Descriptors of all nodes, as soon as they are as many as `expected`, or time is up. Without it, as
 * soon as all nodes have the same number: two that have dialled each other close one connection.
 */
async function descriptors(
  cluster: SoakCluster,
  expected?: number,
): Promise<(number | undefined)[]> {
  const endAt = now() + QUIET_MS;
  for (;;) {
    const counts = cluster.nodes.map(({ child }) => openDescriptors(child.pid));
    const [wanted] = expected === undefined ? counts : [expected];
    if (now() > endAt || counts.every((count) => count === wanted)) return counts;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** The books of all lives, as they are now. */
function books(cluster: SoakCluster): Life[] {
  return cluster.lives.map(({ name, incarnation, end, records }) => {
    return { name, incarnation, end, records: records.slice() };
  });
}

async function run(cluster: SoakCluster): Promise<void> {
  const { violations } = cluster;
  await cluster.start();
  const before = await descriptors(cluster);
  await cluster.startClients(clientCount);
  const startedAt = now();
  await breakThings(cluster, startedAt + 1000 * seconds);
  const endedAt = now();
  await cluster.quiet(QUIET_MS);
  await cluster.callAll(QUIET_MS);
  const quiet = books(cluster);
  await cluster.closeClients();
  const after = await descriptors(cluster, before[0]);
  for (const life of cluster.nodes) await leave(cluster, life);

  const times = { startedAt, endedAt };
  const atEnd = books(cluster);
  const verdict = judge({ cluster, quiet, atEnd, faults, witness, before, after, ...times });
  console.log([...describeFaults(faults, verdict.account.losses), ...verdict.lines].join("\n"));
  violations.push(...verdict.violations);
}

const needed = clientCount + SPARE_DESCRIPTORS;
if (needed > (maxDescriptors() ?? Infinity)) {
  console.error(`${clientCount} clients need ${needed} descriptors: ulimit -n ${needed}`);
  Deno.exit(2);
}
const cluster = new SoakCluster(NODES, Math.max(1_000, 1000 * seconds / SAMPLES));
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, async () => {
    await cluster[Symbol.asyncDispose]();
    Deno.exit(INTERRUPTED);
  });
}
console.log(
  `seed ${seed}: ${NODES} nodes, ${clientCount} clients, ${seconds} s; ` +
    `${cluster.names[witness]} is never restarted`,
);
try {
  await run(cluster);
} catch (error) {
  if (!(error instanceof Violation)) throw error;
  cluster.violations.push(error.message);
  // Leaves out the losses, which are known only when all is quiet.
  console.log(describeFaults(faults).join("\n"));
} finally {
  await cluster[Symbol.asyncDispose]();
}
const { violations } = cluster;
if (violations.length > 0) {
  const count = violations.length === 1 ? "One promise is" : `${violations.length} promises are`;
  console.error(`\n${count} broken:`);
  for (const text of violations.slice(0, SHOWN)) console.error(`  ${text}`);
  if (violations.length > SHOWN) console.error("  …");
  console.error(`\nRepeat with the same faults: deno task soak --seed ${seed}`);
  Deno.exit(1);
}
console.log("everything held");
Deno.exit();
