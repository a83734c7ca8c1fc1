import {
  encodeFrame,
  encodeMissed,
  encodePing,
  FEATURE_MISSED,
  FEATURE_ROOM_CLOSE,
  FEATURE_ROOM_MESSAGE,
  FrameError,
  ROOM_CLOSE,
  ROOM_MESSAGE,
  targetRooms,
} from "../codec/mod.ts";
import { Overflow } from "../backplane/overflow.ts";
import type { Announcements } from "./announcements.ts";
import { MissedCount } from "./missed.ts";
import { Outbox } from "./outbox.ts";
import type { RoomChanges } from "./room_changes.ts";
import { MAX_INTEREST_BYTES } from "./wanted_rooms.ts";

/** Most bytes of announcements that are queued early. Above that, they are gathered. */
const MAX_EAGER_BYTES = 64 * 1024;

/** What became of a broadcast: queued, lost for this peer, or not wanted by it. */
export type Outcome = "queued" | "dropped" | "unwanted";

/** What a send queue is made from. */
export interface SendQueueOptions {
  /** The feature bits of the peer. */
  readonly features: number;
  readonly maxQueuedBytes: number;
  /** What to tell the peer about this node's rooms; undefined if nothing. */
  readonly announcements: Announcements | undefined;
  /** Most bytes of one write, if not the default. */
  readonly segmentBytes?: number;
  /** A broadcast did not fit. Called for the first of each episode. */
  readonly onOverflow: () => void;
  /** The peer does not know a message. Called for the first on this link. */
  readonly onUnsupported: (tag: number) => void;
}

/**
 * Everything that waits to be sent on one link, in order (`docs/wire.md`):
 *
 * - Broadcasts keep their order. A broadcast that does not fit is lost and counted.
 * - Announcements are queued before the broadcasts that follow them, and never lost.
 * - MISSED is queued before the next broadcast, or as soon as something has been written.
 */
export class SendQueue {
  readonly #features: number;
  readonly #outbox: Outbox;
  readonly #overflow: Overflow;
  readonly #missed = new MissedCount();
  readonly #announcements: Announcements | undefined;
  readonly #onUnsupported: (tag: number) => void;
  #isUnsupportedReported = false;
  /** Tokens of pings that must follow what is announced. */
  readonly #fences: Uint8Array[] = [];
  #dropped = 0;

  /** Begins with what must be announced to the peer first. */
  constructor(options: SendQueueOptions) {
    this.#features = options.features;
    this.#outbox = new Outbox(options.maxQueuedBytes, options.segmentBytes);
    this.#overflow = new Overflow(options.maxQueuedBytes, options.onOverflow);
    this.#announcements = options.announcements;
    this.#onUnsupported = options.onUnsupported;
    this.#queueAnnouncements();
  }

  /** Bytes that wait or are being written, see {@linkcode Outbox.queuedBytes}. */
  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  /** Broadcasts that were lost for the peer. */
  get dropped(): number {
    return this.#dropped;
  }

  /** True if urgent frames wait. */
  get hasUrgent(): boolean {
    return this.#outbox.hasUrgent;
  }

  /** Queues a ROOM_BROADCAST, ROOM_MESSAGE or ROOM_CLOSE that the peer wants. */
  publish(message: Uint8Array): Outcome {
    if (!this.#isKnown(message[0])) return this.#refuse(message);
    if (!this.#outbox.fits(message) || !this.#catchUp()) return this.#lose(message);
    if (this.#missed.count > 0) this.#queueMissed();
    this.#outbox.push(message);
    return "queued";
  }

  /** Queues a payload that overtakes all others. */
  pushUrgent(payload: Uint8Array): void {
    this.#outbox.pushUrgent(payload);
  }

  /**
   * Notes that this node has opened and closed rooms. The caller must not modify `changes`
   * afterwards.
   */
  announce(changes: RoomChanges): void {
    this.#announcements?.note(changes);
  }

  /** Queues a ping after everything that there is to announce now. */
  pushFence(token: Uint8Array): void {
    this.#fences.push(token);
  }

  /** The next bytes to write, whole frames; undefined if nothing waits. */
  take(): Uint8Array | undefined {
    if (this.#outbox.unboundedBytes <= MAX_EAGER_BYTES) this.#queueAnnouncements();
    if (!this.#announcements?.isWaiting) {
      for (const token of this.#fences) this.#outbox.pushFrame(encodeFrame(encodePing(token)));
      this.#fences.length = 0;
    }
    if (this.#missed.count > 0) this.#queueMissed();
    return this.#outbox.take();
  }

  /** Notes that what was taken last has been written. */
  written(): void {
    this.#outbox.written();
    this.#overflow.drained(this.#outbox.queuedBytes);
  }

  /** True if the peer knows messages with this tag. */
  #isKnown(tag: number): boolean {
    if (tag === ROOM_MESSAGE) return (this.#features & FEATURE_ROOM_MESSAGE) !== 0;
    if (tag === ROOM_CLOSE) return (this.#features & FEATURE_ROOM_CLOSE) !== 0;
    return true;
  }

  /** Queues what a broadcast must not overtake. Returns false if too much of it waits already. */
  #catchUp(): boolean {
    if (!this.#announcements?.isUrgent) return true;
    if (this.#outbox.unboundedBytes > MAX_INTEREST_BYTES) return false;
    this.#queueAnnouncements();
    return true;
  }

  #queueAnnouncements(): void {
    if (!this.#announcements?.isWaiting) return;
    for (const frame of this.#announcements.take()) this.#outbox.pushFrame(frame);
  }

  #queueMissed(): void {
    this.#outbox.pushFrame(encodeFrame(encodeMissed(this.#missed.take())));
  }

  #refuse(message: Uint8Array): Outcome {
    // A peer without ROOM_MESSAGE has no presence, so it does not miss these messages.
    if (isReserved(message)) return "unwanted";
    if (!this.#isUnsupportedReported) {
      this.#isUnsupportedReported = true;
      const [tag] = message;
      // In a microtask, so that a listener cannot publish in the middle of a publish.
      queueMicrotask(() => this.#onUnsupported(tag));
    }
    return this.#count();
  }

  #lose(message: Uint8Array): Outcome {
    // Presence finds gaps in its messages by itself.
    if (isReserved(message)) return "unwanted";
    this.#overflow.dropped();
    return this.#count();
  }

  #count(): Outcome {
    this.#dropped++;
    if (this.#features & FEATURE_MISSED) this.#missed.add();
    return "dropped";
  }
}

/** True for messages in the rooms that applications cannot use: their names begin with U+0000. */
function isReserved(message: Uint8Array): boolean {
  try {
    return targetRooms(message)[0].startsWith("\0");
  } catch (error) {
    if (error instanceof FrameError) return false;
    throw error;
  }
}
