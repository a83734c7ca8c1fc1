/**
 * Room names repeat: most broadcasts are for a room that was named a moment ago. To find its name
 * again costs less than to decode it, and the string that is found has its hash already, for the
 * look-up that follows: together some half of the time (`bench/rooms_bench.ts`, "room name").
 */

import { readRoom } from "../codec/mod.ts";

/** How many names are remembered, a power of two. */
const SLOTS = 1024;

/** Longer names are decoded each time. */
const MAX_BYTES = 32;

const ROOM_START = 3;

/** Names of rooms by their bytes. */
export class RoomNames {
  // Slot `i` remembers `names[i]`, whose `sizes[i]` bytes of UTF-8 begin at `encoded[i * MAX_BYTES]`:
  // in the beginning the empty name, which is right everywhere.
  readonly #names: string[] = new Array(SLOTS).fill("");
  readonly #sizes = new Uint8Array(SLOTS);
  readonly #encoded = new Uint8Array(SLOTS * MAX_BYTES);

  /** Gives what `readRoom` gives, and throws what it throws. */
  read(bytes: Uint8Array, roomEnd: number): string {
    const size = roomEnd - ROOM_START;
    if (size > MAX_BYTES) return readRoom(bytes, roomEnd);
    // Names that share a slot cost each other time, and nothing else.
    const slot = hash(bytes, roomEnd) & (SLOTS - 1);
    if (this.#isRemembered(slot, bytes, size)) return this.#names[slot];
    const name = readRoom(bytes, roomEnd);
    this.#encoded.set(bytes.subarray(ROOM_START, roomEnd), slot * MAX_BYTES);
    this.#sizes[slot] = size;
    this.#names[slot] = name;
    return name;
  }

  #isRemembered(slot: number, bytes: Uint8Array, size: number): boolean {
    if (this.#sizes[slot] !== size) return false;
    const from = slot * MAX_BYTES;
    for (let i = 0; i < size; i++) {
      if (this.#encoded[from + i] !== bytes[ROOM_START + i]) return false;
    }
    return true;
  }
}

function hash(bytes: Uint8Array, roomEnd: number): number {
  let hash = roomEnd;
  for (let at = ROOM_START; at < roomEnd; at++) hash = (Math.imul(hash, 31) + bytes[at]) | 0;
  return hash ^ hash >>> 10;
}
