import { OpenRooms } from "../backplane/open_rooms.ts";
import { nameBytes } from "./name_bytes.ts";
import { MAX_INTEREST_BYTES, MAX_INTEREST_ROOMS } from "./wanted_rooms.ts";

/** Longest name that can be sent, in bytes: the largest `u16` length. */
const MAX_NAME_BYTES = 0xffff;

/**
 * The rooms that this node wants. If there are too many, it wants everything until they are fewer
 * than half of the limit. A node at the limit must not switch with every room.
 */
export class OwnRooms implements Iterable<string> {
  readonly #open = new OpenRooms();
  #bytes = 0;
  #everything = false;

  /** Bytes of the rooms' names. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True while there are too many rooms to announce them one by one. */
  get wantsEverything(): boolean {
    return this.#everything;
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#open[Symbol.iterator]();
  }

  /**
   * Opens a room once more. True if it was closed. A name that no broadcast can have is left out.
   */
  open(room: string): boolean {
    const bytes = nameBytes(room);
    if (bytes > MAX_NAME_BYTES || !room.isWellFormed()) return false;
    if (!this.#open.open(room)) return false;
    this.#resize(bytes);
    return true;
  }

  /** Closes a room once. True if nobody has it open any more. */
  close(room: string): boolean {
    if (!this.#open.close(room)) return false;
    this.#resize(-nameBytes(room));
    return true;
  }

  #resize(bytes: number): void {
    this.#bytes += bytes;
    const { size } = this.#open;
    if (size > MAX_INTEREST_ROOMS || this.#bytes > MAX_INTEREST_BYTES) this.#everything = true;
    else if (2 * size < MAX_INTEREST_ROOMS && 2 * this.#bytes < MAX_INTEREST_BYTES) {
      this.#everything = false;
    }
  }
}
