/**
 * Frames on a stream (`docs/wire.md`): `u32` length, then that many bytes of payload, back to back. A
 * length of zero is legal and means nothing.
 */

import { FrameError } from "./frame_error.ts";

/** Bytes of a frame's length field. */
export const FRAME_HEADER_BYTES = 4;

/**
 * Default for the largest payload in a session: 16 MiB, which is the fixed limit of the Mesh
 * runtime.
 */
export const SESSION_MAX_FRAME_BYTES: number = 16 * 1024 * 1024;

/** Largest payload while two nodes shake hands. */
export const HANDSHAKE_MAX_FRAME_BYTES = 4096;

const MAX_U32 = 0xffff_ffff;

/** First allocation for a payload that arrives in pieces. It grows as bytes arrive. */
const FIRST_HELD_BYTES = 64 * 1024;

/**
 * Encodes a frame: the length of a payload, then the payload.
 *
 * @throws {FrameError} `frame-too-long` above 2³²−1 bytes.
 *
 * @example
 * ```ts
 * import { encodeFrame } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeFrame(Uint8Array.of(7, 8)), Uint8Array.of(2, 0, 0, 0, 7, 8));
 * ```
 */
export function encodeFrame(payload: Uint8Array): Uint8Array {
  if (payload.length > MAX_U32) throw frameTooLong(payload.length, MAX_U32, 0);
  const frame = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  writeFrame(payload, frame, 0);
  return frame;
}

/**
 * Writes a payload with its length before it at `at`, and returns the offset after it. The caller
 * makes sure that there is room for {@linkcode FRAME_HEADER_BYTES} and the payload.
 *
 * @example
 * ```ts
 * import { writeFrame } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const target = new Uint8Array(6);
 * assertEquals(writeFrame(Uint8Array.of(7, 8), target, 0), 6);
 * ```
 */
export function writeFrame(payload: Uint8Array, target: Uint8Array, at: number): number {
  const length = payload.length;
  target[at] = length;
  target[at + 1] = length >> 8;
  target[at + 2] = length >> 16;
  target[at + 3] = length >>> 24;
  target.set(payload, at + FRAME_HEADER_BYTES);
  return at + FRAME_HEADER_BYTES + length;
}

/**
 * Reads the length from a frame's header.
 *
 * @throws {FrameError} `frame-too-long` above `maxLength`.
 *
 * @example
 * ```ts
 * import { readFrameLength } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(readFrameLength(Uint8Array.of(2, 0, 0, 0), 0, 4096), 2);
 * ```
 */
