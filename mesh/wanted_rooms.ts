/**
 * What peers want, as they have announced it (`docs/wire.md`, ROOM_INTEREST): for each peer a flag
 * *everything*, set at first, and a set of rooms. It is a pure state machine with an index by room,
 * so that a broadcast costs as much as its receivers, not as all peers.
 */

import { FrameError, type RoomInterest } from "../codec/mod.ts";
import { nameBytes } from "./name_bytes.ts";

/** Most rooms that a node announces, and that a receiver keeps for a peer. */
export const MAX_INTEREST_ROOMS = 100_000;

/** Most bytes of names that a node announces, and that a receiver keeps for a peer. */
export const MAX_INTEREST_BYTES: number = 8 * 1024 * 1024;

interface Wish<Peer> {
  everything: boolean;
  readonly rooms: Set<string>;
  bytes: number;
  /**
   * Names are missing from a list of the peer, so its rooms are unknown until it starts again with
   * op 0. The op 1 that ends the list must not clear the flag.
   */
  isIncomplete: boolean;
  /** A list with only this peer. All rooms that nobody else wants share it. */
  readonly alone: readonly Peer[];
}

/** See the head of the file. */
export class WantedRooms<Peer> {
  readonly #wishes = new Map<Peer, Wish<Peer>>();
  /** The peers that want each room, by its name. */
  readonly #byRoom = new Map<string, readonly Peer[]>();
  /** Peers with the flag set, rebuilt when they change. */
  #everything: readonly Peer[] = [];

  /** True if there are peers that do not want everything. */
  get isSelective(): boolean {
    return this.#everything.length < this.#wishes.size;
  }

  /** All peers that want everything. */
  get everything(): readonly Peer[] {
    return this.#everything;
  }

  /** Adds a peer, which wants everything until it says otherwise. */
  add(peer: Peer): void {
    this.#wishes.set(peer, {
      everything: true,
      rooms: new Set(),
      bytes: 0,
      isIncomplete: false,
      alone: [peer],
    });
    this.#everything = [...this.#everything, peer];
  }

  /** Removes a peer with everything that it wanted. */
  remove(peer: Peer): void {
    const wish = this.#wishes.get(peer);
    if (wish === undefined) return;
    this.#removeAll(peer, wish);
    this.#wishes.delete(peer);
    this.#everything = this.#everything.filter((other) => other !== peer);
  }

  /**
   * Takes an announcement.
   *
   * @throws {FrameError} `frame-too-long` if it exceeds the limits. Then the peer is sent
   * everything.
   */
  apply(peer: Peer, { op, rooms }: RoomInterest): void {
    const wish = this.#wishes.get(peer);
    if (wish === undefined) return;
    if (op === "everything") {
      wish.isIncomplete = false;
      this.#removeAll(peer, wish);
      this.#setEverything(peer, wish, true);
    }
    if (wish.isIncomplete) return;
    if (op === "remove") {
      for (const room of rooms) this.#removeOne(peer, wish, room);
      return;
    }
    for (const room of rooms) this.#addOne(peer, wish, room);
    if (op === "only") this.#setEverything(peer, wish, false);
  }

  /**
   * An announcement of a peer could not be read. It is sent everything until its next list is
   * complete. In the middle of a list, names may be missing from that one.
   */
  doubt(peer: Peer): void {
    const wish = this.#wishes.get(peer);
    if (wish === undefined) return;
    if (wish.everything) this.#giveUp(peer, wish);
    else this.#setEverything(peer, wish, true);
  }

  /** The peers that want one of the rooms, each once. */
  wanting(rooms: readonly string[]): readonly Peer[] {
    const chosen = rooms.length === 1 ? this.#byRoom.get(rooms[0]) : this.#wantingAny(rooms);
    if (chosen === undefined || chosen.length === 0) return this.#everything;
    if (this.#everything.length === 0) return chosen;
    // A peer that is in the middle of a list has rooms and still wants everything.
    const others = chosen.filter((peer) => !this.#wishes.get(peer)?.everything);
    return [...this.#everything, ...others];
  }

  #wantingAny(rooms: readonly string[]): readonly Peer[] {
    return [...new Set(rooms.flatMap((room) => this.#byRoom.get(room) ?? []))];
  }

  #addOne(peer: Peer, wish: Wish<Peer>, room: string): void {
    if (wish.rooms.has(room)) return;
    const bytes = wish.bytes + nameBytes(room);
    if (wish.rooms.size >= MAX_INTEREST_ROOMS || bytes > MAX_INTEREST_BYTES) {
      this.#giveUp(peer, wish);
      throw new FrameError(
        "frame-too-long",
        0,
        `a node wants more than ${MAX_INTEREST_ROOMS} rooms or ${MAX_INTEREST_BYTES} bytes of names`,
      );
    }
    wish.rooms.add(room);
    wish.bytes = bytes;
    const others = this.#byRoom.get(room);
    this.#byRoom.set(room, others === undefined ? wish.alone : [...others, peer]);
  }

  #removeOne(peer: Peer, wish: Wish<Peer>, room: string): void {
    if (!wish.rooms.delete(room)) return;
    wish.bytes -= nameBytes(room);
    const others = this.#byRoom.get(room)?.filter((other) => other !== peer) ?? [];
    const [other] = others;
    if (others.length === 0) this.#byRoom.delete(room);
    else if (others.length > 1) this.#byRoom.set(room, others);
    else this.#byRoom.set(room, this.#wishes.get(other)?.alone ?? others);
  }

  #giveUp(peer: Peer, wish: Wish<Peer>): void {
    wish.isIncomplete = true;
    this.#removeAll(peer, wish);
    this.#setEverything(peer, wish, true);
  }

  #removeAll(peer: Peer, wish: Wish<Peer>): void {
    for (const room of wish.rooms) this.#removeOne(peer, wish, room);
  }

  #setEverything(peer: Peer, wish: Wish<Peer>, everything: boolean): void {
    if (wish.everything === everything) return;
    wish.everything = everything;
    const others = this.#everything.filter((other) => other !== peer);
    this.#everything = everything ? [...others, peer] : others;
  }
}
