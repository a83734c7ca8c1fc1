import { Reader } from "./_reader.ts";
import { Writer } from "./_writer.ts";
import { PING, PONG } from "./tags.ts";

/** Bytes of the token that a ping carries and its pong returns. */
export const HEARTBEAT_TOKEN_BYTES = 8;

/**
 * Encodes PING (`docs/wire.md`): the peer must answer with PONG and the same token.
 *
 * @param token exactly {@linkcode HEARTBEAT_TOKEN_BYTES} bytes.
 * @throws {RangeError} if the token has another length.
 *
 * @example
 * ```ts
 * import { decodePing, encodePing, encodePong } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const ping = encodePing(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
 * const answer = encodePong(decodePing(ping));
 * assertEquals(answer, Uint8Array.of(0xf1, 1, 2, 3, 4, 5, 6, 7, 8));
 * ```
 */
export function encodePing(token: Uint8Array): Uint8Array {
  return encode(PING, token);
}

/**
 * Encodes PONG (`docs/wire.md`), the answer to a ping.
 *
 * @param token the ping's {@linkcode HEARTBEAT_TOKEN_BYTES} bytes.
 * @throws {RangeError} if the token has another length.
 *
 * @example See {@linkcode encodePing}.
 */
export function encodePong(token: Uint8Array): Uint8Array {
  return encode(PONG, token);
}

/**
 * Decodes PING and returns a copy of its token.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`.
 *
 * @example See {@linkcode encodePing}.
 */
export function decodePing(bytes: Uint8Array): Uint8Array {
  return decode(bytes, PING, "ping");
}

/**
 * Decodes PONG and returns a copy of its token.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`.
 *
 * @example
 * ```ts
 * import { decodePong, encodePong } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const token = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
 * assertEquals(decodePong(encodePong(token)), token);
 * ```
 */
export function decodePong(bytes: Uint8Array): Uint8Array {
  return decode(bytes, PONG, "pong");
}

function encode(tag: number, token: Uint8Array): Uint8Array {
  if (token.length !== HEARTBEAT_TOKEN_BYTES) {
    throw new RangeError(
      `token must have ${HEARTBEAT_TOKEN_BYTES} bytes, got ${token.length}`,
    );
  }
  return new Writer(1 + HEARTBEAT_TOKEN_BYTES, tag).copy(token).bytes;
}

function decode(bytes: Uint8Array, tag: number, message: string): Uint8Array {
  const reader = new Reader(bytes, tag, message);
  const token = reader.copy(HEARTBEAT_TOKEN_BYTES);
  reader.end();
  return token;
}
