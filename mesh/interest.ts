/**
 * Decides which broadcasts go where, from what this node and its peers tell each other about their
 * rooms (`docs/wire.md`, ROOM_INTEREST). The decisions are in `own_rooms.ts`, `announcements.ts`
 * and `wanted_rooms.ts`. This file adds the timers and the links.
 */

import type { Timers } from "../backplane/clock.ts";
import {
  decodeRoomInterest,
  FEATURE_ROOM_INTEREST,
  FrameError,
  RoomNames,
  targetRooms,
} from "../codec/mod.ts";
import { Announcements } from "./announcements.ts";
import { isObserver, type NodeIdentity } from "./handshake.ts";
import type { Link } from "./link.ts";
import { OwnRooms } from "./own_rooms.ts";
import { RoomChanges } from "./room_changes.ts";
import { WantedRooms } from "./wanted_rooms.ts";

/**
 * While rooms come and go all the time, changes are gathered for this long, in milliseconds. After
 * a pause of this length, changes are announced at the end of the turn.
 */
const GATHER_MS = 5;

const NO_ROOMS: readonly string[] = [];

/** See the head of the file. */
export class Interest {
  /** Undefined if this node wants everything. */
  readonly #own: OwnRooms | undefined;
  readonly #wanted = new WantedRooms<Link>();
  readonly #names = new RoomNames();
  readonly #timers: Timers;
  /** Links that are up. */
  readonly #links = new Set<Link>();
  #changes = new RoomChanges();
  #isScheduled = false;
  /** Runs for as long as changes are gathered. */
  #timer: unknown;
  #stopped = false;

  /** Begins without rooms. `interest` is the option of the mesh. */
  constructor(interest: "cluster" | "room", timers: Timers) {
    this.#own = interest === "room" ? new OwnRooms() : undefined;
    this.#timers = timers;
  }

  /** Stops announcing. */
  stop(): void {
    this.#stopped = true;
    this.#timers.clearTimeout(this.#timer);
  }

  /** This node wants a room. */
  openRoom(room: string): void {
    if (this.#own?.open(room)) this.#note(room, true);
  }

  /** This node does not want a room any more. */
  closeRoom(room: string): void {
    if (this.#own?.close(room)) this.#note(room, false);
  }

  /** Queues the changes for all links, before anything else is queued. */
  flush(): void {
    this.#isScheduled = false;
    if (this.#changes.size === 0 || this.#stopped) return;
    const changes = this.#changes;
    this.#changes = new RoomChanges();
    for (const link of this.#links) link.announce(changes);
    this.#timer ??= this.#timers.setTimeout(() => {
      this.#timer = undefined;
      this.flush();
    }, GATHER_MS);
  }

  /** What a new link has to announce to a peer. It begins with all rooms. */
  announcementsFor(peer: NodeIdentity): Announcements | undefined {
    if (this.#own === undefined || !(peer.features & FEATURE_ROOM_INTEREST)) return undefined;
    // The changes gathered so far are already included in the open rooms.
    this.flush();
    return new Announcements(this.#own);
  }

  /** A link is up. */
  linked(link: Link): void {
    this.#links.add(link);
    this.#wanted.add(link);
    // An observer wants nothing until it has announced a room.
    if (isObserver(link.peer)) this.#wanted.apply(link, { op: "only", rooms: [] });
  }

  /** A link has ended. */
  unlinked(link: Link): void {
    this.#links.delete(link);
    this.#wanted.remove(link);
  }

  /**
   * Takes an announcement of a peer. If it is malformed, the peer is sent everything.
   *
   * @throws {FrameError} what is wrong with it.
   */
  receive(link: Link, bytes: Uint8Array): void {
    try {
      this.#wanted.apply(link, decodeRoomInterest(bytes));
    } catch (error) {
      this.#wanted.doubt(link);
      throw error;
    }
  }

  /** The links to the peers that want a message. */
  receivers(message: Uint8Array): readonly Link[] {
    if (!this.#wanted.isSelective) return this.#wanted.everything;
    return this.#wanted.wanting(this.#roomsOf(message));
  }

  #roomsOf(message: Uint8Array): readonly string[] {
    try {
      return targetRooms(message, this.#names);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      // No announcement can name such a room.
      return NO_ROOMS;
    }
  }

  #note(room: string, isOpen: boolean): void {
    this.#changes.note(room, isOpen);
    if (this.#stopped || this.#isScheduled || this.#timer !== undefined) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      if (this.#isScheduled && !this.#stopped) this.flush();
    });
  }
}
