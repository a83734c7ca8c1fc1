import {
  BroadcastView,
  encodeRoomBroadcast,
  encodeRoomMessage,
  type RoomNames,
  targetRooms,
} from "../codec/mod.ts";

/** A message for one room. */
export interface Copy {
  readonly room: string;
  readonly message: Uint8Array;
}

/**
 * Splits a message that {@linkcode checkMessage} has accepted into one for each of its rooms,
 * because each room has a topic of its own (`docs/wire.md`, "Brokers"). Each copy excludes the
 * rooms of the copies before it, so a member of several rooms receives the message once. A copy is
 * never larger than the message.
 *
 * @throws {FrameError} `invalid-utf8`.
 */
export function copiesByRoom(message: Uint8Array, names: RoomNames): Copy[] {
  const rooms = targetRooms(message, names);
  if (rooms.length === 1) return [{ room: rooms[0], message }];
  const view = new BroadcastView(message);
  const except = new Set(view.except(names));
  const copies: Copy[] = [];
  for (const room of rooms) {
    // An excluded room, or one that is named twice: the copy would reach nobody.
    if (except.has(room)) continue;
    copies.push({ room, message: encodeCopy(view, room, [...except]) });
    except.add(room);
  }
  return copies;
}

function encodeCopy(view: BroadcastView, room: string, except: readonly string[]): Uint8Array {
  const message = view.messageBytes();
  // Older nodes understand this message too.
  if (view.isText && except.length === 0) return encodeRoomBroadcast(room, message);
  return encodeRoomMessage({ rooms: [room], except, message }, { utf8: view.isText });
}
