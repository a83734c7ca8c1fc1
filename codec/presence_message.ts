/**
 * The messages between instances of `Presence`. They are not messages of a link: each is the
 * content of a binary ROOM_MESSAGE to a reserved room, so it travels over every backplane
 * (`docs/wire.md`, "Presence").
 *
 * ```text
 * offset  0          1              9            11         11+N
 *         +----------+--------------+------------+----------+--------+
 *         | kind: u8 | instance (8) | N: u16 LE  | node (N) | body   |
 *         +----------+--------------+------------+----------+--------+
 * ```
 *
 * | kind | name | body |
 * | --- | --- | --- |
 * | 1 | SNAPSHOT | `u48 number`, `u16 part`, `u16 parts`, `u16 count`, count × entry |
 * | 2 | CHANGES | `u48 first`, `u16 count`, count × change |
 * | 3 | HEARTBEAT | `u48 number` |
 * | 4 | ASK | `u16 count`, count × instance (8); a count of 0 asks every instance |
 * | 5 | GONE | empty |
 *
 * An entry is `u48 key`, then room, id and meta, each a text with a `u16` length before it. Meta is
 * JSON; an empty text means that there is none. A change is the byte 1 and an entry (the key now
 * has this entry), or the byte 2 and a `u48 key` (the entry of the key is gone). Changes are
 * numbered from 1. The state after a change has the number of that change. All integers are
 * little-endian, all texts strict UTF-8.
 *
 * The head is a message without its list of entries or changes. It is read first, because a
 * receiver that is up to date does not need the list. Head and list are each checked in this order:
 * kind, lengths and operations, texts in the order of the layout, JSON. Decoding is exact.
 *
 * @module
 */

import { checkSize } from "./_check.ts";
import { Reader, type TextSpan } from "./_reader.ts";
import { checkWellFormed, utf8Length } from "./_text.ts";
import { text16Length, Writer } from "./_writer.ts";
import { FrameError } from "./frame_error.ts";
import { fromHex, toHex } from "./hex.ts";

/** Bytes of an instance's id. */
export const PRESENCE_INSTANCE_BYTES = 8;

/** Most entries or changes in one message. */
export const PRESENCE_MAX_COUNT = 0xffff;

const SNAPSHOT = 1;
const CHANGES = 2;
const HEARTBEAT = 3;
const ASK = 4;
const GONE = 5;
const NAMES = ["", "snapshot", "changes", "heartbeat", "ask", "gone"] as const;

const TRACK = 1;
const UNTRACK = 2;

const KEY_BYTES = 6;
const NUMBER_BYTES = 6;
const COUNT_BYTES = 2;
const PART_BYTES = 4;
const U32 = 2 ** 32;

/** One socket in one room, as its instance announces it. */
export interface PresenceEntry {
  /** Identifies the entry within its instance; a whole number below 2⁴⁸. */
  readonly key: number;
  /** The room it is in. */
  readonly room: string;
  /** Whose socket it is. */
  readonly id: string;
  /** What the application says about it, as JSON; empty if nothing. */
  readonly meta: string;
}

/** An entry that is new or has changed, or the key of an entry that is gone. */
export type PresenceChange = PresenceEntry | number;

/** The sender of a message. */
export interface PresenceSender {
  /** The sender's random id: 16 hexadecimal digits in lower case. */
  readonly instance: string;
  /** The `nodeId` of its backplane; empty if the backplane has none. */
  readonly node: string;
}

/** One part of the entries of an instance. */
export interface PresenceSnapshot extends PresenceSender {
  /** Identifies the kind of message. */
  readonly kind: "snapshot";
  /** The number of the state that it shows. */
  readonly number: number;
  /** Which part this is, counted from 0. */
  readonly part: number;
  /** How many parts there are. */
  readonly parts: number;
}

/** What has changed, in order. */
export interface PresenceChanges extends PresenceSender {
  /** Identifies the kind of message. */
  readonly kind: "changes";
  /** The number of the first change. */
  readonly first: number;
  /** How many changes there are, numbered from `first`. */
  readonly count: number;
}

/** Says that the instance is alive, and how many changes it has made. */
export interface PresenceHeartbeat extends PresenceSender {
  /** Identifies the kind of message. */
  readonly kind: "heartbeat";
  /** The number of the last change; 0 if there has been none. */
  readonly number: number;
}

