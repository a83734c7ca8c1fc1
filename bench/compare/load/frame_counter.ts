/**
 * Counts the messages in a stream of WebSocket frames. It looks only at the headers (RFC 6455, section
 * 5.2), and, where one frame may hold several messages, at the ends of lines:
 *
 * ```
 * 1 byte   FIN, opcode in the lower four bits
 * 1 byte   length: below 126 itself; 126: u16 follows; 127: u64 follows
 * …        payload, of that length: servers do not mask
 * ```
 */

const OPCODE_MASK = 0x0f;
const CLOSE = 0x8;
const PING = 0x9;
const LENGTH_MASK = 0x7f;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const SHORT_HEADER_BYTES = 2;
const HEADER_16_BYTES = 4;
const HEADER_64_BYTES = 10;
const U32 = 2 ** 32;
const NO_LENGTH = -1;

/** What a peer wants besides being heard. */
export interface Signals {
  pings: number;
  closed: boolean;
}

/** What is known of the frames of a contender. */
export interface FrameCounterOptions {
  /** A message of this length is a ping, and not data. */
  readonly pingBytes?: number;
  /** Frames hold one message a line. */
  readonly hasLines?: boolean;
  /** How to find the end of a line, if there is a faster way than `indexOf`. */
  readonly findByte?: FindByte;
}

/** Where a byte is between two places; -1 if it is not there. */
export type FindByte = (
  bytes: Uint8Array<ArrayBuffer>,
  byte: number,
  start: number,
  end: number,
) => number;

const LINE_END = 0x0a;

/** Counts the messages of one connection. */
export class FrameCounter {
  /** Pings of the protocol, and those that are messages. */
  readonly signals: Signals = { pings: 0, closed: false };
  /** Messages of this length are counted by themselves. */
  watchedBytes = NO_LENGTH;
  watched = 0;
  readonly #pingBytes: number;
  readonly #hasLines: boolean;
  readonly #findByte: FindByte;
  /** Bytes of the current frame still to come. */
  #rest = 0;
  #isData = false;
  /** Bytes so far of a line that has not ended. */
  #lineBytes = 0;
  /** A header that did not come in one piece. */
  readonly #header = new Uint8Array(HEADER_64_BYTES);
  #headerBytes = 0;

  constructor(
    { pingBytes = NO_LENGTH, hasLines = false, findByte = indexOfByte }: FrameCounterOptions = {},
  ) {
    this.#pingBytes = pingBytes;
    this.#hasLines = hasLines;
    this.#findByte = findByte;
  }

  /** Takes what has arrived. Returns how many frames of data have become complete. */
  push(bytes: Uint8Array<ArrayBuffer>, length = bytes.length): number {
    let complete = 0;
    let at = 0;
    while (at < length) {
      if (this.#rest === 0) {
        const begun = this.#headerBytes > 0;
        const needed = begun
          ? headerBytes(this.#header, 0, this.#headerBytes)
          : headerBytes(bytes, at, length - at);
        if (begun || needed > length - at) {
          // Rare: a byte at a time, until the header is whole.
          this.#header[this.#headerBytes++] = bytes[at++];
          if (this.#headerBytes < headerBytes(this.#header, 0, this.#headerBytes)) continue;
          this.#begin(this.#header, 0);
          this.#headerBytes = 0;
        } else {
          this.#begin(bytes, at);
          at += needed;
        }
      }
      const taken = Math.min(this.#rest, length - at);
      this.#rest -= taken;
      if (this.#isData && this.#hasLines) {
        complete += this.#countLines(bytes, at, at + taken);
      } else if (this.#rest === 0 && this.#isData) complete++;
      at += taken;
    }
    return complete;
  }

  /** Counts the messages that end in this part of a frame: with a line, or with the frame. */
  #countLines(bytes: Uint8Array<ArrayBuffer>, start: number, end: number): number {
    let complete = 0;
    for (let at = start; at < end;) {
      const lineEnd = this.#findByte(bytes, LINE_END, at, end);
      this.#lineBytes += (lineEnd < 0 ? end : lineEnd) - at;
      if (lineEnd < 0 && this.#rest > 0) break;
      at = lineEnd < 0 ? end : lineEnd + 1;
      if (this.#lineBytes === this.#pingBytes) this.signals.pings++;
      else complete++;
      if (this.#lineBytes === this.watchedBytes) this.watched++;
      this.#lineBytes = 0;
    }
    return complete;
  }

  #begin(bytes: Uint8Array, at: number): void {
    const opcode = bytes[at] & OPCODE_MASK;
    const length = payloadBytes(bytes, at);
    this.#rest = length;
    const isMessage = opcode < CLOSE;
    const isPing = opcode === PING || isMessage && length === this.#pingBytes && !this.#hasLines;
    if (isPing) this.signals.pings++;
    if (opcode === CLOSE) this.signals.closed = true;
    this.#isData = isMessage && !isPing;
    if (this.#isData && length === this.watchedBytes && !this.#hasLines) this.watched++;
  }
}

function indexOfByte(
  bytes: Uint8Array<ArrayBuffer>,
  byte: number,
  start: number,
  end: number,
): number {
  const at = bytes.subarray(start, end).indexOf(byte);
  return at < 0 ? -1 : start + at;
}

/** How long a header is, as far as that can be told from its first bytes. */
function headerBytes(bytes: Uint8Array, at: number, available: number): number {
  if (available < SHORT_HEADER_BYTES) return SHORT_HEADER_BYTES;
  const length = bytes[at + 1] & LENGTH_MASK;
  if (length < LENGTH_16) return SHORT_HEADER_BYTES;
  return length === LENGTH_16 ? HEADER_16_BYTES : HEADER_64_BYTES;
}

function payloadBytes(bytes: Uint8Array, at: number): number {
  const length = bytes[at + 1] & LENGTH_MASK;
  if (length < LENGTH_16) return length;
  const start = at + SHORT_HEADER_BYTES;
  if (length === LENGTH_64) return u32(bytes, start) * U32 + u32(bytes, start + 4);
  return bytes[start] << 8 | bytes[start + 1];
}

/** Without a `DataView`, which would have to be made for each message. */
function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3]) >>> 0;
}
