/**
 * What the inspector asks, and what nodes answer: two rooms of the mesh. Their names begin with U+0000,
 * so no client of an application can speak or listen there; see `docs/wire.md`, Presence.
 */

import { decodeRoomBroadcast, encodeRoomBroadcast } from "../../mod.ts";

/** Where a question is published. */
export const QUESTION_ROOM = "\0inspect";

/** Where the answers are published. Only inspectors open it. */
export const ANSWER_ROOM = "\0inspect-answers";

/** The whole question. */
export const QUESTION: Uint8Array = encodeRoomBroadcast(QUESTION_ROOM, "");

/** What a node says of itself. */
export interface NodeReport {
  /** `Rooms.draining`. */
  readonly draining: boolean;
  /** Rooms with members on the node. */
  readonly rooms: number;
  /** Sockets in these rooms. */
  readonly sockets: number;
  /** Links to other nodes. */
  readonly peers: number;
  /** Bytes that wait for all of them together. */
  readonly queuedBytes: number;
  /** Totals since the node started, of its mesh and of its `Rooms`. */
  readonly totals: Readonly<Record<TotalName, number>>;
}

/** The totals of a {@linkcode NodeReport}. */
export const TOTALS = [
  ...["published", "received", "sent", "slow", "failed", "dropped", "missed"] as const,
];
/** One of {@linkcode TOTALS}. */
export type TotalName = (typeof TOTALS)[number];

/** True if a message is the question. Every message of the node is looked at, so it must be cheap. */
export function isQuestion(message: Uint8Array): boolean {
  return message.length === QUESTION.length && QUESTION.every((byte, i) => message[i] === byte);
}

/** An answer as a message of the mesh. */
export function encodeAnswer(report: NodeReport): Uint8Array {
  return encodeRoomBroadcast(ANSWER_ROOM, JSON.stringify(report));
}

/** The report in a message; undefined if it is no answer, or one of another version. */
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
