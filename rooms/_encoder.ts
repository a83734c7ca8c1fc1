import {
  encodeRoomBroadcast,
  encodeRoomBroadcastInto,
  encodeRoomMessage,
  encodeRoomMessageInto,
  roomBroadcastCapacity,
  type RoomMessage,
  roomMessageCapacity,
} from "../codec/mod.ts";
import { Slab } from "./_slab.ts";

const SLAB_BYTES = 64 * 1024;

/**
 * Encodes broadcasts one after the other into slabs, so most cost no allocation of their own. The
 * bytes are never overwritten, so a backplane may keep them.
 */
export class Encoder {
  readonly #slab = new Slab(SLAB_BYTES);

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
    if (capacity > this.#slab.maxBytes) return encodeRoomMessage(broadcast);
    const at = this.#slab.reserve(capacity);
    return this.#slab.take(encodeRoomMessageInto(broadcast, this.#slab.memory, at));
  }

  #encodePlain(room: string, message: string): Uint8Array {
    const capacity = roomBroadcastCapacity(room, message);
    if (capacity > this.#slab.maxBytes) return encodeRoomBroadcast(room, message);
    const at = this.#slab.reserve(capacity);
    return this.#slab.take(encodeRoomBroadcastInto(room, message, this.#slab.memory, at));
  }
}
