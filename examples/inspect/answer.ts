/** The part of the inspector that an application adds to its nodes. */

import type { Mesh, RoomsTotals } from "../../mod.ts";
import { encodeAnswer, isQuestion, type NodeReport, QUESTION_ROOM } from "./protocol.ts";

/** The part of `Rooms` that the answers report. */
export interface InspectedRooms {
  /** See `Rooms`. */
  readonly draining: boolean;
  /** See `Rooms`. */
  readonly roomCount: number;
  /** See `Rooms`. */
  readonly socketCount: number;
  /** See `Rooms`. */
  readonly totals: RoomsTotals;
}

/**
 * Starts to answer inspectors. An answer has the numbers of rooms, sockets and waiting bytes of this
 * node, and its totals. Only nodes and inspectors that know the cookie can ask.
 *
 * @returns an object that stops the answers when it is disposed.
 *
 * @example
 * ```ts
 * import { Rooms, startMesh } from "@roomcast/roomcast";
 * import { answerInspections } from "./answer.ts";
 *
 * const cookie = "a secret of at least 16 bytes";
 * await using mesh = await startMesh({ name: "chat-1@127.0.0.1:0", cookie });
 * const rooms = new Rooms({ backplane: mesh });
 * using _answers = answerInspections(mesh, rooms);
 * ```
 */
export function answerInspections(mesh: Mesh, rooms: InspectedRooms): Disposable {
  // Without this, a node with `interest: "room"` would not get the question.
  mesh.openRoom(QUESTION_ROOM);
  const subscription = mesh.subscribe((message) => {
    if (isQuestion(message)) mesh.publish(encodeAnswer(reportOf(mesh, rooms)));
  });
  let ended = false;
  return {
    [Symbol.dispose]() {
      if (ended) return;
      ended = true;
      subscription[Symbol.dispose]();
      mesh.closeRoom(QUESTION_ROOM);
    },
  };
}

function reportOf(mesh: Mesh, rooms: InspectedRooms): NodeReport {
  const { published, received, dropped } = mesh.totals;
  const { sent, slow, failed, missed } = rooms.totals;
  return {
    draining: rooms.draining,
    rooms: rooms.roomCount,
    sockets: rooms.socketCount,
    peers: mesh.peers.length,
    queuedBytes: mesh.peers.reduce((sum, { queuedBytes }) => sum + queuedBytes, 0),
    totals: { published, received, sent, slow, failed, dropped, missed },
  };
}
