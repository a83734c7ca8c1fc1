import {
  encodeFrame,
  encodeRoomInterest,
  encodeRoomInterests,
  MAX_ROOM_INTEREST_BYTES,
} from "../codec/mod.ts";
import type { OwnRooms } from "./own_rooms.ts";
import { RoomChanges } from "./room_changes.ts";

const EVERYTHING: Uint8Array = encodeFrame(encodeRoomInterest({ op: "everything", rooms: [] }));
const NO_CHANGES = new RoomChanges();

/**
 * What one peer has yet to be told about this node's rooms: the difference from what has been
 * queued for it. It never takes more memory than the names of the open rooms, or one message.
 * Instead of a larger difference, the peer is told everything again.
 */
export class Announcements {
  readonly #own: OwnRooms;
  /** The peer's flag, once it has read all that is queued. */
  #toldEverything = true;
  /** The difference has become too large, so the peer is told everything again. */
  #fromScratch = false;
  #changes: RoomChanges = NO_CHANGES;
  /** Other links use these changes too, so they are copied before they are modified. */
  #isShared = true;

  /** Begins in the state of a new link, in which the peer sends everything. */
  constructor(own: OwnRooms) {
    this.#own = own;
  }

  /** True if there is something to tell the peer. */
  get isWaiting(): boolean {
    if (this.#own.wantsEverything) return !this.#toldEverything;
    return this.#toldEverything || this.#fromScratch || this.#changes.size > 0;
  }

  /**
   * True if a broadcast must not overtake what waits. Otherwise the peer would not send all the
   * answers.
   */
  get isUrgent(): boolean {
    return !this.#toldEverything && this.isWaiting;
  }

  /** Notes what has changed. The caller must not modify `changes` afterwards. */
  note(changes: RoomChanges): void {
    if (this.#toldEverything || this.#fromScratch) return;
    if (this.#own.wantsEverything) return this.#startOver();
    if (this.#changes.size === 0) {
      this.#set(changes, true);
    } else {
      if (this.#isShared) this.#set(new RoomChanges(this.#changes), false);
      for (const [room, isOpen] of changes) this.#changes.note(room, isOpen);
    }
    if (this.#changes.bytes > Math.max(this.#own.bytes, MAX_ROOM_INTEREST_BYTES)) this.#startOver();
  }

  /** Returns the frames that tell the peer. Nothing waits afterwards. */
  take(): readonly Uint8Array[] {
    const frames = this.#encode();
    this.#toldEverything = this.#own.wantsEverything;
    this.#fromScratch = false;
    this.#set(NO_CHANGES, true);
    return frames;
  }

  #encode(): readonly Uint8Array[] {
    if (!this.isWaiting) return [];
    if (this.#own.wantsEverything) return [EVERYTHING];
    if (this.#toldEverything) return this.#encodeAll();
    return this.#fromScratch ? [EVERYTHING, ...this.#encodeAll()] : this.#changes.frames;
  }

  #encodeAll(): Uint8Array[] {
    return Array.from(encodeRoomInterests("only", this.#own), encodeFrame);
  }

  #startOver(): void {
    this.#fromScratch = true;
    this.#set(NO_CHANGES, true);
  }

  #set(changes: RoomChanges, isShared: boolean): void {
    this.#changes = changes;
    this.#isShared = isShared;
  }
}
