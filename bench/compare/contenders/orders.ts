/** What a server of roomcast does with the orders of clients. */

import type { Rooms, RoomSocket } from "../../../rooms/mod.ts";
import { isJoin, type Order } from "./node_config.ts";

/** Carries out what a client has sent. */
export function obey<S extends RoomSocket>(rooms: Rooms<S>, socket: S, text: string): void {
  const order: Order = JSON.parse(text);
  if (isJoin(order)) {
    for (const room of order.join) rooms.join(socket, room);
    return socket.send("joined");
  }
  for (let i = 0; i < order.times; i++) rooms.broadcast(order.room, order.body);
}
