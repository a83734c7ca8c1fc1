/** Where clients live, and in which rooms they are. */

import type { Audience } from "./_audience.ts";

const ROOM_SIZE = 10;

/** The code with which a disconnected room is closed. */
export const EXPELLED = 4001;

/** The two rooms of a client: half of its room share its table, which half of another room share too. */
export function roomsOf(client: number): [room: string, table: string] {
  const half = ROOM_SIZE / 2;
  return [
    `room-${Math.floor(client / ROOM_SIZE)}`,
    `table-${Math.floor((client + half) / ROOM_SIZE)}`,
  ];
}

/** The node of a client. Every other room has members on two nodes only. */
export function homeOf(client: number, nodes: number): number {
  const room = Math.floor(client / ROOM_SIZE);
  return room % 2 === 0 ? client % nodes : (room + client % 2) % nodes;
}

/** True for the nodes that want only broadcasts for their rooms: every other one. */
export function isSelective(node: number): boolean {
  return node % 2 === 1;
}

/** The rooms of so many clients. */
export function allRooms(clients: number): string[] {
  return [...new Set(Array.from({ length: clients }, (_, client) => roomsOf(client)).flat())];
}

/** For whom a client says something: mostly its room. `fraction` is a random number below 1. */
export function audienceOf([room, table]: readonly string[], fraction: number): Audience {
  if (fraction < 0.8) return { rooms: [room], except: [] };
  if (fraction < 0.88) return { rooms: [room, table], except: [] };
  if (fraction < 0.96) return { rooms: [room], except: [table] };
  return { rooms: [table], except: [] };
}
