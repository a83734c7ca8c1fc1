/**
 * Where messages are published: the subjects of NATS and the channels of Redis (`docs/wire.md`,
 * "Brokers").
 *
 * | interest | topic |
 * | --- | --- |
 * | `"cluster"` | `roomcast.<cluster>` |
 * | `"room"` | `roomcast.<cluster>.<room>`, the room encoded as below |
 *
 * In the name of a room, ASCII letters, digits, `-` and `_` stand for themselves. Every other byte
 * of its UTF-8 is `=` and two upper-case hexadecimal digits: `"a b"` is `a=20b`. The empty name is
 * `=`. If the encoded name would have more than 200 characters, it is `=h` and the SHA-256 of the
 * UTF-8 in lower-case hexadecimal, because NATS limits the length of a subject.
 *
 * So nothing in the name of a room (`*`, `>`, `.`, spaces, `{…}`) means anything to a broker, and
 * two rooms never share a topic. Sharing one would do no harm: the topic only routes, and the
 * message says which rooms it is for.
 */

import { createHash } from "node:crypto";

const MAX_ENCODED_LENGTH = 200;

/** The topic of a whole cluster. */
export function clusterTopic(cluster: string): string {
  return `roomcast.${cluster}`;
}

/** The topic of a room. */
export function roomTopic(cluster: string, room: string): string {
  return `roomcast.${cluster}.${encodeRoom(room)}`;
}

/** True if a topic is that of the cluster, or of one of its rooms. */
export function isTopicOf(cluster: string, topic: string): boolean {
  return topic === clusterTopic(cluster) || topic.startsWith(`${clusterTopic(cluster)}.`);
}

/** Most names need no encoding. */
const PLAIN = /^[\w-]{1,200}$/;

function encodeRoom(room: string): string {
  if (PLAIN.test(room)) return room;
  if (room === "") return "=";
  const bytes = new TextEncoder().encode(room);
  // Each byte takes at least one character, so a long name need not be encoded to be counted.
  const encoded = bytes.length > MAX_ENCODED_LENGTH ? undefined : encodeBytes(bytes);
  if (encoded !== undefined && encoded.length <= MAX_ENCODED_LENGTH) return encoded;
  return `=h${createHash("sha256").update(bytes).digest("hex")}`;
}

function encodeBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte);
    if (/[\w-]/.test(character)) return character;
    return `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}
