/**
 * What a socket collects during a turn of the event loop: a list of frames, joined into few pieces
 * when it is written.
 *
 * Sockets that are sent the same frames in the same order hold the same list. A list is identified
 * by its last frame, which links to the one before. If a socket adds the frame that another socket
 * last added to the same list, both get the same longer list. So the members of a room share one
 * list, however long it is, and join it once.
 */

import { Buffer } from "node:buffer";

/**
 * Frames from this size on are written as they are; a write of several pieces costs less than copying
 * them. Measured on loopback with three frames for each of 100 sockets: a list of one socket costs less
 * unjoined from some KiB on; one that is joined for all of them costs less up to 64 KiB.
 */
const JOIN_BELOW_BYTES = 4 * 1024;
const JOIN_SHARED_BELOW_BYTES = 64 * 1024;

/** Rough size of the objects around a waiting frame, besides its bytes. */
const FRAME_OVERHEAD_BYTES = 256;

/** Bytes of its memory that a frame may leave unused before it is copied. */
const MAX_UNUSED_BYTES = 256;

/** A list of one frame or more. */
export class FrameList {
  /** Bytes of all frames. */
  readonly bytes: number;
  /** Memory that the frames take while they wait, roughly. */
  readonly memoryBytes: number;
  readonly #before: FrameList | undefined;
  readonly #frame: Buffer;
  /** The frame as it was given, to notice that another socket adds the same. */
  #given: Uint8Array | undefined;
  /** The list that the last `append` has made. */
  #next: FrameList | undefined;
  /** True if more than one socket has it. */
  #isShared = false;
  #pieces: readonly Buffer[] | undefined;

  /** Adds a frame to a list, or begins one. */
  constructor(before: FrameList | undefined, frame: Uint8Array) {
    this.#before = before;
    this.#given = frame;
    this.#frame = ownMemory(frame);
    this.bytes = (before?.bytes ?? 0) + frame.length;
    this.memoryBytes = (before?.memoryBytes ?? 0) + frame.length + FRAME_OVERHEAD_BYTES;
  }

  /** The list itself if this is its last frame. Then one more socket has it. */
  shareFor(frame: Uint8Array): FrameList | undefined {
    if (this.#given !== frame) return undefined;
    this.#isShared = true;
    return this;
  }

  /** The list with this frame added, if it was just made for another socket. */
  followedBy(frame: Uint8Array): FrameList | undefined {
    return this.#next?.shareFor(frame);
  }

  /** Makes the list with this frame added. */
  append(frame: Uint8Array): FrameList {
    return this.#next = new FrameList(this, frame);
  }

  /** All bytes in order. They are joined once for all sockets that share the list. */
  get pieces(): readonly Buffer[] {
    return this.#pieces ??= this.#before === undefined ? [this.#frame] : joinSmall(
      FrameList.#framesOf(this),
      this.#isShared ? JOIN_SHARED_BELOW_BYTES : JOIN_BELOW_BYTES,
    );
  }

  /**
   * Ends the sharing, at the end of a turn: a socket that keeps its list must not keep alive what
   * others have added since, nor the memory that a frame was copied from.
   */
  seal(): void {
    FrameList.#seal(this);
  }

  static #seal(last: FrameList): void {
    let list: FrameList | undefined = last;
    while (list !== undefined && (list.#given !== undefined || list.#next !== undefined)) {
      list.#given = list.#next = undefined;
      list = list.#before;
    }
  }

  static #framesOf(last: FrameList): Buffer[] {
    const frames: Buffer[] = [];
    for (let list: FrameList | undefined = last; list !== undefined; list = list.#before) {
      frames.push(list.#frame);
    }
    return frames.reverse();
  }
}

/** Joins neighbours that are smaller than `belowBytes`. */
function joinSmall(frames: readonly Buffer[], belowBytes: number): Buffer[] {
  const pieces: Buffer[] = [];
  let small: Buffer[] = [];
  const joinThem = () => {
    if (small.length > 0) pieces.push(small.length === 1 ? small[0] : join(small));
    small = [];
  };
  for (const frame of frames) {
    if (frame.length < belowBytes) {
      small.push(frame);
      continue;
    }
    joinThem();
    pieces.push(frame);
  }
  joinThem();
  return pieces;
}

function join(frames: readonly Buffer[]): Buffer {
  let bytes = 0;
  for (const frame of frames) bytes += frame.length;
  // Not from the pool of `Buffer.concat`, because a slow client would pin it.
  const joined = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const frame of frames) {
    joined.set(frame, at);
    at += frame.length;
  }
  return joined;
}

/** The frame, copied if it is a small part of a larger memory, which it would keep alive. */
function ownMemory(frame: Uint8Array): Buffer {
  const { buffer, byteOffset, byteLength } = frame;
  if (buffer.byteLength - byteLength <= MAX_UNUSED_BYTES + byteLength / 8) {
    return Buffer.from(buffer, byteOffset, byteLength);
  }
  const copy = Buffer.allocUnsafeSlow(byteLength);
  copy.set(frame);
  return copy;
}
