import { Buffer } from "node:buffer";
import { encodeWebSocketFrame, OPCODE } from "../codec/mod.ts";

let latest: Buffer | undefined;

/**
 * A close frame with this payload; the latest again if that has the same. When the members of a room are
 * closed together, what they have not been sent yet ends with the same frame, so they still share it.
 * With a frame each, it would be copied for each of them.
 */
export function closeFrame(payload: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = encodeWebSocketFrame(OPCODE.CLOSE, payload);
  const frame = Buffer.from(buffer, byteOffset, length);
  return latest?.equals(frame) ? latest : latest = frame;
}