/** Asks for snapshots. */
export interface PresenceAsk extends PresenceSender {
  /** Identifies the kind of message. */
  readonly kind: "ask";
  /** The instances that should answer; if empty, every instance. */
  readonly instances: readonly string[];
}

/** Says that the instance has ended, so its entries are gone. */
export interface PresenceGone extends PresenceSender {
  /** Identifies the kind of message. */
  readonly kind: "gone";
}

/** A message without its list: enough to decide whether the list is needed. */
export type PresenceHead =
  | PresenceSnapshot
  | PresenceChanges
  | PresenceHeartbeat
  | PresenceAsk
  | PresenceGone;

/**
 * Bytes of UTF-8 that a text takes.
 *
 * @throws {FrameError} `ill-formed-text` for a lone surrogate.
 */
export function presenceTextLength(text: string): number {
  checkWellFormed(text);
  return utf8Length(text);
}

/**
 * Bytes that an entry takes in a {@linkcode PresenceSnapshot}.
 *
 * @throws {FrameError} `ill-formed-text` for a lone surrogate, `frame-too-long` if room, id or meta
 * has more than 65,535 bytes.
 */
export function presenceEntryLength({ room, id, meta }: Omit<PresenceEntry, "key">): number {
  return KEY_BYTES + text16Length(room, "room of a presence entry") +
    text16Length(id, "id of a presence entry") + text16Length(meta, "meta of a presence entry");
}

/** Bytes that a change takes in {@linkcode PresenceChanges}. */
export function presenceChangeLength(change: PresenceChange): number {
  return 1 + (typeof change === "number" ? KEY_BYTES : presenceEntryLength(change));
}

/** The most bytes that a snapshot or changes take without their list. */
export function presenceOverhead({ node }: Pick<PresenceSender, "node">): number {
  return headLength(node) + NUMBER_BYTES + PART_BYTES + COUNT_BYTES;
}

/**
 * Encodes one part of a snapshot.
 *
 * @throws {FrameError} `ill-formed-text` for a lone surrogate, `frame-too-long` for a text above
 * 65,535 bytes or more than {@linkcode PRESENCE_MAX_COUNT} entries, `bad-part` unless `part` is
 * below `parts`.
 * @throws {RangeError} if an instance has not 16 digits.
 *
 * @example
 * ```ts
 * import {
 *   decodePresenceEntries,
 *   decodePresenceHead,
 *   encodePresenceSnapshot,
 * } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const sender = { instance: "0011223344556677", node: "a node" };
 * const entry = { key: 1, room: "lobby", id: "ann", meta: '{"name":"Ann"}' };
 * const bytes = encodePresenceSnapshot({ ...sender, number: 9, part: 0, parts: 1 }, [entry]);
 * assertEquals(
 *   decodePresenceHead(bytes),
 *   { kind: "snapshot", ...sender, number: 9, part: 0, parts: 1 },
 * );
 * assertEquals(decodePresenceEntries(bytes), [entry]);
 * ```
 */
export function encodePresenceSnapshot(
  { number, part, parts, ...sender }: Omit<PresenceSnapshot, "kind">,
  entries: readonly PresenceEntry[],
): Uint8Array {
  if (part >= parts) throw badPart(0, part, parts);
  checkCount(entries.length);
  let size = NUMBER_BYTES + PART_BYTES + COUNT_BYTES;
  for (const entry of entries) size += presenceEntryLength(entry);
  const writer = writeU48(begin(sender, SNAPSHOT, size), number);
  writer.u16(part).u16(parts).u16(entries.length);
  for (const entry of entries) writeEntry(writer, entry);
  return writer.bytes;
}

/**
 * Encodes changes, which are numbered from `first`.
 *
 * @throws {FrameError} `ill-formed-text` for a lone surrogate, `frame-too-long` for a text above
 * 65,535 bytes or more than {@linkcode PRESENCE_MAX_COUNT} changes.
 * @throws {RangeError} if an instance has not 16 digits.
 *
 * @example
 * ```ts
 * import { decodePresenceChanges, encodePresenceChanges } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const sender = { instance: "0011223344556677", node: "a node" };
 * // Key 8 now has this entry, and the entry of key 7 is gone.
 * const changes = [{ key: 8, room: "lobby", id: "bob", meta: "" }, 7];
 * const bytes = encodePresenceChanges({ ...sender, first: 10 }, changes);
 * assertEquals(decodePresenceChanges(bytes), changes);
 * ```
 */