export function readFrameLength(bytes: Uint8Array, at: number, maxLength: number): number {
  const length = (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0;
  if (length > maxLength) throw frameTooLong(length, maxLength, at);
  return length;
}

/** Options of a {@linkcode FrameDecoder}. */
export interface FrameDecoderOptions {
  /** Largest payload accepted, in bytes, 1 to 2³²−1. Default: 16 MiB. */
  maxLength?: number;
}

/**
 * Splits a stream, which arrives in chunks of any size, into payloads.
 *
 * A payload within one chunk is a view of that chunk, valid as long as the chunk is. A payload that
 * spans chunks is assembled in memory of its own, which grows as its bytes arrive. Empty frames are
 * skipped. After an error the stream cannot be trusted any more, so the decoder throws the same
 * error for ever.
 *
 * @example
 * ```ts
 * import { FrameDecoder } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const decoder = new FrameDecoder({ maxLength: 4096 });
 * assertEquals([...decoder.push(Uint8Array.of(1, 0, 0, 0, 7, 2, 0))], [Uint8Array.of(7)]);
 * assertEquals([...decoder.push(Uint8Array.of(0, 0, 8, 9))], [Uint8Array.of(8, 9)]);
 * decoder.finish(); // the stream ended between two frames
 * ```
 */
export class FrameDecoder {
  readonly #maxLength: number;
  /** A header that the last chunk cut in two. */
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerSize = 0;
  /** A payload that the last chunk cut in two: `#heldSize` of `#length` bytes are there. */
  #held: Uint8Array | undefined;
  #heldSize = 0;
  #length = 0;
  /** Bytes of the stream before the current chunk. */
  #position = 0;
  #fault: FrameError | undefined;

  /**
   * Makes a decoder at the start of a stream.
   *
   * @throws {RangeError} if `maxLength` is not an integer from 1 to 2³²−1.
   */
  constructor(options: FrameDecoderOptions = {}) {
    const { maxLength = SESSION_MAX_FRAME_BYTES } = options;
    if (!Number.isInteger(maxLength) || maxLength < 1 || maxLength > MAX_U32) {
      throw new RangeError(
        `maxLength must be an integer from 1 to ${MAX_U32}, got ${String(maxLength)}`,
      );
    }
    this.#maxLength = maxLength;
  }

  /**
   * Takes the next chunk and returns the payloads that it completes. It takes in the whole chunk at
   * once, whether or not the result is iterated.
   *
   * @throws {FrameError} `frame-too-long`: at once if the chunk completes no payload before it,
   * otherwise after the iteration has yielded those payloads.
   */
  push(chunk: Uint8Array): Iterable<Uint8Array> {
    if (this.#fault) throw this.#fault;
    const payloads: Uint8Array[] = [];
    try {
      this.#take(chunk, payloads);
    } catch (error) {
      // The payloads before an over-long header are still valid.
      if (!(error instanceof FrameError) || payloads.length === 0) throw error;
      return thenThrow(payloads, error);
    }
    return payloads;
  }

  /** True if the stream so far ends in the middle of a frame. */
  get inFrame(): boolean {
    return this.#headerSize > 0 || this.#held !== undefined;
  }

  /**
   * Ends the stream.
   *
   * @throws {FrameError} `truncated` in the middle of a frame.
   */
  finish(): void {
    if (this.#fault) throw this.#fault;
    if (!this.inFrame) return;
    const missing = this.#held === undefined
      ? `${FRAME_HEADER_BYTES - this.#headerSize} bytes short of a frame's length`
      : `${this.#length - this.#heldSize} bytes short of a frame of ${this.#length}`;
    this.#fault = new FrameError("truncated", this.#position, `stream ended ${missing}`);
    throw this.#fault;
  }

  #take(chunk: Uint8Array, payloads: Uint8Array[]): void {
    let at = this.#continue(chunk, payloads);
    while (at + FRAME_HEADER_BYTES <= chunk.length) {
      const length = this.#readLength(chunk, at);
      at = this.#takePayload(length, chunk, at + FRAME_HEADER_BYTES, payloads);
    }
    while (at < chunk.length) this.#header[this.#headerSize++] = chunk[at++];
    this.#position += chunk.length;
  }

  /** Continues what the last chunk cut in two, and returns the offset that it reached. */
  #continue(chunk: Uint8Array, payloads: Uint8Array[]): number {
    let at = 0;
    if (this.#headerSize > 0) {
      while (this.#headerSize < FRAME_HEADER_BYTES && at < chunk.length) {
        this.#header[this.#headerSize++] = chunk[at++];
      }
      if (this.#headerSize < FRAME_HEADER_BYTES) return at;
      const length = this.#readLength(this.#header, 0, at - FRAME_HEADER_BYTES);
      this.#headerSize = 0;
      at = this.#takePayload(length, chunk, at, payloads);
    } else if (this.#held !== undefined) {
      at += this.#fill(this.#held, chunk, at);
      if (this.#heldSize === this.#length) {
        payloads.push(this.#held.subarray(0, this.#length));
        this.#held = undefined;
      }
    }
    return at;
  }

  /**
   * Adds the payload at `at` to `payloads` if `chunk` has all of it. Otherwise holds its first
   * part.
   */
  #takePayload(length: number, chunk: Uint8Array, at: number, payloads: Uint8Array[]): number {
    const end = at + length;
    if (end > chunk.length) {
      return at + this.#fill(this.#hold(length, chunk.length - at), chunk, at);
    }
    if (length > 0) payloads.push(chunk.subarray(at, end));
    return end;
  }

  #readLength(bytes: Uint8Array, at: number, offset = at): number {
    const length = readFrameLength(bytes, at, MAX_U32);
    if (length <= this.#maxLength) return length;
    this.#fault = frameTooLong(length, this.#maxLength, this.#position + offset);
    throw this.#fault;
  }

  #hold(length: number, available: number): Uint8Array {
    this.#length = length;
    this.#heldSize = 0;
    const size = Math.min(length, Math.max(FIRST_HELD_BYTES, 2 * available));
    return this.#held = new Uint8Array(size);
  }

  /** Copies the next part of the held payload from `chunk`, and returns its size in bytes. */
  #fill(held: Uint8Array, chunk: Uint8Array, at: number): number {
    const size = Math.min(this.#length - this.#heldSize, chunk.length - at);
    const needed = this.#heldSize + size;
    if (needed > held.length) {
      const larger = new Uint8Array(Math.min(this.#length, 2 * needed));
      larger.set(held.subarray(0, this.#heldSize));
      this.#held = held = larger;
    }
    held.set(chunk.subarray(at, at + size), this.#heldSize);
    this.#heldSize = needed;
    return size;
  }
}

function* thenThrow(payloads: Uint8Array[], error: FrameError): Generator<Uint8Array> {
  yield* payloads;
  throw error;
}

function frameTooLong(length: number, maxLength: number, offset: number): FrameError {
  return new FrameError(
    "frame-too-long",
    offset,
    `frame has ${length} bytes, at most ${maxLength} are accepted here`,
  );
}
