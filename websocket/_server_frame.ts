/** Frames that were made elsewhere, to be sent to many sockets. */

import { MAX_CONTROL_BYTES, OPCODE, readWebSocketHeader } from "../codec/mod.ts";

const OPCODES: ReadonlySet<number> = new Set([
  OPCODE.TEXT,
  OPCODE.BINARY,
  OPCODE.PING,
  OPCODE.PONG,
]);

/**
 * Refuses a frame that would break the protocol for every client that is sent it.
 *
 * @throws {TypeError} if it is not a `Uint8Array`.
 * @throws {RangeError} unless it is one complete frame of a server: a message, a ping or a pong.
 */
export function checkServerFrame(frame: Uint8Array): void {
  if (!(frame instanceof Uint8Array)) {
    throw new TypeError(
      `frame must be a Uint8Array, got ${frame === null ? "null" : typeof frame}`,
    );
  }
  const header = readWebSocketHeader(frame, 0);
  if (header === undefined) throw notAFrame("its header is not complete");
  const { fin, rsv, opcode, masked, length, size } = header;
  if (!fin || !OPCODES.has(opcode)) throw notAFrame("it is no whole message, ping or pong");
  if (masked) throw notAFrame("it is masked");
  if (rsv !== 0) throw notAFrame("a reserved bit is set");
  if (size + length !== frame.length) {
    throw notAFrame(`it has ${frame.length} bytes, its header stands for ${size + length}`);
  }
  if (opcode >= OPCODE.CLOSE && length > MAX_CONTROL_BYTES) {
    throw notAFrame(`a ping or pong has at most ${MAX_CONTROL_BYTES} bytes`);
  }
}

function notAFrame(why: string): RangeError {
  return new RangeError(`frame must be one complete WebSocket frame of a server: ${why}`);
}

/** Bytes of payload in a frame of a server. */
export function payloadBytes(frame: Uint8Array): number {
  const length = frame[1] & 0x7f;
  return length < 126 ? length : frame.length - (length === 126 ? 4 : 10);
}
