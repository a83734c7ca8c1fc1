/** Counts connections, so that no address uses up all of them. */
export class ConnectionLimit {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(options: { max: number; maxPerAddress: number }) {
    this.#max = options.max;
    this.#maxPerAddress = options.maxPerAddress;
  }

  /** True if no further connection from an address is allowed. */
  isFull(address: string): boolean {
    return this.#total >= this.#max || this.#count(address) >= this.#maxPerAddress;
  }

  /** Counts a connection. Call `remove` once for each. */
  add(address: string): void {
    this.#total++;
    this.#byAddress.set(address, this.#count(address) + 1);
  }

  /** Counts a connection as ended. */
  remove(address: string): void {
    const left = this.#count(address) - 1;
    this.#total--;
    if (left > 0) this.#byAddress.set(address, left);
    else this.#byAddress.delete(address);
  }

  #count(address: string): number {
    return this.#byAddress.get(address) ?? 0;
  }
}
