import { encodeFrame, encodeRoomInterests } from "../codec/mod.ts";
import { nameBytes } from "./name_bytes.ts";

/** Rooms that have been opened and closed: a difference, in which one undoes the other. */
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

  /** Frames that tell a peer, which is at the state before, of the changes. Encoded once for all. */
  get frames(): readonly Uint8Array[] {
    this.#frames ??= [
      // First, so that the peer never has more rooms than it keeps.
      ...Array.from(encodeRoomInterests("remove", this.#rooms(false)), encodeFrame),
      ...Array.from(encodeRoomInterests("add", this.#rooms(true)), encodeFrame),
    ];
    return this.#frames;
  }

  *#rooms(open: boolean): Generator<string> {
    for (const [room, isOpen] of this.#changes) if (isOpen === open) yield room;
  }
}
