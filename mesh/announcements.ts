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
 * What one peer has to be told of this node's rooms, as a difference to what has been queued for it.
 * It never takes more than the names of the open rooms, or than one message: instead of a larger
 * difference, the peer is told everything again.
 */
export class Announcements {
  readonly #own: OwnRooms;
  /** The peer's flag, once it has read all that is queued. */
  #toldEverything = true;
  /** What the peer has been told is not worth a difference any more. */
  #fromScratch = false;
  #changes: RoomChanges = NO_CHANGES;
  /** The changes belong to other links as well, so a copy is made before they are changed. */
  #isShared = true;

  /** Begins at the state of a new link: the peer sends everything. */
  constructor(own: OwnRooms) {
    this.#own = own;
  }

  /** True if the peer has something to be told. */
  get isWaiting(): boolean {
    if (this.#own.wantsEverything) return !this.#toldEverything;
    return this.#toldEverything || this.#fromScratch || this.#changes.size > 0;
  }

  /** True if a broadcast must not overtake what waits: the peer would not send all the answers. */
  get isUrgent(): boolean {
    return !this.#toldEverything && this.isWaiting;
  }

  /** Notes what has changed. The caller leaves `changes` as they are from now on. */
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

  /** The frames that tell the peer. Nothing waits afterwards. */
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
