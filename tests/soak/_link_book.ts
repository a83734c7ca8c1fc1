/**
 * What a node has sent and heard on each of its links, by its own events and reports. It tells at
 * once what can be wrong on one node alone; the rest comes out when all books are laid side by side
 * (`_account.ts`).
 */

import type { PeerDownReason, PublishReport } from "../../mod.ts";
import type { LinkMark, Stamp } from "./_stamp.ts";

/** One link, from its `peerup` to its `peerdown`, as one of its ends knows it. */
export interface LinkRecord {
  readonly peer: string;
  /** Incarnation of the peer. */
  readonly life: string;
  /** Its place among the links of this life, from 0. */
  readonly link: number;
  readonly upAt: number;
  /** Broadcasts of the soak that were queued for the peer, and those that did not fit. */
  queued: number;
  dropped: number;
  /** Broadcasts of the soak that were heard on it, and those that were reported as missed. */
  heard: number;
  missed: number;
  /** `link` of the peer's record of the same link, as what was heard on it says. */
  peerLink?: number;
  /** When the first stamp was heard on it. */
  heardAt?: number;
  downAt?: number;
  reason?: PeerDownReason;
}

/** The peer of an event, as far as it matters here. */
export interface Peer {
  readonly name: string;
  readonly incarnation: string;
  /** All messages that were queued for it, also those of presence. */
  readonly messagesOut: number;
  readonly dropped: number;
}

/** Whom a book is about. */
export interface LinkBookOptions {
  /** Names of all nodes. */
  readonly names: readonly string[];
  /** Index of the node that the book belongs to. */
  readonly self: number;
  /** True for a node that wants only broadcasts for its rooms. */
  readonly isSelective: (node: number) => boolean;
}

/** See the file's head. */
export class LinkBook {
  readonly #names: readonly string[];
  readonly #self: number;
  readonly #isSelective: (node: number) => boolean;
  readonly #open = new Map<string, LinkRecord>();
  #links = 0;
  #next = 0;
  /** Drops, by the reports of broadcasts, and by the counters of links that have ended. */
  #reportedDrops = 0;
  #endedDrops = 0;
  /** What `missed` has told of, as `Rooms` counts it. */
  #missed = 0;
  /** Names and incarnations of peers whose link has ended without a goodbye, until that is reported. */
  readonly #lost = new Map<string, string>();
  /** Names of such peers, until it is reported again when a link to them is up. */
  readonly #lostBefore = new Set<string>();

  /** An empty book. */
  constructor({ names, self, isSelective }: LinkBookOptions) {
    this.#names = names;
    this.#self = self;
    this.#isSelective = isSelective;
  }

  /** Number of the next broadcast. */
  get next(): number {
    return this.#next;
  }

  /** What `missed` has told of so far; an event without a count is one. */
  get missedTotal(): number {
    return this.#missed;
  }

  /** How many links there are to nodes that want everything. */
  get receiversOfAll(): number {
    return this.#names.filter((name, node) => !this.#isSelective(node) && this.#open.has(name))
      .length;
  }

