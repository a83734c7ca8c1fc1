/** Which client is on which node and in which rooms, so that every room has as many members. */

import type { JoinPlan } from "./orders.ts";

/** So many rooms at most are broadcast to, spread over all that there are. */
const MAX_TARGETS = 5_000;

/** What a room is called. */
export function roomName(index: number): string {
  return `r${index}`;
}

/** The rooms of a client. */
export function roomsOf(client: number, { rooms, perClient }: JoinPlan): string[] {
  return Array.from({ length: perClient }, (_, k) => roomName((client * perClient + k) % rooms));
}

/**
 * The node of a client. The clients that share rooms are those that are a whole round of the rooms
 * apart: they go to different nodes, unless the plan has all of them at one.
 */
export function nodeOf(
  client: number,
  nodes: number,
  { rooms, perClient, node }: JoinPlan,
): number {
  if (node !== undefined) return node;
  const round = Math.max(1, Math.floor(rooms / Math.max(1, perClient)));
  return (client % round + Math.floor(client / round)) % nodes;
}

/**
 * Members of each room.
 *
 * @throws {RangeError} if rooms would differ.
 */
export function membersPerRoom(clients: number, { rooms, perClient }: JoinPlan): number {
  const members = clients * perClient / rooms;
  if (Number.isInteger(members) && perClient <= rooms) return members;
  throw new RangeError(`${clients} clients with ${perClient} of ${rooms} rooms: uneven rooms`);
}

/** The rooms that are broadcast to. */
export function targetsOf({ rooms }: JoinPlan): string[] {
  const count = Math.min(rooms, MAX_TARGETS);
  return Array.from({ length: count }, (_, i) => roomName(Math.floor(i * rooms / count)));
}
