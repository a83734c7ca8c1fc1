/**
 * Counts for how many `Rooms` a room is open: several may share a backplane, and the engine is to
 * hear of the first that opens it and of the last that closes it.
 */
export class Interest {
  readonly #counts = new Map<string, number>();

  /** One more. True if it is the first. */
  open(room: string): boolean {
    const count = this.#counts.get(room) ?? 0;
    this.#counts.set(room, count + 1);
    return count === 0;
  }

  /** One less. True if it was the last. */
  close(room: string): boolean {
    const count = this.#counts.get(room);
    if (count === undefined) return false;
    if (count > 1) this.#counts.set(room, count - 1);
    else this.#counts.delete(room);
    return count === 1;
  }
}
