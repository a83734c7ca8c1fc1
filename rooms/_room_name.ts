import { checkString } from "../backplane/checks.ts";
import { checkRoom, MAX_ROOM_BYTES } from "../codec/mod.ts";

/** Most rooms, and most exceptions, of one broadcast. */
const MAX_NAMES = 64;

/**
 * The name as it is stored and sent: a lone surrogate becomes U+FFFD, as in `WebSocket.send`. So a
 * client cannot use a JSON escape to make a method throw.
 *
 * @throws {TypeError} if it is not a string.
 */
export function normalName(name: unknown): string {
  checkString("room", name);
  return name.toWellFormed();
}

/**
 * Like {@linkcode normalName}, for a name that is to be joined or sent.
 *
 * @throws {FrameError} `room-too-long` above 65,535 bytes of UTF-8.
 */
export function roomName(name: unknown): string {
  const normal = normalName(name);
  // It is well-formed and takes at most three bytes a unit, so most names need no second look.
  if (3 * normal.length > MAX_ROOM_BYTES) checkRoom(normal);
  return normal;
}

/** True for names that begin with U+0000. They belong to the library. */
export function isReserved(room: string): boolean {
  return room.charCodeAt(0) === 0;
}

/**
 * The rooms of a broadcast: each once, without reserved names.
 *
 * @throws {RangeError} for more than 64.
 */
export function targetNames(rooms: unknown): string[] {
  if (!Array.isArray(rooms)) {
    const room = roomName(rooms);
    return isReserved(room) ? [] : [room];
  }
  const names = new Set<string>();
  for (const room of rooms) {
    names.add(roomName(room));
    checkCount("rooms", names.size);
  }
  return [...names].filter((room) => !isReserved(room));
}

/** Refuses a list as soon as it is too long, whatever follows. */
export function checkCount(what: string, count: number): void {
  if (count <= MAX_NAMES) return;
  throw new RangeError(`a broadcast has at most ${MAX_NAMES} ${what}, got more`);
}
