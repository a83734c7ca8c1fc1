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

/**
 * A frame keeps all of its memory alive, and rooms encode theirs into slabs of 16 KiB. It is copied if
 * it leaves more than this unused. The first limit holds until the flush, when most frames leave; the
 * second from then on.
 */
const MAX_UNUSED_BYTES = 16 * 1024;
const MAX_UNUSED_LATER_BYTES = 256;

/** The memory of a frame that waits. All lists that have been given the frame share it. */
class FrameMemory {
  bytes: Uint8Array;

  constructor(frame: Uint8Array) {
    this.bytes = ownMemory(frame, MAX_UNUSED_BYTES);
  }

  /** Lets go of the slab that the frame is part of. */
  keep(): void {
    this.bytes = ownMemory(this.bytes, MAX_UNUSED_LATER_BYTES);
  }
}

/** A list of one frame or more. */
export class FrameList {
  /** Bytes of all frames. */
  readonly bytes: number;
  /** Memory that the frames take while they wait, roughly. */
  readonly memoryBytes: number;
  #before: FrameList | undefined;
  #memory: FrameMemory;
  /** The frame as it was given, to notice that another socket adds the same. */
  #given: Uint8Array | undefined;
  /** The list that the last `append` has made. */
  #next: FrameList | undefined;
  /** True if more than one socket has it. */
  #isShared = false;
  /** True if `keep` has been called. */
  #isKept = false;
  #pieces: readonly Buffer[] | undefined;

  /** Adds a frame to a list, or begins one. `latest`: a list that may have been given the same frame. */
  constructor(before: FrameList | undefined, frame: Uint8Array, latest?: FrameList) {
    this.#before = before;
    this.#given = frame;
    const isGiven = latest !== undefined && latest.#given === frame;
    this.#memory = isGiven ? latest.#memory : new FrameMemory(frame);
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

  /** Makes the list with this frame added. `latest`: see the constructor. */
  append(frame: Uint8Array, latest?: FrameList): FrameList {
    return this.#next = new FrameList(this, frame, latest);
  }

  /**
   * No other socket gets this list from now on. Otherwise a socket that keeps the list before it would
   * also keep this one alive, and all that was added to it.
   */
  endSharing(): void {
    this.#given = undefined;
    if (this.#before !== undefined) this.#before.#next = undefined;
  }

  /** All bytes in order. They are joined once for all sockets that share the list. */
  get pieces(): readonly Buffer[] {
    return this.#pieces ??= this.#before === undefined
      ? [bufferOf(this.#memory.bytes)]
      : this.#join();
  }

  #join(): readonly Buffer[] {
    const pieces = joinSmall(
      FrameList.#framesOf(this),
      this.#isShared ? JOIN_SHARED_BELOW_BYTES : JOIN_BELOW_BYTES,
    );
    if (this.#given === undefined && pieces.length === 1) {
      // Another socket may keep this list for long. It needs the bytes once: joined, not as frames.
      this.#before = undefined;
      this.#memory = new FrameMemory(pieces[0]);
    }
    return pieces;
  }

  /**
   * Copies the frames out of memory that the list does not count. To be called before the list waits
   * longer than for the flush.
   */
  keep(): void {
    FrameList.#keep(this);
  }

  static #keep(last: FrameList): void {
    let list: FrameList | undefined = last;
    while (list !== undefined && !list.#isKept) {
      list.#isKept = true;
      list.#memory.keep();
      list.#pieces = undefined;
      list = list.#before;
    }
  }

  static #framesOf(last: FrameList): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (let list: FrameList | undefined = last; list !== undefined; list = list.#before) {
      frames.push(list.#memory.bytes);
    }
    return frames.reverse();
  }
}

/** Joins neighbours that are smaller than `belowBytes`. */
function joinSmall(frames: readonly Uint8Array[], belowBytes: number): Buffer[] {
  const pieces: Uint8Array[] = [];
  for (let end = 0; end < frames.length;) {
    const start = end++;
    if (frames[start].length < belowBytes) {
      while (end < frames.length && frames[end].length < belowBytes) end++;
    }
    pieces.push(join(runsOf(frames.slice(start, end))));
  }
  // A stream may have to hold all of them. One may keep a slab alive, several must not keep one each.
  const maxUnused = pieces.length === 1 ? MAX_UNUSED_BYTES : MAX_UNUSED_LATER_BYTES;
  return pieces.map((piece) => bufferOf(ownMemory(piece, maxUnused)));
}

/** Frames that follow one another in memory are one run. Most frames of a room do. */
function runsOf(frames: readonly Uint8Array[]): Uint8Array[] {
  const runs: Uint8Array[] = [];
  for (let i = 0; i < frames.length;) {
    const { buffer, byteOffset } = frames[i];
    let end = byteOffset;
    while (frames[i]?.buffer === buffer && frames[i].byteOffset === end) end += frames[i++].length;
    runs.push(new Uint8Array(buffer, byteOffset, end - byteOffset));
  }
  return runs;
}

function join(runs: readonly Uint8Array[]): Uint8Array {
  if (runs.length === 1) return runs[0];
  let bytes = 0;
  for (const run of runs) bytes += run.length;
  // Not from the pool of `Buffer.concat`, because a slow client would pin it.
  const joined = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const run of runs) {
    joined.set(run, at);
    at += run.length;
  }
  return joined;
}

/** The same memory as a `Buffer`, which streams take as it is. */
function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** The frame, copied if it keeps alive more than `maxUnused` bytes of a larger memory. */
function ownMemory(frame: Uint8Array, maxUnused: number): Uint8Array {
  if (frame.buffer.byteLength - frame.length <= maxUnused + frame.length / 8) return frame;
  const copy = Buffer.allocUnsafeSlow(frame.length);
  copy.set(frame);
  return copy;
}
