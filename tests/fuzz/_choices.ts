/** The bytes of an input as decisions, for targets that read values and not bytes. */
export class Choices {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** True when all bytes have been used. */
  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The next byte; 0 when there is none any more. */
  byte(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  /** One of several, by the next byte. */
  pick<T>(items: readonly T[]): T {
    return items[this.byte() % items.length];
  }

  /** The next `size` bytes, or as many as there are. */
  take(size: number): Uint8Array {
    const bytes = this.#bytes.slice(this.#at, this.#at + size);
    this.#at += size;
    return bytes;
  }
}
