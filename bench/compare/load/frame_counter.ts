/**
 * Counts the WebSocket frames in a stream of bytes, and looks at nothing else (RFC 6455, section
 * 5.2):
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
const PONG = 0xa;
const LENGTH_MASK = 0x7f;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const SHORT_HEADER_BYTES = 2;
const HEADER_16_BYTES = 4;
const HEADER_64_BYTES = 10;
const U32 = 2 ** 32;

/** What a peer wants besides being heard. */
export interface Signals {
  pings: number;
  closed: boolean;
}

/** Counts the frames of one connection. */
export class FrameCounter {
  /** Pings of the protocol, and of Socket.IO: see `isTinyPing`. */
  readonly signals: Signals = { pings: 0, closed: false };
  /** Messages of this length are counted by themselves. */
  watchedBytes = -1;
  watched = 0;
  readonly #isTinyPing: boolean;
  /** Bytes of the current frame still to come. */
  #rest = 0;
  #isData = false;
  /** A header that did not come in one piece. */
  readonly #header = new Uint8Array(HEADER_64_BYTES);
  #headerBytes = 0;

  /** @param isTinyPing a message of one byte is a ping, as with Socket.IO, and not data. */
  constructor(isTinyPing = false) {
    this.#isTinyPing = isTinyPing;
  }

  /** Takes what has arrived. Returns how many frames of data have become complete. */
  push(bytes: Uint8Array, length = bytes.length): number {
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
      at += taken;
      this.#rest -= taken;
      if (this.#rest === 0 && this.#isData) complete++;
    }
    return complete;
  }

  #begin(bytes: Uint8Array, at: number): void {
    const opcode = bytes[at] & OPCODE_MASK;
    const length = payloadBytes(bytes, at);
    this.#rest = length;
    const isPing = opcode === PING || this.#isTinyPing && length === 1 && opcode < CLOSE;
    if (isPing) this.signals.pings++;
    if (opcode === CLOSE) this.signals.closed = true;
    this.#isData = !isPing && opcode !== CLOSE && opcode !== PONG;
    if (this.#isData && length === this.watchedBytes) this.watched++;
  }
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
  const view = new DataView(bytes.buffer, bytes.byteOffset + at + SHORT_HEADER_BYTES);
  if (length === LENGTH_64) return view.getUint32(0) * U32 + view.getUint32(4);
  return view.getUint16(0);
}
