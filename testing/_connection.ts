import type { Address, Connection } from "../mesh/transport.ts";
import type { Host } from "./_host.ts";
import type { Network } from "./_network.ts";

/**
 * A writer that found the buffer full continues once no more than this share of it is in use. Linux
 * wakes writers at this level, so on a slow path a write seems stuck for seconds before it
 * continues.
 */
const LOW_WATER_SHARE = 2 / 3;

/** What travels one way: bytes, the end of the stream, or the news that it has broken. */
type Segment = Uint8Array | "end" | "reset";

/**
 * One direction of a connection, as in TCP: bytes arrive later, complete and in order, but in other
 * pieces. `unread` counts bytes that were written and not yet read, so a slow reader, or a network
 * that does not deliver, holds the writer up.
 */
class Stream {
  /** True if the direction has died silently: what is written never arrives, and nobody is told. */
  isDead = false;
  unread = 0;
  readonly #network: Network;
  readonly #from: End;
  readonly #to: () => End;
  readonly #queue: { segment: Segment; readyAt: number }[] = [];
  #scheduled = false;
  #freeAt = 0;

  constructor(network: Network, from: End, to: () => End) {
    this.#network = network;
    this.#from = from;
    this.#to = to;
  }

  push(segment: Segment): void {
    const { now } = this.#network;
    const path = this.#network.path(this.#from.host.hostname, this.#to().host.hostname);
    this.#queue.push({ segment, readyAt: now + path.delayMs() });
    this.resume();
  }

