import type { ChannelPort } from "../../backplanes/broadcast_channel.ts";

/**
 * Channels that share a ring of posts as in Deno: who falls behind by more than its capacity loses
 * the oldest without a word. Posts arrive when a test says so.
 */
export class Ring {
  readonly #capacity: number;
  readonly #ports: RingPort[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  readonly open = (): RingPort => {
    const port = new RingPort((from, post) => {
      for (const other of this.#ports) if (other !== from) other.enqueue(post, this.#capacity);
    });
    this.#ports.push(port);
    return port;
  };

  /** Lets everybody read everything, what is posted meanwhile included. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 3;) {
      // What waits for the end of the turn is posted first.
      await Promise.resolve();
      idle = this.#ports.map((port) => port.read(Infinity)).some((count) => count > 0)
        ? 0
        : idle + 1;
    }
  }
}

export class RingPort implements ChannelPort {
  readonly #post: (from: RingPort, post: unknown) => void;
  readonly #queue: unknown[] = [];
  #listener: (event: { data: unknown }) => void = () => {};
  #open = true;

  constructor(post: (from: RingPort, post: unknown) => void) {
    this.#post = post;
  }

  postMessage(message: unknown): void {
    if (!this.#open) throw new Error("posted to a channel that is closed");
    this.#post(this, message);
  }

  addEventListener(_type: "message", listener: (event: { data: unknown }) => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#open = false;
  }

  enqueue(post: unknown, capacity: number): void {
    if (!this.#open) return;
    this.#queue.push(structuredClone(post));
    if (this.#queue.length > capacity) this.#queue.shift();
  }

  /** Reads up to `count` posts, and returns how many there were. */
  read(count: number): number {
    let read = 0;
    while (read < count && this.#queue.length > 0) {
      this.#listener({ data: this.#queue.shift() });
      read++;
    }
    return read;
  }
}
