import type { Connection } from "../../mod.ts";

/** One direction of a connection within the process. */
class Stream {
  #chunks: Uint8Array[] = [];
  #ended = false;
  #changed = Promise.withResolvers<void>();

  write(bytes: Uint8Array): void {
    this.#chunks.push(bytes.slice());
    this.#changed.resolve();
  }

  end(): void {
    this.#ended = true;
    this.#changed.resolve();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#ended) return null;
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
    const chunk = this.#chunks[0];
    const size = Math.min(chunk.length, buffer.length);
    buffer.set(chunk.subarray(0, size));
    if (size === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(size);
    return size;
  }
}

/** Two ends of a connection without a network, and all that was written to each. */
export function pipe(
  binding?: Uint8Array,
): { ends: [Connection, Connection]; written: [Uint8Array[], Uint8Array[]] } {
  const streams = [new Stream(), new Stream()];
  const written: [Uint8Array[], Uint8Array[]] = [[], []];
  const end = (mine: number): Connection => ({
    remoteAddress: { hostname: "127.0.0.1", port: 1 },
    binding,
    read: (buffer) => streams[1 - mine].read(buffer),
    write: (bytes) => {
      written[mine].push(bytes.slice());
      streams[mine].write(bytes);
      return Promise.resolve(bytes.length);
    },
    closeWrite: () => Promise.resolve(streams[mine].end()),
    close: () => streams.forEach((stream) => stream.end()),
  });
  return { ends: [end(0), end(1)], written };
}
