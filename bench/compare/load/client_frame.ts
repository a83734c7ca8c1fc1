/** What a client sends: whole WebSocket frames of text, masked as they must be, with zeros. */

const encoder = new TextEncoder();

const TEXT = 0x81;
const PONG = 0x8a;
const MASKED = 0x80;
const MASK_BYTES = 4;
const LENGTH_16 = 126;
const LENGTH_64 = 127;
const MAX_SHORT_BYTES = 125;
const MAX_16_BYTES = 0xffff;

/** The frame of a text. A mask of zeros leaves it as it is. */
export function clientFrame(text: string): Uint8Array<ArrayBuffer> {
  const payload = encoder.encode(text);
  const lengthBytes = payload.length <= MAX_SHORT_BYTES
    ? 0
    : payload.length <= MAX_16_BYTES
    ? 2
    : 8;
  const frame = new Uint8Array(2 + lengthBytes + MASK_BYTES + payload.length);
  const view = new DataView(frame.buffer);
  frame[0] = TEXT;
  if (lengthBytes === 0) frame[1] = MASKED | payload.length;
  if (lengthBytes === 2) {
    frame[1] = MASKED | LENGTH_16;
    view.setUint16(2, payload.length);
  }
  if (lengthBytes === 8) {
    frame[1] = MASKED | LENGTH_64;
    view.setBigUint64(2, BigInt(payload.length));
  }
  frame.set(payload, 2 + lengthBytes + MASK_BYTES);
  return frame;
}

/** The answer to a ping. */
export const PONG_FRAME: Uint8Array<ArrayBuffer> = Uint8Array.of(PONG, MASKED, 0, 0, 0, 0);
