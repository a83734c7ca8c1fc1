import { encodeFrame, encodeRoomInterests } from "../codec/mod.ts";
import { nameBytes } from "./name_bytes.ts";

/**
 * Rooms that have been opened and closed: a difference, in which opening and closing cancel out.
 */
export class RoomChanges implements Iterable<[room: string, isOpen: boolean]> {
  readonly #changes = new Map<string, boolean>();
  #bytes = 0;
  #frames: readonly Uint8Array[] | undefined;

  /** Begins with the changes of another difference, or with none. */
  constructor(changes: Iterable<[room: string, isOpen: boolean]> = []) {
    for (const [room, isOpen] of changes) this.note(room, isOpen);
  }

  /** How many rooms have changed. */
  get size(): number {
    return this.#changes.size;
  }

  /** Bytes of their names. */
  get bytes(): number {
    return this.#bytes;
  }

  [Symbol.iterator](): Iterator<[room: string, isOpen: boolean]> {
    return this.#changes[Symbol.iterator]();
  }

  /** Notes that a room has been opened or closed. These alternate for each room. */
  note(room: string, isOpen: boolean): void {
    this.#frames = undefined;
    if (this.#changes.delete(room)) {
      this.#bytes -= nameBytes(room);
    } else {
      this.#changes.set(room, isOpen);
      this.#bytes += nameBytes(room);
    }
  }

  /**
   * Frames that announce the changes to a peer in the previous state. They are encoded once for all
   * peers.
   */
  get frames(): readonly Uint8Array[] {
    this.#frames ??= [
      // Removals first, so that the peer never has more rooms than it keeps.
      ...Array.from(encodeRoomInterests("remove", this.#rooms(false)), encodeFrame),
      ...Array.from(encodeRoomInterests("add", this.#rooms(true)), encodeFrame),
    ];
    return this.#frames;
  }

  *#rooms(open: boolean): Generator<string> {
    for (const [room, isOpen] of this.#changes) if (isOpen === open) yield room;
  }
}
