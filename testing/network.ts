/** How long what travels one way takes. */
export interface Delay {
  /** Least time, in milliseconds. */
  readonly minMs: number;
  /** Most time, in milliseconds; each piece has its own in between. */
  readonly maxMs: number;
}

/** How a {@linkcode SimulatedNetwork} behaves. */
export interface NetworkOptions {
  /** Default: 0.2 to 2 ms. */
  delay?: Delay;
  /** Largest piece in which bytes arrive; each is of any size up to it. Default: 16 KiB. */
  maxChunkBytes?: number;
  /** Bytes that may be written to a connection and not yet read, each way. Default: 64 KiB. */
  bufferBytes?: number;
  /** True: connections have a `binding`, as those by TLS have. Default: true. */
  encrypted?: boolean;
}

/**
 * The network of a {@linkcode Simulation}. It behaves like TCP: within a connection nothing is lost,
 * doubled or put in another order, and what a partition holds up arrives when it heals. Between
 * connections there is no order. Acknowledgements are not simulated: a direction that is blocked does
 * not slow down the other.
 *
 * Hosts are named by their host names. What is said about a host holds for those that are started
 * under its name later.
 */
export interface SimulatedNetwork {
  /**
   * Cuts hosts off from others. Connections stay, and nothing moves on them until
   * {@linkcode SimulatedNetwork.heal}; new ones cannot be made. With `oneWay` what the others send
   * still arrives; with one host on each side that is a stalled direction.
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
   * Changes how long what a host sends to another takes.
   *
   * @throws {RangeError} if `delay` is no range.
   */
  delay(from: string, to: string, delay: Delay): void;
  /** Ends all partitions, throttles and delays. What was held up goes on. */
  heal(): void;
  /** Breaks all connections between two hosts; both ends notice at once. Returns how many. */
  reset(a: string, b: string): number;
  /**
   * Has one direction of all connections between two hosts die silently: nothing that `from` has sent
   * or will send arrives any more, and nobody is told. New connections are not concerned. Returns how
   * many.
   */
  halfOpen(from: string, to: string): number;
  /** How many connections there are between two hosts with an end that is open. */
  connectionsBetween(a: string, b: string): number;
  /** True if a host of this name is up. */
  hasHost(hostname: string): boolean;
}