export function encodePresenceChanges(
  { first, ...sender }: Omit<PresenceChanges, "kind" | "count">,
  changes: readonly PresenceChange[],
): Uint8Array {
  checkCount(changes.length);
  let size = NUMBER_BYTES + COUNT_BYTES;
  for (const change of changes) size += presenceChangeLength(change);
  const writer = writeU48(begin(sender, CHANGES, size), first).u16(changes.length);
  for (const change of changes) {
    if (typeof change === "number") writeU48(writer.u8(UNTRACK), change);
    else writeEntry(writer.u8(TRACK), change);
  }
  return writer.bytes;
}

/**
 * Encodes a message that has no list.
 *
 * @throws {FrameError} `ill-formed-text` for a lone surrogate, `frame-too-long` for a name above
 * 65,535 bytes or more than {@linkcode PRESENCE_MAX_COUNT} instances.
 * @throws {RangeError} if an instance has not 16 digits.
 *
 * @example
 * ```ts
 * import { decodePresenceHead, encodePresence } from "@roomcast/roomcast/codec";
 * import { assertEquals } from "@std/assert";
 *
 * const heartbeat = { kind: "heartbeat", instance: "0011223344556677", node: "", number: 9 } as const;
 * assertEquals(decodePresenceHead(encodePresence(heartbeat)), heartbeat);
 * ```
 */
export function encodePresence(
  message: PresenceHeartbeat | PresenceAsk | PresenceGone,
): Uint8Array {
  switch (message.kind) {
    case "heartbeat":
      return writeU48(begin(message, HEARTBEAT, NUMBER_BYTES), message.number).bytes;
    case "ask": {
      const { instances } = message;
      checkCount(instances.length);
      const size = COUNT_BYTES + instances.length * PRESENCE_INSTANCE_BYTES;
      const writer = begin(message, ASK, size).u16(instances.length);
      for (const instance of instances) writer.copy(instanceBytes(instance));
      return writer.bytes;
    }
    case "gone":
      return begin(message, GONE, 0).bytes;
  }
}

/**
 * Decodes a message, except the list of a snapshot or of changes.
 *
 * @throws {FrameError} `wrong-tag` for an unknown kind, `truncated`, `trailing-bytes`, `bad-part`,
 * `invalid-utf8`.
 *
 * @example See {@linkcode encodePresenceSnapshot}.
 */
export function decodePresenceHead(bytes: Uint8Array): PresenceHead {
  const kind = bytes[0] ?? SNAPSHOT;
  if (kind < SNAPSHOT || kind > GONE) {
    throw new FrameError("wrong-tag", 0, `presence message has kind ${kind}, 1 to 5 are known`);
  }
  const reader = new Reader(bytes, kind, `presence ${NAMES[kind]}`);
  const instance = readInstance(reader);
  const node = reader.skipText16();
  switch (kind) {
    case SNAPSHOT: {
      const number = readU48(reader);
      const offset = reader.offset;
      const part = reader.u16();
      const parts = reader.u16();
      reader.u16();
      if (part >= parts) throw badPart(offset, part, parts);
      return { kind: "snapshot", instance, node: reader.text(node), number, part, parts };
    }
    case CHANGES: {
      const first = readU48(reader);
      const count = reader.u16();
      return { kind: "changes", instance, node: reader.text(node), first, count };
    }
    case HEARTBEAT: {
      const number = readU48(reader);
      reader.end();
      return { kind: "heartbeat", instance, node: reader.text(node), number };
    }
    case ASK: {
      const instances: string[] = [];
      for (let left = reader.u16(); left > 0; left--) instances.push(readInstance(reader));
      reader.end();
      return { kind: "ask", instance, node: reader.text(node), instances };
    }
    default:
      reader.end();
      return { kind: "gone", instance, node: reader.text(node) };
  }
}

/**
 * Decodes the list of a snapshot. {@linkcode decodePresenceHead} must have accepted the message.
 *
 * @throws {FrameError} `wrong-tag`, `truncated`, `trailing-bytes`, `invalid-utf8`, and `bad-json`
 * for a meta that is not JSON.
 *
 * @example See {@linkcode encodePresenceSnapshot}.
 */
