import { encodeFrame, FRAME_HEADER_BYTES, writeFrame } from "../codec/mod.ts";

/** What one write carries at most, unless a single message is longer. */
const SEGMENT_BYTES = 256 * 1024;

/** Frames that may overtake; a peer that pings on without reading its pongs gets no more. */
const MAX_URGENT_FRAMES = 64;

/** A run of whole frames, written in one go. */
interface Segment {
  readonly bytes: Uint8Array;
  end: number;
}

/**
 * What waits to be written to one peer: frames, copied one behind the other into segments that are
 * used again. It takes no part in the writing: who does takes one segment after the other.
 *
 * Bound: `maxBytes` of frames, or one frame of any size (so that no message is too large for an
 * empty outbox), and 64 urgent ones, which are short.
 */
export class Outbox {
  readonly #maxBytes: number;
  readonly #urgent: Uint8Array[] = [];
  readonly #segments: Segment[] = [];
  /** The segment that is being written. */
  #taken: Segment | undefined;
  /** A written segment, kept so that two take turns while the link keeps up. */
  #spare: Segment | undefined;
  #queuedBytes = 0;

  /** Makes an empty outbox. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of frames that wait or are being written; urgent ones are not counted. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** True if urgent frames wait. */
  get hasUrgent(): boolean {
    return this.#urgent.length > 0;
  }

  /** Copies a payload to the end of what waits. False: it does not fit, and nothing was queued. */
  push(payload: Uint8Array): boolean {
    const size = FRAME_HEADER_BYTES + payload.length;
    if (this.#queuedBytes > 0 && this.#queuedBytes + size > this.#maxBytes) return false;
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.end + size > segment.bytes.length) {
      segment = this.#newSegment(size);
      this.#segments.push(segment);
    }
    segment.end = writeFrame(payload, segment.bytes, segment.end);
    this.#queuedBytes += size;
    return true;
  }

  /** Queues a payload that overtakes all others. False: too many of these wait already. */
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

  /** Says that what was taken last has been written, and its memory can be used again. */
  written(): void {
    const segment = this.#taken;
    if (segment === undefined) return;
    this.#taken = undefined;
    this.#queuedBytes -= segment.end;
    if (segment.bytes.length === SEGMENT_BYTES) this.#spare = segment;
  }

  #newSegment(size: number): Segment {
    const spare = this.#spare;
    if (spare === undefined || size > SEGMENT_BYTES) {
      return { bytes: new Uint8Array(Math.max(size, SEGMENT_BYTES)), end: 0 };
    }
    this.#spare = undefined;
    spare.end = 0;
    return spare;
  }
}