  /**
   * The links that are up, with what `peers` of the mesh tell of them now.
   *
   * @throws {Error} if their drops are not those that broadcasts have reported, or if the end of a link
   * has not been reported as missed.
   */
  open(peers: readonly Peer[]): LinkRecord[] {
    const drops = peers.reduce((sum, { dropped }) => sum + dropped, this.#endedDrops);
    if (drops !== this.#reportedDrops) {
      throw new Error(`links have dropped ${drops}, and reports told of ${this.#reportedDrops}`);
    }
    const silent = [...this.#lost.keys(), ...this.#lostBefore].find((name) =>
      this.#lost.has(name) || this.#open.has(name)
    );
    if (silent !== undefined) {
      throw new Error(
        `a link to ${silent} has ended without a goodbye, and missed does not say so`,
      );
    }
    return Array.from(this.#open.values(), (record) => ({ ...record }));
  }

  /** A link is up. */
  up({ name, incarnation }: Peer, upAt: number): LinkRecord {
    if (this.#open.has(name)) throw new Error(`${name} is reported up, which was up`);
    const record: LinkRecord = {
      peer: name,
      life: incarnation,
      link: this.#links++,
      upAt,
      queued: 0,
      dropped: 0,
      heard: 0,
      missed: 0,
    };
    this.#open.set(name, record);
    return record;
  }

  /** A link is gone: the last that there is to know about it. */
  down(peer: Peer, reason: PeerDownReason, downAt: number): LinkRecord {
    const { name, incarnation, dropped } = peer;
    const record = this.#open.get(name);
    if (record?.life !== incarnation) {
      throw new Error(`${name} (${incarnation}) is reported down, which was not up`);
    }
    this.#open.delete(name);
    this.#endedDrops += dropped;
    if (reason !== "goodbye" && reason !== "shut-down") {
      this.#lost.set(name, incarnation);
      this.#lostBefore.add(name);
    }
    return Object.assign(record, { reason, downAt });
  }

  /**
   * Messages have been missed: `count` of them on a link, or, without a count, nobody knows how many
   * because a link had ended.
   */
  missed({ name, incarnation }: Peer, count: number | undefined): void {
    this.#missed += count ?? 1;
    const record = this.#open.get(name);
    if (count !== undefined) {
      if (record?.life !== incarnation) {
        throw new Error(`${count} messages of ${name} were missed, to which there is no link`);
      }
      record.missed += count;
    } else if (record !== undefined) {
      if (!this.#lostBefore.delete(name)) {
        throw new Error(`messages of ${name} were missed before its link, which had none before`);
      }
      // A link that was replaced by one to the same node is reported once.
      if (this.#lost.get(name) === incarnation) this.#lost.delete(name);
    } else if (this.#lost.get(name) === incarnation) {
      this.#lost.delete(name);
    } else {
      throw new Error(`messages of ${name} were missed, whose link has not ended`);
    }
  }

  /** What was done on each link so far, by the index of the node. */
  get marks(): (LinkMark | undefined)[] {
    return this.#names.map((name) => {
      const record = this.#open.get(name);
      return record && { link: record.link, queued: record.queued, dropped: record.dropped };
    });
  }

  /**
   * Counts a broadcast, which is reported as `report`.
   *
   * @param before the peers of the mesh before it.
   * @param after the same afterwards.
   */
  sent(report: PublishReport, before: readonly Peer[], after: readonly Peer[]): void {
    const number = this.#next++;
    let peers = 0;
    let dropped = 0;
    const mistakes: string[] = [];
    for (const [name, record] of this.#open) {
      const from = before.find((peer) => peer.name === name);
      const to = after.find((peer) => peer.name === name);
      const queued = (to?.messagesOut ?? 0) - (from?.messagesOut ?? 0);
      const lost = (to?.dropped ?? 0) - (from?.dropped ?? 0);
      record.queued += queued;
      record.dropped += lost;
      peers += queued;
      dropped += lost;
      const isWanted = queued + lost === 1;
      const isUnwanted = queued + lost === 0 && this.#isSelective(this.#names.indexOf(name));
      if (!isWanted && !isUnwanted) mistakes.push(`went ${queued + lost} times to ${name}`);
    }
    this.#reportedDrops += report.dropped;
    if (report.peers !== peers || report.dropped !== dropped) {
      mistakes.push(
        `is reported to be on its way to ${report.peers} nodes and dropped for ${report.dropped}, ` +
          `and links tell of ${peers} and ${dropped}`,
      );
    }
    if (mistakes.length > 0) throw new Error(`broadcast ${number} ${mistakes.join(" and ")}`);
  }

  /** Counts a message that has come. Gives the record if it is the first on its link. */
  heard(stamp: Stamp, at: number): LinkRecord | undefined {
    const { life, number } = stamp;
    const name = this.#names[stamp.node];
    const record = this.#open.get(name);
    const mark = stamp.marks[this.#self];
    const what = `message ${number} of ${name} (${life})`;
    if (record?.life !== life || mark === undefined) {
      throw new Error(`hears ${what}, to which there is no link`);
    }
    const isFirst = record.peerLink === undefined;
    const { peerLink = mark.link, heard, missed } = record;
    // One mistake is one fault: from here on, the book agrees with the sender's.
    Object.assign(record, { peerLink: mark.link, heard: mark.queued + 1, missed: mark.dropped });
    if (peerLink !== mark.link) throw new Error(`hears ${what}, which was sent on another link`);
    if (heard !== mark.queued) {
      throw new Error(
        `hears ${what} after ${heard} others, and ${mark.queued} were sent before it`,
      );
    }
    if (missed !== mark.dropped) {
      throw new Error(
        `hears ${what} after ${mark.dropped} were dropped, and missed tells of ${missed}`,
      );
    }
    if (!isFirst) return undefined;
    record.heardAt = at;
    return record;
  }
}