  /** Delivers what is on its way, if the path is open. */
  resume(): void {
    if (this.#scheduled || this.isDead || this.#queue.length === 0) return;
    const { now } = this.#network;
    const path = this.#network.path(this.#from.host.hostname, this.#to().host.hostname);
    if (path.isBlocked) return;
    this.#scheduled = true;
    const at = Math.max(now, this.#queue[0].readyAt, this.#freeAt);
    this.#network.after(at - now, () => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    const from = this.#from.host.hostname;
    const to = this.#to();
    const path = this.#network.path(from, to.host.hostname);
    if (path.isBlocked || this.isDead) return;
    const [{ segment }] = this.#queue.splice(0, 1); // It is not empty: nobody else takes from it.
    const size = typeof segment === "string" ? 0 : segment.length;
    this.#freeAt = this.#network.now + size / path.bytesPerMs;
    this.#network.trace(() => `${from} > ${to.host.hostname} ${size || String(segment)}`);
    to.arrive(segment);
    this.resume();
  }
}

/** One end of a simulated connection. */
export class End implements Connection {
  readonly remoteAddress: Address;
  readonly binding?: Uint8Array;
  readonly host: Host;
  /** What this end writes. */
  readonly out: Stream;
  readonly #network: Network;
  readonly #peer: () => End;
  readonly #arrived: Uint8Array[] = [];
  #ended = false;
  #failure: Error | undefined;
  #closed = false;
  #writeEnded = false;
  /** True once the host is gone, or was replaced: nobody is there to read or to answer. */
  #gone = false;
  #reader: Waiting<number | null> | undefined;
  readonly #writers: Waiting<number>[] = [];
  /** True from the moment at which the buffer is full until it has drained far enough. */
  #isFull = false;
  #wakeUps = 0;

  constructor(
    options: {
      network: Network;
      host: Host;
      remoteAddress: Address;
      binding: Uint8Array | undefined;
      peer: () => End;
    },
  ) {
    this.#network = options.network;
    this.host = options.host;
    this.remoteAddress = options.remoteAddress;
    if (options.binding !== undefined) this.binding = options.binding;
    this.#peer = options.peer;
    this.out = new Stream(this.#network, this, this.#peer);
  }

  read(buffer: Uint8Array): Promise<number | null> {
    if (this.#closed) return Promise.reject(closed());
    if (this.#reader !== undefined) {
      return Promise.reject(new Error("a read is under way already"));
    }
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    this.#reader = { bytes: buffer, resolve, reject };
    this.#pump();
    return promise;
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.#closed || this.#writeEnded) return Promise.reject(closed());
    if (this.#failure) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#writers.push({ bytes, resolve, reject });
    this.#pumpWriters();
    return promise;
  }

  closeWrite(): Promise<void> {
    if (this.#closed) return Promise.reject(closed());
    this.#endWriting();
    return Promise.resolve();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.host.forget(this);
    this.#rejectAll(closed());
    if (this.#gone || this.#failure) return;
    // As in TCP: an end that closes with unread bytes also discards what the other end has not
    // read.
    if (this.#arrived.length > 0) this.out.push("reset");
    else this.#endWriting();
    this.#arrived.length = 0;
  }

  /** A segment has arrived from the other end. */
  arrive(segment: Segment): void {
    if (this.#gone) {
      // A restarted host does not know this connection, and says so. A dead host says nothing.
      if (segment !== "reset" && this.#network.hasHost(this.host.hostname)) this.out.push("reset");
      return;
    }
    if (this.#failure) return;
    if (segment === "reset") return this.fail(new Error("connection reset by peer"));
    if (this.#closed) {
      if (segment !== "end") this.out.push("reset");
      return;
    }
    if (segment === "end") this.#ended = true;
    else this.#arrived.push(segment);
    this.#wake();
  }

  /** Breaks this end: what has not been read is lost. */
  fail(error: Error): void {
    if (this.#gone || this.#failure) return;
    this.#failure = error;
    this.#arrived.length = 0;
    if (!this.#closed) this.#wake();
  }

  /** The host has lost its memory. With `reset` the other end is told, as when a process dies. */
  die(reset: boolean): void {
    if (reset && !this.#failure) this.out.push("reset");
    this.#gone = true;
    this.#closed = true;
    this.#reader = undefined;
    this.#writers.length = 0;
    this.#arrived.length = 0;
  }

  /** Resumes the reader and the writers, as soon as the host runs. */
  #wake(): void {
    if (this.#wakeUps > 0) return;
    this.#wakeUps++;
    this.host.run(() => {
      this.#wakeUps = 0;
      this.#pump();
      this.#pumpWriters();
    });
  }

  #pump(): void {
    const reader = this.#reader;
    if (reader === undefined || this.#closed) return;
    const size = this.#take(reader.bytes);
    if (size > 0) reader.resolve(size);
    else if (this.#failure) reader.reject(this.#failure);
    else if (this.#ended) reader.resolve(null);
    else return;
    this.#reader = undefined;
    if (size > 0) this.#peer().#roomAgain(size);
  }

  #take(buffer: Uint8Array): number {
    let at = 0;
    while (at < buffer.length) {
      const bytes = this.#arrived.shift();
      if (bytes === undefined) break;
      const fits = bytes.subarray(0, buffer.length - at);
      buffer.set(fits, at);
      at += fits.length;
      if (fits.length < bytes.length) this.#arrived.unshift(bytes.subarray(fits.length));
    }
    return at;
  }

  /** The other end has read `size` bytes. */
  #roomAgain(size: number): void {
    this.out.unread -= size;
    if (this.#writers.length > 0) this.#wake();
  }

  #pumpWriters(): void {
    while (this.#writers.length > 0) {
      const writer = this.#writers[0];
      if (this.#failure) {
        writer.reject(this.#failure);
      } else {
        const { bufferBytes } = this.#network;
        if (this.out.unread > LOW_WATER_SHARE * bufferBytes && this.#isFull) return;
        const room = bufferBytes - this.out.unread;
        this.#isFull = room <= 0;
        if (this.#isFull) return;
        const size = Math.min(room, writer.bytes.length);
        this.#send(writer.bytes.subarray(0, size));
        writer.resolve(size);
      }
      this.#writers.shift();
    }
  }

  #send(bytes: Uint8Array): void {
    this.out.unread += bytes.length;
    // Copied: once a write has resolved, its memory belongs to the caller again.
    for (let rest = bytes.slice(); rest.length > 0;) {
      const size = this.#network.chunkSize(rest.length);
      this.out.push(rest.subarray(0, size));
      rest = rest.subarray(size);
    }
  }

  #endWriting(): void {
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    this.out.push("end");
  }

  #rejectAll(error: Error): void {
    this.#reader?.reject(error);
    this.#reader = undefined;
    for (const { reject } of this.#writers.splice(0)) reject(error);
  }
}

/** A read or a write that is waiting. */
interface Waiting<T> {
  readonly bytes: Uint8Array;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function closed(): Error {
  return new Error("this end of the connection is closed");
}
