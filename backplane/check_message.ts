import { checkBroadcast, FrameError } from "../codec/mod.ts";

/**
 * Checks a message that is to be published: its tag, its lengths and its size. The work does not
 * grow with the size of the message. The nodes that deliver it check its texts.
 *
 * @param maxMessageBytes the largest message that the backplane carries, in bytes.
 * @throws {FrameError} `wrong-tag` for anything but a ROOM_BROADCAST, ROOM_MESSAGE or ROOM_CLOSE,
 * `truncated`, `trailing-bytes`, `unknown-flags`, `no-target`, `bad-close-code`, `reason-too-long`,
 * `message-too-long`.
 */
export function checkMessage(message: Uint8Array, maxMessageBytes: number): void {
  checkBroadcast(message);
  if (message.length <= maxMessageBytes) return;
  throw new FrameError(
    "message-too-long",
    maxMessageBytes,
    `message has ${message.length} bytes, the backplane carries at most ${maxMessageBytes}`,
  );
}
