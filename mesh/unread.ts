/** Chunks of a stream that nobody has read yet. */
export class Unread {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  /** How many bytes there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds a chunk without copying it. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  /** Moves up to `buffer.length` bytes into `buffer` and returns their number. */
  take(buffer: Uint8Array): number {
    let at = 0;
    while (at < buffer.length) {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) break;
      const fits = chunk.subarray(0, buffer.length - at);
      buffer.set(fits, at);
      at += fits.length;
      if (fits.length < chunk.length) this.#chunks.unshift(chunk.subarray(fits.length));
    }
    this.#size -= at;
    return at;
  }

  /** Forgets all bytes. */
  clear(): void {
    this.#chunks.length = 0;
    this.#size = 0;
  }
}
