import { encodeFrame, FRAME_HEADER_BYTES, writeFrame } from "../codec/mod.ts";

/** Most bytes of one write, unless a single message is longer. */
const SEGMENT_BYTES = 256 * 1024;

/** A frame of this size is not copied: it is written by itself. */
const LARGE_FRAME_BYTES = 16 * 1024;

/**
 * Most urgent frames that wait. A peer that keeps pinging without reading its pongs gets no more.
 */
const MAX_URGENT_FRAMES = 64;

/** A run of whole frames that is written at once. */
interface Segment {
  readonly bytes: Uint8Array;
  end: number;
  /** Bytes in it that count towards the limit. */
  bounded: number;
  /** False for a single frame, whose memory belongs to somebody else. */
  readonly isReusable: boolean;
}

/**
 * What waits to be written to one peer: frames, which are copied one after the other into reusable
 * segments. It does not write; the link takes its segments one at a time.
 *
 * Limits: `maxBytes` of frames, or one frame of any size (so that no message is too large for an
 * empty outbox), and 64 urgent frames, which are short. The caller limits what it adds by
 * {@linkcode Outbox.pushFrame}. The memory of written segments is kept while others wait, so
 * there is never more of it than the longest queue has taken.
 */
export class Outbox {
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  readonly #urgent: Uint8Array[] = [];
  readonly #segments: Segment[] = [];
  /** The segment that is being written. */
  #taken: Segment | undefined;
  /** Written segments, used again. All but one are given up when nothing waits any more. */
  readonly #spares: Segment[] = [];
  #queuedBytes = 0;
  #unboundedBytes = 0;

  /** Makes an empty outbox, whose writes carry up to `segmentBytes`. */
  constructor(maxBytes: number, segmentBytes: number = SEGMENT_BYTES) {
    this.#maxBytes = maxBytes;
    this.#segmentBytes = segmentBytes;
  }

  /** Bytes that wait or are being written and count towards the limit. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Bytes of {@linkcode Outbox.pushFrame} that wait or are being written. */
  get unboundedBytes(): number {
    return this.#unboundedBytes;
  }

  /** True if there is space for a payload. */
  fits({ length }: Uint8Array): boolean {
    const bytes = this.#queuedBytes + FRAME_HEADER_BYTES + length;
    return this.#queuedBytes === 0 || bytes <= this.#maxBytes;
  }

  /** True if urgent frames wait. */
  get hasUrgent(): boolean {
    return this.#urgent.length > 0;
  }

  /**
   * Copies a payload to the end of what waits. Returns false if it does not fit; then nothing is
   * queued.
   */
  push(payload: Uint8Array): boolean {
    if (!this.fits(payload)) return false;
    const size = FRAME_HEADER_BYTES + payload.length;
    const segment = this.#segmentFor(size);
    segment.end = writeFrame(payload, segment.bytes, segment.end);
    segment.bounded += size;
    this.#queuedBytes += size;
    return true;
  }

  /**
   * Adds a frame to the end of what waits, whatever the limit. A large frame must not change
   * afterwards.
   */
  pushFrame(frame: Uint8Array): void {
    this.#unboundedBytes += frame.length;
    if (frame.length >= LARGE_FRAME_BYTES) {
      this.#segments.push({ bytes: frame, end: frame.length, bounded: 0, isReusable: false });
      return;
    }
    const segment = this.#segmentFor(frame.length);
    segment.bytes.set(frame, segment.end);
    segment.end += frame.length;
  }

  /**
   * Queues a payload that overtakes all others. Returns false if too many of these wait already.
   */
  pushUrgent(payload: Uint8Array): boolean {
    if (this.#urgent.length >= MAX_URGENT_FRAMES) return false;
    this.#urgent.push(encodeFrame(payload));
    return true;
  }

  /** The next bytes to write, whole frames; undefined if nothing waits. */
  take(): Uint8Array | undefined {
    const frame = this.#urgent.shift();
    if (frame !== undefined) return frame;
    this.#taken = this.#segments.shift();
    return this.#taken?.bytes.subarray(0, this.#taken.end);
  }

  /** Notes that what was taken last has been written, so its memory can be used again. */
  written(): void {
    const segment = this.#taken;
    if (segment === undefined) return;
    this.#taken = undefined;
    this.#queuedBytes -= segment.bounded;
    this.#unboundedBytes -= segment.end - segment.bounded;
    if (segment.isReusable) this.#spares.push(segment);
    if (this.#segments.length === 0) this.#spares.length = Math.min(this.#spares.length, 1);
  }

  #segmentFor(size: number): Segment {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.end + size <= last.bytes.length) return last;
    const segment = this.#newSegment(size);
    this.#segments.push(segment);
    return segment;
  }

  #newSegment(size: number): Segment {
    const isReusable = size <= this.#segmentBytes;
    const spare = isReusable ? this.#spares.pop() : undefined;
    if (spare === undefined) {
      const bytes = new Uint8Array(Math.max(size, this.#segmentBytes));
      return { bytes, end: 0, bounded: 0, isReusable };
    }
    spare.end = 0;
    spare.bounded = 0;
    return spare;
  }
}
