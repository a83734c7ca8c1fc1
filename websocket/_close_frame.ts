import { Buffer } from "node:buffer";
import { encodeWebSocketFrame, OPCODE } from "../codec/mod.ts";

let latest: Buffer | undefined;

/**
 * Returns a close frame with this payload: the latest one again, if its payload is the same. When the
 * members of a room are closed together, their unsent frames then end with the same frame, so they
 * still share one buffer. With a frame each, every member would need a copy.
 */
export function closeFrame(payload: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = encodeWebSocketFrame(OPCODE.CLOSE, payload);
  const frame = Buffer.from(buffer, byteOffset, length);
  return latest?.equals(frame) ? latest : latest = frame;
}
