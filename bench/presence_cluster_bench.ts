/**
 * Presence between eight processes with 100,000 entries, on the mesh, NATS and Redis, as far as these
 * are installed. `--quick` takes a tenth of the entries, `--only mesh` one backplane.
 */

import { parseArgs } from "node:util";
import { Broker, findBroker } from "../examples/chat/broker.ts";
import { freePort } from "../tests/cluster/_process.ts";
import type { NodeOptions } from "../tests/presence/_node.ts";
import { PresenceProcess, type Said } from "../tests/presence/_process.ts";

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, only: { type: "string" } },
});
const NODES = 8;
const ENTRIES = values.quick ? 10_000 : 100_000;
const EACH = ENTRIES / NODES;
const CHURN_SECONDS = 10;
const CHANGES_PER_SECOND = 1_000;

type Figures = Required<
  Pick<Said, "heapBytes" | "rssBytes" | "cpuMs" | "published" | "publishedBytes">
>;

async function figures(node: PresenceProcess, collect = false): Promise<Figures> {
  const { heapBytes = 0, rssBytes = 0, cpuMs = 0, published = 0, publishedBytes = 0 } = await node
    .report("none", collect);
  return { heapBytes, rssBytes, cpuMs, published, publishedBytes };
}

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
const all = <T>(nodes: readonly PresenceProcess[], act: (node: PresenceProcess) => Promise<T>) =>
  Promise.all(nodes.map(act));

async function bench(kind: NodeOptions["kind"]): Promise<void> {
  await using broker = kind === "mesh" ? undefined : await Broker.start(kind);
  const names = Array.from({ length: NODES + 1 }, (_, i) => `n${i}@127.0.0.1:${freePort()}`);
  const start = (i: number) =>
    new PresenceProcess({
      kind,
      name: names[i],
      seeds: names.slice(0, 2),
      port: broker?.port ?? 0,
      timeoutMs: 20_000,
      heartbeatIntervalMs: 10_000,
      heartbeatTimeoutMs: 5_000,
    });
  const isReady = (node: PresenceProcess) => node.says(({ type }) => type === "ready");
  const nodes = Array.from({ length: NODES }, (_, i) => start(i));
  await all(nodes, isReady);
  const empty = await all(nodes, (node) => figures(node, true));
  const marks = nodes.map(({ said }) => said.length);
  const startedAt = Date.now();
  await Promise.all(nodes.map(async (node, i) => {
    await node.order({ until: ENTRIES - EACH });
    await node.order({ fill: EACH, from: i * EACH });
  }));
  const isComplete = (node: PresenceProcess, from = 0) =>
    node.says(({ type }) => type === "complete", from);
  const completes = await Promise.all(nodes.map((node, i) => isComplete(node, marks[i])));
  const filledMs = Math.max(...completes.map(({ at }) => at)) - startedAt;
  const full = await all(nodes, (node) => figures(node, true));
  const perEntry = (key: "heapBytes" | "rssBytes") =>
    (full.reduce((sum, one, i) => sum + one[key] - empty[i][key], 0) / (NODES * ENTRIES)).toFixed(
      0,
    );
  console.log(`\n${kind}: ${ENTRIES} entries on ${NODES} nodes, known to all after ${filledMs} ms`);
  console.log(
    `memory       each entry takes ${perEntry("heapBytes")} B of heap on each node, ` +
      `${perEntry("rssBytes")} B of resident memory`,
  );

  // A newcomer: what it is sent, and how long that takes from when it asks.
  const newcomer = start(NODES);
  await newcomer.order({ until: ENTRIES });
  const { at } = await isComplete(newcomer);
  const linked = await newcomer.says(({ type }) => type === "linked");
  const ready = await isReady(newcomer);
  const sent = await all(nodes, (node) => figures(node));
  const bytes = sent.reduce((sum, one, i) => sum + one.publishedBytes - full[i].publishedBytes, 0);
  const { cpuMs } = await figures(newcomer);
  const { remote } = ready;
  console.log(
    `newcomer     complete ${at - linked.at} ms after it was linked; the others published ` +
      `${mib(bytes)}; ready with ${remote} entries; ${
        cpuMs.toFixed(0)
      } ms of CPU from its start on`,
  );
  await newcomer.stop();

  // A thousand changes a second of one node.
  const before = await all(nodes, (node) => figures(node));
  await nodes[0].order({ churn: CHANGES_PER_SECOND, seconds: CHURN_SECONDS });
  await nodes[0].says(({ type }) => type === "churned");
  const after = await all(nodes, (node) => figures(node));
  const spent = (i: number) => (after[i].cpuMs - before[i].cpuMs) / (10 * CHURN_SECONDS);
  const published = after[0].publishedBytes - before[0].publishedBytes;
  const others = Array.from({ length: NODES - 1 }, (_, i) => spent(i + 1));
  console.log(
    `changes      ${CHANGES_PER_SECOND} a second: ${
      (published / CHURN_SECONDS / 1024).toFixed(1)
    } KiB/s in ` +
      `${((after[0].published - before[0].published) / CHURN_SECONDS).toFixed(0)} messages/s; ` +
      `${spent(0).toFixed(1)} % of a processor to send, ` +
      `${(others.reduce((sum, one) => sum + one, 0) / others.length).toFixed(1)} % to receive`,
  );

  // Nothing happens.
  const idle = await all(nodes, (node) => figures(node));
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const later = await all(nodes, (node) => figures(node));
  const idleMs = later.reduce((sum, one, i) => sum + one.cpuMs - idle[i].cpuMs, 0) / NODES;
  console.log(`quiet        ${(idleMs / 50).toFixed(2)} % of a processor for each node`);
  await all(nodes, (node) => node.stop());
}

for (const kind of ["mesh", "nats", "redis"] as const) {
  if (values.only !== undefined && values.only !== kind) continue;
  if (kind === "mesh" || findBroker(kind) !== undefined) await bench(kind);
}
