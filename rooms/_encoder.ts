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

/** A larger message would waste the rest of a slab, and small ones would keep it alive. */
const MAX_IN_SLAB_BYTES = SLAB_BYTES / 4;

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
  encode(
    rooms: readonly string[],
    except: readonly string[],
    message: string | Uint8Array,
  ): Uint8Array {
    if (rooms.length === 1 && except.length === 0 && typeof message === "string") {
      return this.#encodePlain(rooms[0], message);
    }
    return this.#encodeOther({ rooms, except, message });
  }

  #encodeOther(broadcast: RoomMessage): Uint8Array {
    const capacity = roomMessageCapacity(broadcast);
    if (capacity > MAX_IN_SLAB_BYTES) return encodeRoomMessage(broadcast);
    this.#reserve(capacity);
    return this.#taken(encodeRoomMessageInto(broadcast, this.#slab, this.#used));
  }

  #encodePlain(room: string, message: string): Uint8Array {
    const capacity = roomBroadcastCapacity(room, message);
    if (capacity > MAX_IN_SLAB_BYTES) return encodeRoomBroadcast(room, message);
    this.#reserve(capacity);
    return this.#taken(encodeRoomBroadcastInto(room, message, this.#slab, this.#used));
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#slab.length - this.#used) return;
    this.#slab = new Uint8Array(SLAB_BYTES);
    this.#used = 0;
  }

  #taken(bytes: number): Uint8Array {
    const start = this.#used;
    this.#used += bytes;
    return this.#slab.subarray(start, this.#used);
  }
}
