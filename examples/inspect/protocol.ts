/**
 * The question of the inspector and the answers of nodes. They travel in two rooms of the mesh. The
 * names of these rooms begin with U+0000, so no client of an application can send or listen there; see
 * `docs/wire.md`, Presence.
 */

import { decodeRoomBroadcast, encodeRoomBroadcast } from "../../mod.ts";

/** The room of the question. */
export const QUESTION_ROOM = "\0inspect";

/** The room of the answers. Only inspectors open it. */
export const ANSWER_ROOM = "\0inspect-answers";

/** The question, as a message. */
export const QUESTION: Uint8Array = encodeRoomBroadcast(QUESTION_ROOM, "");

/** The report of a node about itself. */
export interface NodeReport {
  /** `Rooms.draining`. */
  readonly draining: boolean;
  /** Rooms with members on the node. */
  readonly rooms: number;
  /** Sockets in these rooms. */
  readonly sockets: number;
  /** Links to other nodes. */
  readonly peers: number;
  /** Bytes that wait in the queues of all links together. */
  readonly queuedBytes: number;
  /** Totals of its mesh and its `Rooms` since the node started. */
  readonly totals: Readonly<Record<TotalName, number>>;
}

/** The totals of a {@linkcode NodeReport}. */
export const TOTALS = [
  ...["published", "received", "sent", "slow", "failed", "dropped", "missed"] as const,
];
/** One of {@linkcode TOTALS}. */
export type TotalName = (typeof TOTALS)[number];

/** True if a message is the question. It runs for every message of the node, so it must be cheap. */
export function isQuestion(message: Uint8Array): boolean {
  return message.length === QUESTION.length && QUESTION.every((byte, i) => message[i] === byte);
}

/** An answer as a message of the mesh. */
export function encodeAnswer(report: NodeReport): Uint8Array {
  return encodeRoomBroadcast(ANSWER_ROOM, JSON.stringify(report));
}

/** The report in a message. Undefined if it is not an answer, or is one of another version. */
export function decodeAnswer(message: Uint8Array): NodeReport | undefined {
  try {
    const { room, message: text } = decodeRoomBroadcast(message);
    const report: unknown = JSON.parse(text);
    return room === ANSWER_ROOM && isReport(report) ? report : undefined;
  } catch {
    return undefined;
  }
}

function isReport(value: unknown): value is NodeReport {
  if (!isRecord(value) || !isRecord(value.totals)) return false;
  const { draining, rooms, sockets, peers, queuedBytes, totals } = value;
  const numbers = [rooms, sockets, peers, queuedBytes, ...TOTALS.map((name) => totals[name])];
  return typeof draining === "boolean" && numbers.every(Number.isFinite);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
