/**
 * Shows a cluster: finds its nodes, asks them for their rooms, queues and totals, and leaves. It is an
 * observer, so no node treats it as a peer. It needs the cookie and the address of one node.
 *
 * ```sh
 * ROOMCAST_COOKIE=… deno task inspect 10.0.0.5:9000
 * ```
 *
 * Its exit code is 0 if every node that it has learned of answers, 1 if one does not, and 2 if its
 * arguments are wrong.
 *
 * @module
 */

import { type Mesh, MeshError, type MeshErrorCode, type PeerInfo, startMesh } from "../../mod.ts";
import { type Options, parseOptions, UsageError } from "./options.ts";
import { ANSWER_ROOM, decodeAnswer, type NodeReport, QUESTION } from "./protocol.ts";
import { advice, formatPeers, formatReports } from "./report.ts";

/** Short, so that a node's round trip is known soon after it is linked. */
const HEARTBEAT_INTERVAL_MS = 250;

/** All nodes count as found when nothing has changed for this long. */
const QUIET_MS = 1_000;

/** How long nodes may take to answer. Nodes without `answerInspections` never answer. */
const ANSWER_MS = 1_000;

try {
  const options = parseOptions(Deno.args, Deno.env.get("ROOMCAST_COOKIE"));
  Deno.exitCode = await inspect(options) ? 0 : 1;
} catch (error) {
  if (error instanceof MeshError) {
    console.error(`${error.message}\n${advice(error.code)}`.trim());
    Deno.exitCode = 1;
  } else if (error instanceof UsageError || error instanceof RangeError) {
    console.error(error.message);
    Deno.exitCode = 2;
  } else {
    throw error;
  }
}

/** True if a link to every known node could be made, and every node answers pings. */
async function inspect(
  { target, cookie, plain, allowMeshLang, waitMs }: Options,
): Promise<boolean> {
  const id = crypto.randomUUID().slice(0, 8);
  await using mesh = await startMesh({
    // Other nodes need not reach this address: the inspector dials them all.
    name: `inspect-${id}@127.0.0.1:0`,
    observer: true,
    cookie,
    tls: plain ? false : undefined,
    allowMeshLang,
    heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
  });
  const refused = new Map<string, MeshErrorCode>();
  let changedAt = performance.now();
  const changed = () => changedAt = performance.now();
  mesh.addEventListener("peerup", changed);
  mesh.addEventListener("refused", ({ address, code }) => {
    if (refused.get(address) !== code) changed();
    refused.set(address, code);
  });
  await mesh.connect(target);

  const end = performance.now() + waitMs;
  const isSettled = () => allAnswer(mesh) && performance.now() - changedAt > QUIET_MS;
  while (performance.now() < end && !isSettled()) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  console.log(formatPeers(mesh.peers));
  const reports = await ask(mesh);
  if (reports.size > 0) console.log(`\n${formatReports(mesh.peers, reports)}`);
  else console.log("\nNo node reports its rooms: see answerInspections in the README.");
  const missing = [...refused].filter(([address]) => !isLinked(mesh, address));
  if (missing.length > 0) console.log("\nNodes that others know but that cannot be reached:");
  for (const [address, code] of missing) console.log(`  ${address}  ${code}  ${advice(code)}`);
  return missing.length === 0 && allAnswer(mesh);
}

/** Asks all nodes for their reports. Returns these by incarnation. */
async function ask(mesh: Mesh): Promise<Map<string, NodeReport>> {
  const reports = new Map<string, NodeReport>();
  const complete = Promise.withResolvers<void>();
  const timer = setTimeout(complete.resolve, ANSWER_MS);
  mesh.openRoom(ANSWER_ROOM);
  using _subscription = mesh.subscribe((message, from) => {
    const report = decodeAnswer(message);
    if (from === undefined || report === undefined) return;
    reports.set(from, report);
    const isThere = ({ incarnation }: PeerInfo) => reports.has(incarnation);
    if (mesh.peers.every((peer) => peer.meshLang || isThere(peer))) complete.resolve();
  });
  mesh.publish(QUESTION);
  await complete.promise;
  clearTimeout(timer);
  return reports;
}

function allAnswer(mesh: Mesh): boolean {
  return mesh.peers.every(({ roundTripMs }) => roundTripMs !== undefined);
}

function isLinked(mesh: Mesh, address: string): boolean {
  return mesh.peers.some(({ name }) => name.endsWith(`@${address}`));
}
