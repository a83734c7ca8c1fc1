import { readText } from "./_text.ts";

/** Most names that are remembered. A power of two. */
const SLOTS = 1024;

/** Longer names are decoded each time, because they are rare and would take much memory. */
const MAX_BYTES = 64;

/**
 * Remembers decoded room names, because names repeat from message to message. Finding a name here
 * and looking it up in a `Map` takes a quarter to two thirds of the time of decoding it first. If
 * more names take turns than it remembers, it takes up to 1.6 times as long
 * (`bench/codec_bench.ts`).
 *
 * It holds at most 1,024 names of at most 64 bytes, about 150 KiB. Each name has one slot, where it
 * replaces the name before it, so nothing needs cleaning up. If somebody chooses names that
 * collide, they are decoded each time, as they would be without it.
 *
 * @example
 * ```ts
 * import { checkRoomBroadcast, encodeRoomBroadcast, RoomNames } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const names = new RoomNames(); // one for all messages
 * const bytes = encodeRoomBroadcast("lobby", "hello");
 * assertEquals(names.read(bytes, 3, checkRoomBroadcast(bytes)), "lobby");
 * ```
 */
export class RoomNames {
  /** The bytes of slot n begin at n × {@linkcode MAX_BYTES}. */
  readonly #bytes = new Uint8Array(SLOTS * MAX_BYTES);
  readonly #sizes = new Uint8Array(SLOTS);
  readonly #names: string[] = new Array(SLOTS).fill("");

  /**
   * The name that is `bytes[start, end)`.
   *
   * @throws {FrameError} `invalid-utf8`.
   */
  read(bytes: Uint8Array, start: number, end: number): string {
    const size = end - start;
    if (size > MAX_BYTES) return readText(bytes, start, end);
    const slot = slotOf(bytes, start, end);
    const at = slot * MAX_BYTES;
    if (this.#sizes[slot] === size && this.#holds(at, bytes, start, end)) return this.#names[slot];
    const name = readText(bytes, start, end);
    // A loop, because calling subarray() and set() costs more than copying 64 bytes.
    for (let i = 0; i < size; i++) this.#bytes[at + i] = bytes[start + i];
    this.#sizes[slot] = size;
    return this.#names[slot] = name;
  }

  #holds(at: number, bytes: Uint8Array, start: number, end: number): boolean {
    const held = this.#bytes;
    for (let i = start; i < end; i++) {
      if (held[at++] !== bytes[i]) return false;
    }
    return true;
  }
}

/** FNV-1a, folded to the number of slots. */
function slotOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return (hash ^ hash >>> 16) & SLOTS - 1;
}
