/**
 * What other folders of the library need from a `Rooms` and applications do not: rooms whose names
 * begin with U+0000, and news of joins and leaves. Not part of `mod.ts`.
 */

import type { Backplane, PublishReport, Receive, Timers } from "../backplane/mod.ts";
import type { RoomSocket } from "./room_socket.ts";

/** A reserved room, open until it is disposed. */
export interface ReservedRoom extends Disposable {
  /** Largest message in bytes that {@linkcode publish} takes. */
  readonly maxMessageBytes: number;
  /**
   * Sends bytes to everybody else who has this room open: on this `Rooms`, on others of this node,
   * and on other nodes. Never throws.
   */
  publish(message: Uint8Array): PublishReport;
}

/** Is told about joins and leaves. What it throws goes to `onError`. */
export interface MemberWatcher {
  /** A socket has become a member: at once, or when it has opened. */
  joined(socket: RoomSocket, room: string): void;
  /**
   * A socket has left a room or has closed, or it has been given up, or a join that waited for it to
   * open was cancelled. Also called for every membership when the `Rooms` is disposed.
   */
  left(socket: RoomSocket, room: string): void;
}

/** What a `Rooms` offers to other folders. */
export interface RoomsSeam {
  readonly backplane: Backplane | undefined;
  readonly timers: Timers;
  /** Gets errors that belong to nobody else. Never throws. */
  readonly onError: (error: unknown) => void;
  /** True if a socket is a member; a connecting socket is not one yet. The name is as stored. */
  isMember(socket: RoomSocket, room: string): boolean;
  /** True if a socket is connecting and will be a member when it has opened. */
  isWaiting(socket: RoomSocket, room: string): boolean;
  /**
   * Opens a reserved room. `receive` gets each message and the `nodeId` of its node; the bytes are
   * lent for the duration of the call. A `FrameError` that it throws is reported as `malformed`.
   *
   * @throws {RangeError} if the name does not begin with U+0000.
   */
  openReserved(room: string, receive: Receive): ReservedRoom;
  /** Tells a watcher about all joins and leaves from now on. */
  watch(watcher: MemberWatcher): Disposable;
}

const seams = new WeakMap<object, RoomsSeam>();

/** Offers the seam of a `Rooms`; its constructor calls this. */
export function provideSeam(rooms: object, seam: RoomsSeam): void {
  seams.set(rooms, seam);
}

/**
 * The seam of a `Rooms`.
 *
 * @throws {TypeError} for anything else, such as the `Rooms` of another version of the library.
 */
export function seamOf(rooms: object): RoomsSeam {
  const seam = seams.get(rooms);
  if (seam === undefined) throw new TypeError("rooms must be a Rooms of this version of roomcast");
  return seam;
}
