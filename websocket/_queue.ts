/** Empty places at the front before the others move up. */
const MAX_SPARE_PLACES = 1024;

/** A queue that takes constant time at both ends, and keeps nothing that has left it. */
export class Queue<T> {
  #items: (T | undefined)[] = [];
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first item, or undefined if there is none. */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#first];
    this.#items[this.#first++] = undefined;
    const isSparse = this.#first > MAX_SPARE_PLACES && 2 * this.#first > this.#items.length;
    if (isSparse || this.length === 0) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}
