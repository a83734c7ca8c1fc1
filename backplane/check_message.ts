import { checkRoomBroadcast, FrameError } from "../codec/mod.ts";

/**
 * Checks a message that is to be published: its tag, its lengths and its size, in constant time. The
 * texts in it are checked by the nodes that deliver it.
 *
 * @param maxMessageBytes the largest message that the backplane carries, in bytes.
 * @throws {FrameError} `wrong-tag`, `truncated`, `trailing-bytes`, `message-too-long`.
 */
export function checkMessage(message: Uint8Array, maxMessageBytes: number): void {
  checkRoomBroadcast(message);
  if (message.length <= maxMessageBytes) return;
  throw new FrameError(
    "message-too-long",
    maxMessageBytes,
    `message has ${message.length} bytes, the backplane carries at most ${maxMessageBytes}`,
  );
}
