/** How long bytes take from one host to another. */
export interface Delay {
  /** Least time, in milliseconds. */
  readonly minMs: number;
  /** Most time, in milliseconds. Each piece takes a random time between the two. */
  readonly maxMs: number;
}

/** How a {@linkcode SimulatedNetwork} behaves. */
export interface NetworkOptions {
  /** Default: 0.2 to 2 ms. */
  delay?: Delay;
  /** Largest piece in which bytes arrive. A piece has any size up to it. Default: 16 KiB. */
  maxChunkBytes?: number;
  /** Bytes that may be written to a connection and not yet read, each way. Default: 64 KiB. */
  bufferBytes?: number;
  /** True: connections have a `binding`, like those of TLS. Default: true. */
  encrypted?: boolean;
}

/**
 * The network of a {@linkcode Simulation}. It behaves like TCP: within a connection nothing is
 * lost, duplicated or reordered, and what a partition holds up arrives when it heals. Between
 * connections there is no order. Acknowledgements are not simulated, so a blocked direction does
 * not slow down the other.
 *
 * Methods take host names. A setting for a host also applies to hosts that are started under its
 * name later.
 */
export interface SimulatedNetwork {
  /**
   * Cuts hosts off from others. Connections stay, and nothing moves on them until
   * {@linkcode SimulatedNetwork.heal}; new ones cannot be made. With `oneWay`, what the others send
   * still arrives, so with one host on each side a single direction is stalled.
   */
  partition(
    from: Iterable<string>,
    to: Iterable<string>,
    options?: { oneWay?: boolean },
  ): void;
  /**
   * Limits what a host can send to another.
   *
   * @throws {RangeError} if `bytesPerSecond` is not above 0.
   */
  throttle(from: string, to: string, bytesPerSecond: number): void;
  /**
   * Changes how long bytes take from one host to another.
   *
   * @throws {RangeError} if `delay` is not a valid range.
   */
  delay(from: string, to: string, delay: Delay): void;
  /** Ends all partitions, throttles and delays. What was held up now arrives. */
  heal(): void;
  /** Breaks all connections between two hosts; both ends notice at once. Returns how many. */
  reset(a: string, b: string): number;
  /**
   * Silently kills one direction of all connections between two hosts: nothing that `from` has sent
   * or will send arrives any more, and nobody is told. New connections are not affected. Returns
   * how many.
   */
  halfOpen(from: string, to: string): number;
  /** How many connections between two hosts have at least one open end. */
  connectionsBetween(a: string, b: string): number;
  /** True if a host of this name is up. */
  hasHost(hostname: string): boolean;
}
