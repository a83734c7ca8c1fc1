/**
 * Memory for pieces that are encoded one after the other, so most of them cost no allocation of their
 * own. The memory is never overwritten, so anybody may keep a piece, which keeps all of it alive.
 */
export class Slab {
  /** The longest piece that belongs here. A longer one would waste the rest of the memory. */
  readonly maxBytes: number;
  readonly #bytes: number;
  #memory = new Uint8Array(0);
  #used = 0;

  /** `bytes`: how much memory it takes at a time. */
  constructor(bytes: number) {
    this.#bytes = bytes;
    this.maxBytes = bytes / 4;
  }

  /** Where to encode the next piece, at the offset that `reserve` has returned. */
  get memory(): Uint8Array<ArrayBuffer> {
    return this.#memory;
  }

  /** Makes room for a piece of at most so many bytes, and returns its offset. */
  reserve(bytes: number): number {
    if (bytes > this.#memory.length - this.#used) {
      this.#memory = new Uint8Array(this.#bytes);
      this.#used = 0;
    }
    return this.#used;
  }

  /** Takes the piece, of so many bytes. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const start = this.#used;
    this.#used += bytes;
    return this.#memory.subarray(start, this.#used);
  }
}
