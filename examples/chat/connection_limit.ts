/** Counts connections, so that nobody takes all there are. */
export class ConnectionLimit {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(options: { max: number; maxPerAddress: number }) {
    this.#max = options.max;
    this.#maxPerAddress = options.maxPerAddress;
  }

  /** Counts one more, if there may be one more. Each is to be released once. */
  admit(address: string): boolean {
    const count = this.#byAddress.get(address) ?? 0;
    if (this.#total >= this.#max || count >= this.#maxPerAddress) return false;
    this.#total++;
    this.#byAddress.set(address, count + 1);
    return true;
  }

  /** One of those admitted is gone. */
  release(address: string): void {
    const count = this.#byAddress.get(address) ?? 0;
    this.#total--;
    if (count > 1) this.#byAddress.set(address, count - 1);
    else this.#byAddress.delete(address);
  }
}