export function decodePresenceEntries(bytes: Uint8Array): PresenceEntry[] {
  const reader = skipHead(bytes, SNAPSHOT, NUMBER_BYTES + PART_BYTES);
  const spans: EntrySpans[] = [];
  for (let left = reader.u16(); left > 0; left--) spans.push(skipEntry(reader));
  reader.end();
  const entries = spans.map((span) => readEntry(reader, span));
  for (const [i, { meta }] of entries.entries()) checkJson(meta, spans[i].meta.start);
  return entries;
}

/**
 * Decodes a list of changes. {@linkcode decodePresenceHead} must have accepted the message.
 *
 * @throws {FrameError} `wrong-tag`, `truncated`, `unknown-op`, `trailing-bytes`, `invalid-utf8`,
 * and `bad-json` for a meta that is not JSON.
 *
 * @example See {@linkcode encodePresenceChanges}.
 */
export function decodePresenceChanges(bytes: Uint8Array): PresenceChange[] {
  const reader = skipHead(bytes, CHANGES, NUMBER_BYTES);
  const spans: (EntrySpans | number)[] = [];
  for (let left = reader.u16(); left > 0; left--) spans.push(skipChange(reader));
  reader.end();
  const changes = spans.map((span) => typeof span === "number" ? span : readEntry(reader, span));
  for (const [i, change] of changes.entries()) {
    const span = spans[i];
    if (typeof change !== "number" && typeof span !== "number") {
      checkJson(change.meta, span.meta.start);
    }
  }
  return changes;
}

interface EntrySpans {
  readonly key: number;
  readonly room: TextSpan;
  readonly id: TextSpan;
  readonly meta: TextSpan;
}

function skipHead(bytes: Uint8Array, kind: number, fieldBytes: number): Reader {
  const reader = new Reader(bytes, kind, `presence ${NAMES[kind]}`);
  reader.copy(PRESENCE_INSTANCE_BYTES);
  reader.skipText16();
  reader.copy(fieldBytes);
  return reader;
}

function skipEntry(reader: Reader): EntrySpans {
  return {
    key: readU48(reader),
    room: reader.skipText16(),
    id: reader.skipText16(),
    meta: reader.skipText16(),
  };
}

function skipChange(reader: Reader): EntrySpans | number {
  const offset = reader.offset;
  const op = reader.u8();
  if (op === TRACK) return skipEntry(reader);
  if (op === UNTRACK) return readU48(reader);
  throw new FrameError("unknown-op", offset, `presence change has op ${op}, 1 and 2 are known`);
}

function readEntry(reader: Reader, { key, room, id, meta }: EntrySpans): PresenceEntry {
  return { key, room: reader.text(room), id: reader.text(id), meta: reader.text(meta) };
}

function checkJson(meta: string, offset: number): void {
  if (meta === "") return;
  try {
    JSON.parse(meta);
  } catch {
    throw new FrameError("bad-json", offset, `the meta at offset ${offset} is not JSON`);
  }
}

function headLength(node: string): number {
  return 1 + PRESENCE_INSTANCE_BYTES + text16Length(node, "node of a presence message");
}

function begin({ instance, node }: PresenceSender, kind: number, bodySize: number): Writer {
  const writer = new Writer(headLength(node) + bodySize, kind);
  return writer.copy(instanceBytes(instance)).text16(node);
}

function writeEntry(writer: Writer, { key, room, id, meta }: PresenceEntry): void {
  writeU48(writer, key).text16(room).text16(id).text16(meta);
}

function writeU48(writer: Writer, value: number): Writer {
  return writer.u32(value).u16(value / U32);
}

function readU48(reader: Reader): number {
  return reader.u32() + reader.u16() * U32;
}

function readInstance(reader: Reader): string {
  return toHex(reader.copy(PRESENCE_INSTANCE_BYTES));
}

function instanceBytes(instance: string): Uint8Array {
  const bytes = fromHex(instance);
  checkSize("instance", bytes, PRESENCE_INSTANCE_BYTES);
  return bytes;
}

function checkCount(count: number): void {
  if (count <= PRESENCE_MAX_COUNT) return;
  throw new FrameError(
    "frame-too-long",
    0,
    `presence message lists ${count}, at most ${PRESENCE_MAX_COUNT} fit`,
  );
}

function badPart(offset: number, part: number, parts: number): FrameError {
  return new FrameError(
    "bad-part",
    offset,
    `presence snapshot has part ${part} of ${parts}, counted from 0`,
  );
}
