/**
 * Frames of a handshake, one at a time. It holds at most 4 KiB. The caller ends a slow handshake by
 * closing the connection.
 */

import {
  encodeFrame,
  FRAME_HEADER_BYTES,
  FrameError,
  HANDSHAKE_MAX_FRAME_BYTES,
  readFrameLength,
} from "../codec/mod.ts";
import { MeshError } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import { looksLikeTls, peerSpeaksTls, PLAIN_ANSWER } from "./tls_mismatch.ts";
import type { Connection } from "./transport.ts";

/**
 * Writes one frame.
 *
 * @throws {MeshError} `closed`.
 */
export async function writeFrame(connection: Connection, payload: Uint8Array): Promise<void> {
  try {
    await writeAll(connection, encodeFrame(payload));
  } catch (cause) {
    throw closed(connection, cause);
  }
}

async function writeAll(connection: Connection, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/**
 * Reads exactly one frame, so that what follows the handshake stays in the stream for the session.
 *
 * @throws {MeshError} `malformed`, `peer-speaks-tls`, and `codeIfClosed`.
 */
export async function readFrame(
  connection: Connection,
  codeIfClosed: "closed" | "not-accepted" = "closed",
): Promise<Uint8Array> {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  for (;;) {
    await readFull(connection, header, codeIfClosed);
    let length: number;
    try {
      length = readFrameLength(header, 0, HANDSHAKE_MAX_FRAME_BYTES);
    } catch (error) {
      if (looksLikeTls(header)) throw await answerTls(connection, header);
      throw malformedHandshake(connection, error);
    }
    if (length === 0) continue;
    const payload = new Uint8Array(length);
    await readFull(connection, payload, codeIfClosed);
    return payload;
  }
}

async function readFull(
  connection: Connection,
  target: Uint8Array,
  codeIfClosed: "closed" | "not-accepted",
): Promise<void> {
  for (let at = 0; at < target.length;) {
    let size: number | null = null;
    let cause: unknown;
    try {
      size = await connection.read(target.subarray(at));
    } catch (error) {
      if (error instanceof MeshError) throw error;
      // A reset tells no more than an end: the other side may close with our bytes unread.
      cause = error;
    }
    if (size === null) {
      throw codeIfClosed === "closed" ? closed(connection, cause) : notAccepted(connection, cause);
    }
    at += size;
  }
}

/**
 * Tells a node that speaks TLS that this one does not. `header` is the start of its first record.
 */
async function answerTls(connection: Connection, header: Uint8Array): Promise<MeshError> {
  try {
    const last = new Uint8Array(1);
    await readFull(connection, last, "closed");
    // Closing with unread bytes could discard the answer.
    const piece = new Uint8Array(HANDSHAKE_MAX_FRAME_BYTES);
    for (let left = header[3] << 8 | last[0]; left > 0; left -= piece.length) {
      await readFull(connection, piece.subarray(0, left), "closed");
    }
    await writeAll(connection, PLAIN_ANSWER);
  } catch {
    // It has hung up, so it cannot be told.
  }
  return peerSpeaksTls(connection.remoteAddress);
}

function notAccepted(connection: Connection, cause: unknown): MeshError {
  const address = formatAddress(connection.remoteAddress);
  const message = `${address} closed the connection after our proof: it has another cookie, ` +
    `a link to another node with our name, or no place for us`;
  return new MeshError("not-accepted", address, message, { cause });
}

function closed(connection: Connection, cause?: unknown): MeshError {
  const address = formatAddress(connection.remoteAddress);
  const message = `${address} closed the connection in the handshake`;
  return new MeshError("closed", address, message, { cause });
}

/**
 * The error for a frame that is not part of a handshake. Anything but a `FrameError` is our own
 * fault.
 */
export function malformedHandshake(connection: Connection, cause: unknown): unknown {
  if (!(cause instanceof FrameError)) return cause;
  const address = formatAddress(connection.remoteAddress);
  const message = `no handshake from ${address}: ${cause.message}`;
  return new MeshError("malformed", address, message, { cause });
}
