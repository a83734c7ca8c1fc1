/**
 * What a node has sent and heard on each of its links, by its own events and reports. It tells at
 * once what can be wrong on one node alone; the rest comes out when all books are laid side by side
 * (`_account.ts`).
 */

import type { PeerDownReason, PublishReport } from "../../mod.ts";
import type { Stamp } from "./_stamp.ts";

/** What was heard on a link: numbers of the peer's broadcasts. */
export interface Heard {
  /** -1 if nothing was heard. */
  first: number;
  last: number;
  count: number;
  /** Numbers left out between the first and the last. */
  missing: number;
}

/** One link, from its `peerup` to its `peerdown`, as one of its ends knows it. */
export interface LinkRecord {
  readonly peer: string;
  /** Incarnation of the peer. */
  readonly life: string;
  readonly upAt: number;
  /** Number of the first broadcast that was queued for it. */
  readonly from: number;
  /** Number after the last that was queued for it, up to now. */
  to: number;
  /** Broadcasts that did not fit. */
  dropped: number;
  readonly heard: Heard;
  /** When the first broadcast was heard on it. */
  heardAt?: number;
  downAt?: number;
  reason?: PeerDownReason;
}

/** The peer of an event, as far as it matters here. */
export interface Peer {
  readonly name: string;
  readonly incarnation: string;
  readonly dropped: number;
}

/** See the file's head. */
export class LinkBook {
  readonly #open = new Map<string, LinkRecord>();
  readonly #nameOf: (node: number) => string;
  #next = 0;
  /** Drops, by the reports of broadcasts, and by the counters of links that have ended. */
  #reportedDrops = 0;
  #endedDrops = 0;

  /** An empty book; `nameOf` gives the name of a node by its index. */
  constructor(nameOf: (node: number) => string) {
    this.#nameOf = nameOf;
  }

  /** Number of the next broadcast. */
  get next(): number {
    return this.#next;
  }

  /**
   * The links that are up, with what `peers` of the mesh tell of them now.
   *
   * @throws {Error} if their drops are not those that broadcasts have reported.
   */
  open(peers: readonly Peer[]): LinkRecord[] {
    let drops = this.#endedDrops;
    for (const { name, dropped } of peers) {
      drops += dropped;
      const record = this.#open.get(name);
      if (record) record.dropped = dropped;
    }
    if (drops === this.#reportedDrops) {
      return Array.from(this.#open.values(), (record) => ({ ...record, to: this.#next }));
    }
    throw new Error(`links have dropped ${drops}, and reports told of ${this.#reportedDrops}`);
  }

  /** A link is up. */
  up({ name, incarnation }: Peer, upAt: number): LinkRecord {
    if (this.#open.has(name)) throw new Error(`${name} is reported up, which was up`);
    const record: LinkRecord = {
      peer: name,
      life: incarnation,
      upAt,
      from: this.#next,
      to: this.#next,
      dropped: 0,
      heard: { first: -1, last: -1, count: 0, missing: 0 },
    };
    this.#open.set(name, record);
    return record;
  }

  /** A link is gone: the last that there is to know about it. */
  down({ name, incarnation, dropped }: Peer, reason: PeerDownReason, downAt: number): LinkRecord {
    const record = this.#open.get(name);
    if (record?.life !== incarnation) {
      throw new Error(`${name} (${incarnation}) is reported down, which was not up`);
    }
    this.#open.delete(name);
    this.#endedDrops += dropped;
    return Object.assign(record, { to: this.#next, dropped, reason, downAt });
  }

  /** Counts a broadcast. */
  sent({ peers, dropped }: PublishReport): void {
    const number = this.#next++;
    this.#reportedDrops += dropped;
    if (peers + dropped === this.#open.size) return;
    throw new Error(
      `broadcast ${number} is reported to be on its way to ${peers} nodes and dropped for ` +
        `${dropped}, and events tell of ${this.#open.size} links`,
    );
  }

  /** Counts a broadcast that has come. Gives the record if it is the first on its link. */
  heard(stamp: Stamp, at: number): LinkRecord | undefined {
    const { life, number } = stamp;
    const name = this.#nameOf(stamp.node);
    const record = this.#open.get(name);
    if (record?.life !== life) {
      throw new Error(`hears message ${number} of ${name} (${life}), to which there is no link`);
    }
    const { heard } = record;
    if (number <= heard.last) {
      throw new Error(
        `hears message ${number} of ${name} after ${heard.last}: twice, or out of order`,
      );
    }
    heard.count++;
    if (heard.count > 1) {
      heard.missing += number - heard.last - 1;
      heard.last = number;
      return undefined;
    }
    heard.first = heard.last = number;
    record.heardAt = at;
    return record;
  }
}
