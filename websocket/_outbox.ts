/**
 * What a socket has to send. Frames are collected during a turn and written together; while the
 * system takes no more, they wait here, where they can be joined, and the client is not read.
 */

import { type Flushable, sharedFlush } from "./_flush.ts";
import type { FrameList } from "./_frame_list.ts";
import type { Limits } from "./_limits.ts";
import { watchDrain } from "./_stream_events.ts";
import type { UpgradeStream } from "./upgrade.ts";

/**
 * Collected bytes that are written before the turn ends. What the system takes then no longer counts
 * as unsent, so that a burst does not make a healthy client slow. They are written as soon as another
 * frame like the last one would exceed this, because the system sends at most 64 KiB in one piece.
 */
const WRITE_AT_BYTES = 64 * 1024;

/** The same for a turn that has already spent too long on writing. */
const MUST_WRITE_AT_BYTES = 2 * WRITE_AT_BYTES;

/** A longer frame is not expected to be followed by another one like it. */
const SHORT_FRAME_BYTES = 4 * 1024;

/** Who is told about an outbox. */
export interface OutboxOwner {
  /** The system has taken everything that waited. */
  drained(): void;
}

export class Outbox implements Flushable {
  readonly #stream: UpgradeStream;
  readonly #limits: Limits;
  readonly #owner: OutboxOwner;
  #list: FrameList | undefined;
  /** True while it waits for the shared flush. */
  #waits = false;
  /** True if the stream certainly has no bytes. At first it may have the answer to the handshake. */
  #isStreamEmpty = false;
  #blocked = false;
  /** True while it waits for the flush after the stream has drained. */
  #isDraining = false;
  #paused = false;
  /** True while the client is not read for another reason. */
  #held = false;
  /** True once this listens to "drain", which most sockets never need. */
  #watchesDrain = false;
  #ended = false;

  constructor(stream: UpgradeStream, limits: Limits, owner: OutboxOwner) {
    this.#stream = stream;
    this.#limits = limits;
    this.#owner = owner;
  }

  /** Bytes that have been added and not taken by the system. */
  get bufferedBytes(): number {
    return (this.#list?.bytes ?? 0) + this.#streamBytes();
  }

  /** Bytes that a flush would write. */
  get collectedBytes(): number {
    return this.#blocked ? 0 : this.#list?.bytes ?? 0;
  }

  /** True while the system takes nothing. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** True while the client is not read because too much is unsent. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Adds a frame. */
  add(frame: Uint8Array): void {
    if (!this.#ended) this.#collect(this.#follow(frame) ?? this.#append(frame), frame);
  }

  /**
   * Adds a frame that somebody else has encoded. The caller makes sure that sending has not ended.
   * `check` runs once for all sockets that share the frame.
   *
   * @throws {RangeError} see `check`.
   */
  addShared(frame: Uint8Array, check: (frame: Uint8Array) => void): void {
    const list = this.#follow(frame);
    if (list !== undefined) return this.#collect(list, frame);
    check(frame);
    this.#collect(this.#append(frame), frame);
  }

  /** Writes what has been collected, at once. */
  write(): void {
    const list = this.#list;
    if (list === undefined) return;
    this.#list = undefined;
    const stream = this.#stream;
    // The stream has bytes already, so it may keep these too. It must not keep a slab for each write.
    if (this.#streamBytes() > 0) list.keep();
    const { pieces } = list;
    if (pieces.length === 1) {
      stream.write(pieces[0]);
    } else {
      stream.cork();
      for (const piece of pieces) stream.write(piece);
      stream.uncork();
    }
    this.#isStreamEmpty = stream.writableLength === 0;
    // `write` says false for a long piece even if the system has taken it.
    this.#blocked = !this.#isStreamEmpty && stream.writableNeedDrain;
    if (!this.#blocked) return;
    if (!this.#watchesDrain) watchDrain(stream);
    this.#watchesDrain = true;
    if (!this.#paused && stream.writableLength > this.#limits.maxBufferedBytes) {
      this.#paused = true;
      if (!this.#held) stream.pause();
    }
  }

  /** Writes what has been collected, at the end of a turn. */
  flush(): void {
    this.#waits = false;
    if (this.#blocked) return this.#list?.keep();
    this.write();
    if (this.#isDraining) this.#drained();
  }

  /** Handles the stream's "drain". */
  streamDrained(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    // A thousand streams may drain in one turn, so all of them share its limit.
    if (this.#list === undefined || sharedFlush.writeEarly(this)) return this.#drained();
    this.#isDraining = true;
    this.#waitForFlush();
  }

  /** What waited has been written. The system may not have taken all of it. */
  #drained(): void {
    this.#isDraining = false;
    if (this.#blocked) return;
    if (this.#paused) {
      this.#paused = false;
      if (!this.#held) this.#stream.resume();
    }
    this.#owner.drained();
  }

  /** Stops reading, for another reason than unsent bytes. */
  holdReading(): void {
    this.#held = true;
    if (!this.#paused) this.#stream.pause();
  }

  /** Ends `holdReading`. */
  releaseReading(): void {
    this.#held = false;
    if (!this.#paused) this.#stream.resume();
  }

  /** Writes everything, then ends this side of the stream. What is added later is ignored. */
  end(): void {
    if (this.#ended) return;
    this.write();
    this.#ended = true;
    this.#stream.end();
    // The stream must read what the client still sends, or the last frames may never reach it.
    if (this.#paused || this.#held) this.#stream.resume();
  }

  /** Forgets everything. What is added later is ignored. */
  clear(): void {
    this.#ended = true;
    this.#isDraining = false;
    this.#list = undefined;
    // What the stream still has is lost, so it no longer counts.
    this.#isStreamEmpty = true;
  }

  /** Bytes that the stream has. Once it has none, it is not asked before the next write. */
  #streamBytes(): number {
    if (this.#isStreamEmpty) return 0;
    const { writableLength } = this.#stream;
    this.#isStreamEmpty = writableLength === 0;
    return writableLength;
  }

  #follow(frame: Uint8Array): FrameList | undefined {
    const list = this.#list;
    return list === undefined
      ? sharedFlush.begunWith(this.#limits.kind, frame)
      : list.followedBy(frame);
  }

  #append(frame: Uint8Array): FrameList {
    return sharedFlush.append(this.#list, this.#limits.kind, frame);
  }

  #collect(list: FrameList, frame: Uint8Array): void {
    this.#list = list;
    // The client may never read again. Then the frames are joined before the objects add up.
    const bytes = this.#blocked
      ? list.memoryBytes
      : list.bytes + Math.min(frame.length, SHORT_FRAME_BYTES);
    if (bytes > WRITE_AT_BYTES) {
      if (bytes > MUST_WRITE_AT_BYTES) return this.write();
      if (sharedFlush.writeEarly(this)) return;
    }
    this.#waitForFlush();
  }

  #waitForFlush(): void {
    if (this.#waits) return;
    this.#waits = true;
    sharedFlush.add(this);
  }
}
