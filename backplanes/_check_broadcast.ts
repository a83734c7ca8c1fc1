import { checkRoomBroadcast, FrameError } from "../codec/mod.ts";

/**
 * Checks what is to be published, and returns the offset at which its room ends.
 *
 * @throws {FrameError} `wrong-tag`, `truncated`, `trailing-bytes`, `message-too-long`.
 */
export function checkBroadcast(message: Uint8Array, maxMessageBytes: number): number {
  const roomEnd = checkRoomBroadcast(message);
  if (message.length <= maxMessageBytes) return roomEnd;
  throw new FrameError(
    "message-too-long",
    maxMessageBytes,
    `message has ${message.length} bytes, the backplane carries at most ${maxMessageBytes}`,
  );
}
