import { describe } from "../backplane/checks.ts";
import { checkMessage, FrameError } from "../codec/mod.ts";

/**
 * What can be broadcast: a string is sent as a text message, bytes as a binary one. A view sends
 * the bytes that it shows.
 */
export type Message = string | ArrayBufferLike | ArrayBufferView;

/**
 * A message as it is encoded: a well-formed string, or a view of the bytes given.
 *
 * @throws {TypeError} if it is neither text nor bytes.
 * @throws {FrameError} `message-too-long` above `maxBytes` bytes, of UTF-8 if it is a text.
 */
export function messageContent(message: unknown, maxBytes: number): string | Uint8Array {
  if (typeof message === "string") {
    // As in `WebSocket.send`, a lone surrogate becomes U+FFFD.
    const text = message.toWellFormed();
    // It is well-formed and takes at most three bytes a unit, so most texts need no second look.
    if (3 * text.length > maxBytes) checkMessage(text, maxBytes);
    return text;
  }
  const bytes = bytesOf(message);
  if (bytes.length <= maxBytes) return bytes;
  throw new FrameError(
    "message-too-long",
    0,
    `message has ${bytes.length} bytes, at most ${maxBytes} are possible here`,
  );
}

function bytesOf(message: unknown): Uint8Array {
  if (ArrayBuffer.isView(message)) {
    return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  }
  if (message instanceof ArrayBuffer || isShared(message)) return new Uint8Array(message);
  throw new TypeError(
    `message must be a string, an ArrayBuffer or a view of one, got ${describe(message)}`,
  );
}

/** Not every runtime has shared memory everywhere. */
function isShared(value: unknown): value is SharedArrayBuffer {
  return typeof SharedArrayBuffer !== "undefined" && value instanceof SharedArrayBuffer;
}
