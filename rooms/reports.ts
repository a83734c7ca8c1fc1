/** What became of a message on this node. */
export interface DeliveryReport {
  /** Members that it was sent to. A member counts once, even in several rooms. */
  readonly sent: number;
  /** Members that were too slow, and were closed or skipped instead. */
  readonly slow: number;
  /** Members whose `send` threw. */
  readonly failed: number;
}

/** What became of a broadcast: here, and on its way to other nodes. */
export interface BroadcastReport extends DeliveryReport {
  /** Other nodes that it was queued for. A broker counts as one. */
  readonly peers: number;
  /**
   * Nodes that wanted it and will not get it, because their queue is full or because they cannot
   * decode it. A broker that is out of reach counts as one, and so does a backplane that throws.
   */
  readonly dropped: number;
}

/** Counts since a `Rooms` was made. They only grow. */
export interface RoomsTotals extends DeliveryReport {
  /** Broadcasts and disconnects handed to the backplane. */
  readonly published: number;
  /** Broadcasts and disconnects of other nodes, and of other `Rooms` on this backplane. */
  readonly received: number;
  /**
   * Messages of other nodes that did not arrive, as the `missed` events say. An event without a
   * count adds one.
   */
  readonly missed: number;
}

/** Nobody received it. */
export const NOTHING_SENT: BroadcastReport = Object.freeze({
  sent: 0,
  slow: 0,
  failed: 0,
  peers: 0,
  dropped: 0,
});

/** Adds up reports. */
export class Totals {
  #sent = 0;
  #slow = 0;
  #failed = 0;
  published = 0;
  received = 0;
  missed = 0;

  /** Adds what became of a message here, and returns it. */
  add(report: DeliveryReport): DeliveryReport {
    this.#sent += report.sent;
    this.#slow += report.slow;
    this.#failed += report.failed;
    return report;
  }

  /** The counts as they are now. */
  get snapshot(): RoomsTotals {
    const { published, received, missed } = this;
    return {
      sent: this.#sent,
      slow: this.#slow,
      failed: this.#failed,
      published,
      received,
      missed,
    };
  }
}
