/**
 * The envelope that a message has on a broker (`docs/wire.md`, "Brokers"):
 *
 * ```text
 * offset  0        1                  9                  9+N
 *         +--------+------------------+------------------+
 *         |  0xE1  |  sender id (8 B) |  message (N B)   |
 *         +--------+------------------+------------------+
 * ```
 *
 * A broker hands a message to every subscriber, its publisher included (Redis always, NATS unless
 * the connection was made with `noEcho`). So each node drops messages with its own id. The id is
 * random and proves nothing.
 */

import { toHex } from "../codec/hex.ts";
import { ENVELOPE, FrameError } from "../codec/mod.ts";

const SENDER_START = 1;

/** Bytes of a sender's id. */
export const SENDER_BYTES = 8;

/** Bytes that the envelope adds to a message. */
export const ENVELOPE_BYTES: number = SENDER_START + SENDER_BYTES;

/** Puts a message into an envelope, in memory of its own: clients keep it until it is written. */
export function seal(sender: Uint8Array, message: Uint8Array): Uint8Array {
  const payload = new Uint8Array(ENVELOPE_BYTES + message.length);
  payload[0] = ENVELOPE;
  payload.set(sender, SENDER_START);
  payload.set(message, ENVELOPE_BYTES);
  return payload;
}

/**
 * The message in an envelope, as a view; undefined if `self` has sent it.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`.
 */
export function open(payload: Uint8Array, self: Uint8Array): Uint8Array | undefined {
  if (payload.length > 0 && payload[0] !== ENVELOPE) {
    throw new FrameError("wrong-tag", 0, `envelope begins with ${payload[0]}, not ${ENVELOPE}`);
  }
  if (payload.length < ENVELOPE_BYTES) {
    const message = `envelope has ${payload.length} bytes, at least ${ENVELOPE_BYTES} are needed`;
    throw new FrameError("truncated", payload.length, message);
  }
  return isFrom(payload, self) ? undefined : payload.subarray(ENVELOPE_BYTES);
}

/** The sender of a payload that {@linkcode open} has accepted, as its `nodeId`. */
export function senderOf(payload: Uint8Array): string {
  return toHex(payload.subarray(SENDER_START, ENVELOPE_BYTES));
}

function isFrom(payload: Uint8Array, sender: Uint8Array): boolean {
  for (let i = 0; i < SENDER_BYTES; i++) {
    if (payload[SENDER_START + i] !== sender[i]) return false;
  }
  return true;
}
