/**
 * Who has sent what to whom, and what has arrived: the model that a cluster is held against.
 *
 * Every life of a node (from its start to its end) numbers its broadcasts. Each link of it keeps the
 * numbers that were queued for it; they must arrive in this order, without a gap, until the link ends.
 */

import { FEATURE_MISSED, FEATURE_ROOM_INTEREST } from "../../codec/mod.ts";

/** What a node asks for and understands. */
export interface NodeKind {
  readonly interest: "cluster" | "room";
  readonly features: number;
}

/** Something that must hold does not. */
export class Violation extends Error {
  override name = "Violation";
}

/** One end of a link, as its node's events tell of it. */
export class LinkRecord {
  readonly peer: string;
  readonly incarnation: string;
  /** Numbers of the broadcasts queued for it, in order, and the place of each. */
  readonly accepted: number[] = [];
  readonly #places = new Map<number, number>();
  /** How many were dropped before each that was queued. */
  readonly #droppedBefore: number[] = [];
  /** Both ends know MISSED. */
  readonly tellsMissed: boolean;
  arrived = 0;
  dropped = 0;
  /** Of these: how many the peer does not understand. */
  unsupported = 0;
  /** How many the peer has said that this end has missed. */
  reported = 0;
  overflows = 0;
  isUnsupportedReported = false;
  isDown = false;

  constructor(peer: string, incarnation: string, tellsMissed: boolean) {
    this.peer = peer;
    this.incarnation = incarnation;
    this.tellsMissed = tellsMissed;
  }

  accept(number: number): void {
    this.#places.set(number, this.accepted.length);
    this.accepted.push(number);
    this.#droppedBefore.push(this.dropped);
  }

  /** How many had been dropped when the message at a place was queued. */
  droppedBefore(place: number): number {
    return this.#droppedBefore[place];
  }

  placeOf(number: number): number | undefined {
    return this.#places.get(number);
  }

  get missing(): number {
    return this.accepted.length - this.arrived;
  }
}

/** What a life of a node has sent and heard. */
export class Life {
  readonly node: string;
  readonly key: string;
  incarnation = "";
  /** Links that are up, by the peer's name. */
  readonly links = new Map<string, LinkRecord>();
  readonly allLinks: LinkRecord[] = [];
  /** The last number heard from each other life. */
  readonly heard = new Map<string, number>();
  nextNumber = 0;
  readonly kind: NodeKind;
  /** The rooms that are open, and the number of the next broadcast when each was opened. */
  readonly openRooms = new Map<string, number>();
  /** When they last changed. */
  roomsChangedAt = 0;

  constructor(node: string, key: string, kind: NodeKind) {
    this.node = node;
    this.key = key;
    this.kind = kind;
  }

  /** True if a node that has heard `heard` of this life's broadcasts must send it those for a room. */
  mustGet(room: string, peer: NodeKind, heard: number): boolean {
    if (!this.announcesTo(peer)) return true;
    return (this.openRooms.get(room) ?? Infinity) <= heard;
  }

  /** True if this life tells a peer which rooms it wants. */
  announcesTo(peer: NodeKind): boolean {
    const features = this.kind.features & peer.features;
    return this.kind.interest === "room" && (features & FEATURE_ROOM_INTEREST) !== 0;
  }
}

/** All lives. */
export class Ledger {
  readonly #lives = new Map<string, Life>();
  messages = 0;
  deliveries = 0;

  begin(node: string, kind: NodeKind): Life {
    const life = new Life(node, `life${this.#lives.size}`, kind);
    this.#lives.set(life.key, life);
    return life;
  }

  linkUp(life: Life, peer: { name: string; incarnation: string }): void {
    if (life.links.has(peer.name)) {
      throw new Violation(`${life.node} reports ${peer.name} up, which was up`);
    }
    const other = this.lifeOf(peer.incarnation);
    const features = life.kind.features & (other?.kind.features ?? 0);
    const link = new LinkRecord(peer.name, peer.incarnation, (features & FEATURE_MISSED) !== 0);
    life.links.set(peer.name, link);
    life.allLinks.push(link);
  }

  linkDown(life: Life, peer: { name: string; incarnation: string }): void {
    const link = life.links.get(peer.name);
    if (link === undefined || link.incarnation !== peer.incarnation) {
      throw new Violation(`${life.node} reports ${peer.name} down, which was not up`);
    }
    link.isDown = true;
    life.links.delete(peer.name);
  }

  /** A peer tells a life that it has missed messages. */
  miss(receiver: Life, peer: { name: string }, count: number): void {
    const link = receiver.links.get(peer.name);
    if (link === undefined) throw new Violation(`${receiver.node} missed some on no link`);
    link.reported += count;
  }

  /** The life that has an incarnation. */
  lifeOf(incarnation: string): Life | undefined {
    return this.#lives.values().find((life) => life.incarnation === incarnation);
  }

  /** A life hears number `number` of the life called `sender`. */
  hear(receiver: Life, sender: string, number: number): void {
    this.deliveries++;
    const from = this.#lives.get(sender);
    const what = `message ${number} of ${from?.node} (${sender})`;
    if (from === undefined) throw new Violation(`${receiver.node} hears what nobody has sent`);
    if (from === receiver) throw new Violation(`${receiver.node} hears its own ${what}`);
    const last = receiver.heard.get(sender) ?? -1;
    if (number === last) throw new Violation(`${receiver.node} hears ${what} twice`);
    if (number < last) {
      throw new Violation(`${receiver.node} hears ${what} after ${last}: twice, or out of order`);
    }
    receiver.heard.set(sender, number);
    for (const link of from.allLinks.toReversed()) {
      if (link.peer !== receiver.node || link.incarnation !== receiver.incarnation) continue;
      const place = link.placeOf(number);
      if (place === undefined) continue;
      if (place !== link.arrived) {
        const first = link.accepted[link.arrived];
        throw new Violation(
          `${receiver.node} hears ${what}, but ${
            place - link.arrived
          } before it, from ${first} on, ` +
            `are missing on the same link and nobody has said so`,
        );
      }
      link.arrived++;
      const reported = receiver.links.get(from.node)?.reported ?? 0;
      const dropped = link.droppedBefore(place);
      if (!link.tellsMissed || reported >= dropped) return;
      throw new Violation(
        `${receiver.node} hears ${what} after ${dropped} were dropped, ${reported} are reported`,
      );
    }
    throw new Violation(`${receiver.node} hears ${what}, which was not sent to it`);
  }
}
