/** What a node has sent and received since it started. Numbers never fall, and outlive peers. */
export interface MeshTotals {
  /** Messages that this node has published, those of presence included. */
  readonly published: number;
  /** Messages that this node has received from peers, those of presence included. */
  readonly received: number;
  /**
   * Messages that a peer did not get, because its queue was full or because it cannot decode them.
   * Each peer counts.
   */
  readonly dropped: number;
  /** Messages that peers have said this node did not get. */
  readonly missed: number;
  /** Messages from peers that could not be decoded. */
  readonly malformed: number;
  /** Bytes read from peers. */
  readonly bytesIn: number;
  /** Bytes written to peers. */
  readonly bytesOut: number;
}

/** Totals to which the parts of a node add. */
export type Counters = { -readonly [Name in keyof MeshTotals]: number };

/** Starts at zero. */
export function newCounters(): Counters {
  return {
    published: 0,
    received: 0,
    dropped: 0,
    missed: 0,
    malformed: 0,
    bytesIn: 0,
    bytesOut: 0,
  };
}
