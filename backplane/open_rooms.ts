/**
 * The rooms that are open on a backplane. Several `Rooms` may share one, so it counts them: other
 * nodes hear only of the first that opens a room and of the last that closes it.
 */
export class OpenRooms {
  readonly #counts = new Map<string, number>();

  /** How many rooms are open. */
  get size(): number {
    return this.#counts.size;
  }

  /** True if the room is open. */
  has(room: string): boolean {
    return this.#counts.has(room);
  }

  /** The names of the open rooms. */
  [Symbol.iterator](): IterableIterator<string> {
    return this.#counts.keys();
  }

  /** Opens a room once more. True if it was closed. */
  open(room: string): boolean {
    const count = this.#counts.get(room) ?? 0;
    this.#counts.set(room, count + 1);
    return count === 0;
  }

  /** Closes a room once. True if nobody has it open any more. */
  close(room: string): boolean {
    const count = this.#counts.get(room);
    if (count === undefined) return false;
    if (count > 1) this.#counts.set(room, count - 1);
    else this.#counts.delete(room);
    return count === 1;
  }
}
