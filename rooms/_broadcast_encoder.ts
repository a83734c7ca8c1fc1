import {
  encodeRoomBroadcast,
  encodeRoomBroadcastInto,
  roomBroadcastCapacity,
} from "../codec/mod.ts";

const SLAB_BYTES = 64 * 1024;

/**
 * Encodes messages one behind the other into slabs, so that most cost no allocation of their own
 * and a backplane may still keep the bytes: they are never overwritten.
 */
export class BroadcastEncoder {
  #slab = new Uint8Array(0);
  #used = 0;

  /** The encoded ROOM_BROADCAST. Throws what `encodeRoomBroadcast` throws. */
  encode(room: string, message: string): Uint8Array {
    const capacity = roomBroadcastCapacity(room, message);
    // A large message would waste the rest of a slab, and small ones would keep it alive.
    if (capacity > SLAB_BYTES / 4) return encodeRoomBroadcast(room, message);
    if (capacity > this.#slab.length - this.#used) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += encodeRoomBroadcastInto(room, message, this.#slab, start);
    return this.#slab.subarray(start, this.#used);
  }
}
