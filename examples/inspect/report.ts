/** The inspector's output: tables of the nodes, and advice for each error. */

import type { MeshErrorCode, PeerInfo } from "../../mod.ts";
import { type NodeReport, TOTALS } from "./protocol.ts";

const ADVICE: Partial<Record<MeshErrorCode, string>> = {
  "invalid-address": "Give the address as host:port, an IPv6 host in brackets.",
  "unreachable": "Is the node up, and is this the port for other nodes rather than for browsers?",
  "timeout":
    "Something accepts the connection but does not answer: a firewall, or another service?",
  "closed": "Something accepts the connection and closes it: another service, or a stopping node?",
  "not-accepted": "Is ROOMCAST_COOKIE the one that the node was started with?",
  "wrong-cookie": "Is ROOMCAST_COOKIE the one that the node was started with?",
  "peer-speaks-plain": "The node runs with tls: false: try --plain.",
  "peer-speaks-tls": "The node speaks TLS: leave --plain out.",
  "mesh-lang-handshake": "It is a node of the Mesh language runtime: try --allow-mesh-lang.",
  "observer": "It is an inspector like this one.",
  "malformed": "The service at this address is not a node of a mesh.",
};

/** What to try next, if there is any advice. */
export function advice(code: MeshErrorCode): string {
  return ADVICE[code] ?? "";
}

/** The links, sorted by the node's name, one a line. */
export function formatPeers(peers: readonly PeerInfo[]): string {
  const rows = byName(peers).map((peer) => [
    peer.name,
    peer.incarnation || "-",
    peer.encrypted ? "TLS" : "plain",
    peer.meshLang ? "Mesh runtime" : "roomcast",
    peer.roundTripMs === undefined ? "no answer" : `${peer.roundTripMs.toFixed(1)} ms`,
  ]);
  return formatTable(["node", "incarnation", "link", "runtime", "round trip"], rows);
}

/** The reports of the nodes, in the same order. `reports` has them by incarnation. */
export function formatReports(
  peers: readonly PeerInfo[],
  reports: ReadonlyMap<string, NodeReport>,
): string {
  const columns = ["state", "rooms", "sockets", "peers", "queued", ...TOTALS];
  const rows = byName(peers).map(({ name, incarnation }) => {
    const report = reports.get(incarnation);
    if (report === undefined) return [name, ...columns.map(() => "-")];
    const { draining, rooms, sockets, peers, queuedBytes, totals } = report;
    const numbers = [rooms, sockets, peers, queuedBytes, ...TOTALS.map((total) => totals[total])];
    return [name, draining ? "draining" : "serving", ...numbers.map(String)];
  });
  return formatTable(["node", ...columns], rows);
}

function byName(peers: readonly PeerInfo[]): PeerInfo[] {
  return peers.toSorted((a, b) => a.name < b.name ? -1 : 1);
}

function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const format = (line: readonly string[]) =>
    line.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd();
  return lines.map(format).join("\n");
}
