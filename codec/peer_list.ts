import { Reader } from "./_reader.ts";
import { text16Length, Writer } from "./_writer.ts";
import { FrameError } from "./frame_error.ts";
import { PEER_LIST } from "./tags.ts";

const MAX_NAMES = 0xffff;

/**
 * Encodes PEER_LIST: the names of the nodes that the sender is connected to (`docs/wire.md`).
 *
 * @param names at most 65,535 names of at most 65,535 bytes each.
 * @throws {FrameError} `frame-too-long` beyond these limits, `ill-formed-text` for a lone surrogate.
 *
 * @example
 * ```ts
 * import { decodePeerList, encodePeerList } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = encodePeerList(["chat-1@10.0.0.5:9000"]);
 * assertEquals(decodePeerList(bytes), ["chat-1@10.0.0.5:9000"]);
 * ```
 */
export function encodePeerList(names: readonly string[]): Uint8Array {
  if (names.length > MAX_NAMES) {
    throw new FrameError(
      "frame-too-long",
      0,
      `peer list has ${names.length} names, at most ${MAX_NAMES} fit`,
    );
  }
  let size = 3;
  for (const name of names) size += text16Length(name, "name in a peer list");
  const writer = new Writer(size, PEER_LIST).u16(names.length);
  for (const name of names) writer.text16(name);
  return writer.bytes;
}

/**
 * Decodes PEER_LIST. The only check on a name is that it is text.
 *
 * @throws {FrameError} `truncated`, `wrong-tag`, `trailing-bytes`, `invalid-utf8`.
 *
 * @example See {@linkcode encodePeerList}.
 */
export function decodePeerList(bytes: Uint8Array): string[] {
  const reader = new Reader(bytes, PEER_LIST, "peer list");
  const spans = [];
  for (let left = reader.u16(); left > 0; left--) spans.push(reader.skipText16());
  reader.end();
  // Lengths first, then texts: a list that is both too short and ill-encoded counts as truncated.
  return spans.map((span) => reader.text(span));
}
