/**
 * Compresses and inflates messages by permessage-deflate (RFC 7692), without memory between
 * messages. All of it is synchronous, so that messages stay in order. The size of a message bounds
 * its cost, and up to about 100 KiB a thread would cost more than it saves.
 */

import { Buffer } from "node:buffer";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { encodeWebSocketFrame, OPCODE } from "../codec/mod.ts";
import { checkServerFrame, payloadBytes } from "./_server_frame.ts";
import { INVALID_DATA, TOO_BIG, Violation } from "./_violation.ts";

/** The end of every message's data, which is left out on the wire. */
const TAIL = Uint8Array.of(0x00, 0x00, 0xff, 0xff);

const OPCODE_BITS = 0x0f;

/** Fast, and for the short and similar messages of rooms no worse than the default. */
const LEVEL = 3;

const MIN_CHUNK_BYTES = 1024;
const MAX_CHUNK_BYTES = 64 * 1024;

/** Compresses for all sockets whose clients asked for the same window. */
export class Compressor {
  readonly #windowBits: number;
  /** For each frame that is broadcast, the frame that sockets with compression are sent instead. */
  readonly #twins = new WeakMap<Uint8Array, Uint8Array>();

  constructor(windowBits: number) {
    this.#windowBits = windowBits;
  }

  /** Compresses the message in a server's frame, if that makes it shorter. */
  compress(frame: Uint8Array): Uint8Array {
    const payload = frame.subarray(frame.length - payloadBytes(frame));
    const deflated = deflateRawSync(payload, {
      finishFlush: constants.Z_SYNC_FLUSH,
      windowBits: this.#windowBits,
      level: LEVEL,
      chunkSize: chunkSizeFor(payload.length),
    });
    const size = deflated.length - TAIL.length;
    if (size >= payload.length) return frame;
    return encodeWebSocketFrame(frame[0] & OPCODE_BITS, deflated.subarray(0, size), true);
  }

  /**
   * Does the same for a shared frame, once for all its sockets, unless its payload is shorter than
   * `thresholdBytes`.
   *
   * @throws {TypeError} and {RangeError}, see {@linkcode checkServerFrame}.
   */
  twinOf(frame: Uint8Array, thresholdBytes: number): Uint8Array {
    const known = this.#twins.get(frame);
    if (known !== undefined) return known;
    checkServerFrame(frame);
    const isWorthIt = payloadBytes(frame) >= thresholdBytes && isMessage(frame);
    const twin = isWorthIt ? this.compress(frame) : frame;
    this.#twins.set(frame, twin);
    return twin;
  }
}

/** False for pings and pongs, which are never compressed. */
function isMessage(frame: Uint8Array): boolean {
  return (frame[0] & OPCODE_BITS) < OPCODE.CLOSE;
}

const compressors = new Map<number, Compressor>();

/** The compressor for a window of 2 to the `windowBits` bytes, 9 to 15. */
export function compressorFor(windowBits: number): Compressor {
  let compressor = compressors.get(windowBits);
  if (compressor === undefined) {
    compressors.set(windowBits, compressor = new Compressor(windowBits));
  }
  return compressor;
}

/**
 * Inflates a message.
 *
 * @throws {Violation} 1009 above `maxBytes`, 1007 if the data is not valid.
 */
export function inflate(data: Uint8Array, maxBytes: number): Uint8Array {
  const input = Buffer.allocUnsafeSlow(data.length + TAIL.length);
  input.set(data);
  input.set(TAIL, data.length);
  try {
    return inflateRawSync(input, {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: maxBytes,
      chunkSize: chunkSizeFor(4 * data.length),
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw new Violation(TOO_BIG, `message inflates to more than ${maxBytes} bytes`);
    }
    throw new Violation(INVALID_DATA, "message is not valid deflate data");
  }
}

function chunkSizeFor(bytes: number): number {
  return Math.max(MIN_CHUNK_BYTES, Math.min(MAX_CHUNK_BYTES, bytes));
}
