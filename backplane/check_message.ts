import { checkBroadcast, FrameError } from "../codec/mod.ts";

/**
 * Checks a message that is to be published: its tag, its lengths and its size. The work grows with the
 * number of its rooms only. The texts in it are checked by the nodes that deliver it.
 *
 * @param maxMessageBytes the largest message that the backplane carries, in bytes.
 * @throws {FrameError} `message-too-long`, and what {@linkcode checkBroadcast} throws.
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
