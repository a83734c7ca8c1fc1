import {
  encodeRoomBroadcast,
  encodeRoomBroadcastInto,
  encodeRoomMessage,
  encodeRoomMessageInto,
  roomBroadcastCapacity,
  type RoomMessage,
  roomMessageCapacity,
} from "../codec/mod.ts";

const SLAB_BYTES = 64 * 1024;

/**
 * Encodes broadcasts one after the other into slabs, so most cost no allocation of their own. The
 * bytes are never overwritten, so a backplane may keep them.
 */
export class Encoder {
  #slab = new Uint8Array(0);
  #used = 0;

  /**
   * Encodes a ROOM_BROADCAST if that is enough, otherwise a ROOM_MESSAGE.
   *
   * @throws {FrameError} what `encodeRoomMessage` throws.
   */
  encode(broadcast: RoomMessage): Uint8Array {
    const { rooms, except, message } = broadcast;
    const isPlain = rooms.length === 1 && except.length === 0 && typeof message === "string";
    const capacity = isPlain
      ? roomBroadcastCapacity(rooms[0], message)
      : roomMessageCapacity(broadcast);
    // A large message would waste the rest of a slab, and small ones would keep it alive.
    if (capacity > SLAB_BYTES / 4) {
      return isPlain ? encodeRoomBroadcast(rooms[0], message) : encodeRoomMessage(broadcast);
    }
    if (capacity > this.#slab.length - this.#used) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += isPlain
      ? encodeRoomBroadcastInto(rooms[0], message, this.#slab, start)
      : encodeRoomMessageInto(broadcast, this.#slab, start);
    return this.#slab.subarray(start, this.#used);
  }
}
