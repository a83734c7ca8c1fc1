import { describe } from "../backplane/checks.ts";
import { checkCount, isReserved, roomName } from "./_room_name.ts";

/** Who does not receive a broadcast. */
export interface Exceptions {
  /** Rooms whose members do not receive it, on any node. */
  readonly rooms: readonly string[];
  /** Sockets and listeners of this node, each once. */
  readonly members: readonly object[];
}

/** Everybody receives it. */
export const NO_EXCEPTIONS: Exceptions = { rooms: [], members: [] };

/**
 * Reads the `except` of a broadcast.
 *
 * @throws {TypeError} for anything that is neither an object nor a string.
 * @throws {RangeError} for more than 64.
 * @throws {FrameError} `room-too-long`.
 */
export function readExceptions(except: unknown): Exceptions {
  if (except === undefined) return NO_EXCEPTIONS;
  if (isMember(except)) return { rooms: [], members: [except] };
  const rooms = new Set<string>();
  const members = new Set<object>();
  for (const one of Array.isArray(except) ? except : [except]) {
    if (typeof one === "string") rooms.add(roomName(one));
    else if (isMember(one)) members.add(one);
    else {
      throw new TypeError(
        `except must be a socket, a listener's handle or the name of a room, got ${describe(one)}`,
      );
    }
    checkCount("exceptions", rooms.size + members.size);
  }
  return { rooms: [...rooms].filter((room) => !isReserved(room)), members: [...members] };
}

function isMember(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
