/** UTF-8 as every message of the codec reads it, shown on the message of a room broadcast. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import {
  decodeName,
  decodePeerList,
  decodeRoomBroadcast,
  encodeRoomBroadcast,
  NAME,
  PEER_LIST,
  ROOM_BROADCAST,
} from "../../codec/mod.ts";
import { embedded, nearlyUtf8 } from "../_arbitraries.ts";
import { assertFrameError, frameErrorOf } from "./_assert.ts";

/** Bytes of a broadcast to a room without name that come before the message. */
const MESSAGE_START = 7;

/** Long enough that no method for short texts is used. */
const LONG = new TextEncoder().encode("long enough ".repeat(20));

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

Deno.test("every code point survives, in short texts and in a long one", () => {
  const points = [];
  for (let point = 0; point <= 0x10ffff; point++) {
    if (point < 0xd800 || point > 0xdfff) points.push(String.fromCodePoint(point));
  }
  for (let i = 0; i < points.length; i += 11) {
    const short = points.slice(i, i + 11).join("");
    // A bare comparison, for the number of them.
    if (roundTrip(short) !== short) assertStrictEquals(roundTrip(short), short);
  }
  const long = points.join("");
  assertStrictEquals(roundTrip(long) === long, true);
});

Deno.test("byte sequences at the edges of UTF-8 are judged as by the platform", () => {
  const seconds = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
  const others = [0x7f, 0x80, 0xbf, 0xc0];
  for (let lead = 0x7f; lead <= 0xff; lead++) {
    const sequences = [[lead], ...seconds.map((second) => [lead, second])];
    if (lead >= 0xe0) {
      for (const second of seconds) {
        for (const third of others) {
          sequences.push([lead, second, third]);
          if (lead >= 0xef) sequences.push(...others.map((last) => [lead, second, third, last]));
        }
      }
    }
    for (const sequence of sequences) {
      const bytes = Uint8Array.from(sequence);
      assertVerdict(bytes);
      assertVerdict(concat([LONG, bytes]));
    }
  }
});

Deno.test("short bytes are judged as by the platform, and the first fault is reported", () => {
  fc.assert(fc.property(nearlyUtf8, (bytes) => assertVerdict(bytes)), { numRuns: 2000 });
});

Deno.test("long bytes are judged as by the platform, and the first fault is reported", () => {
  fc.assert(
    fc.property(nearlyUtf8, nearlyUtf8, (before, after) => {
      assertVerdict(concat([before, LONG, after]));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("a fault is found at any place, in texts of every length up to 200 bytes", () => {
  for (let length = 1; length <= 200; length++) {
    const bytes = new Uint8Array(length).fill(0x61);
    for (let at = 0; at < length; at += 1 + length % 7) {
      bytes[at] = 0x80;
      assertEquals(decode(bytes).offset, at);
      bytes[at] = 0x61;
    }
    assertEquals(decode(bytes).text, "a".repeat(length));
  }
});

Deno.test("a character that its text cuts off is not completed by the bytes after it", () => {
  const cut = Uint8Array.of(0xe2, 0x82); // of the euro sign; 0xac would complete it
  for (const before of [new Uint8Array(), LONG]) {
    const text = concat([before, cut]);
    const at = before.length;
    const behind = concat([frame(text), Uint8Array.of(0xac)]);
    assertFrameError(
      () => decodeRoomBroadcast(behind.subarray(0, behind.length - 1)),
      "invalid-utf8",
      MESSAGE_START + at,
    );

    const u16 = Uint8Array.of(text.length, text.length >> 8);
    const message = concat([Uint8Array.of(0xac, 0, 0, 0), new Uint8Array(0xac)]);
    assertFrameError(
      () => decodeRoomBroadcast(concat([Uint8Array.of(ROOM_BROADCAST), u16, text, message])),
      "invalid-utf8",
      3 + at,
    );
    const name = concat([Uint8Array.of(0xac, 0), new Uint8Array(0xac)]);
    assertFrameError(
      () => decodePeerList(concat([Uint8Array.of(PEER_LIST, 2, 0), u16, text, name])),
      "invalid-utf8",
      5 + at,
    );
    const creation = Uint8Array.of(0xac);
    assertFrameError(
      () => decodeName(concat([Uint8Array.of(NAME), u16, text, creation])),
      "invalid-utf8",
      3 + at,
    );
  }
});

Deno.test("a view of a larger buffer is read as if it stood alone", () => {
  const bytesInBuffer = nearlyUtf8.chain((message) =>
    fc.tuple(fc.constant(message), embedded(frame(message)))
  );
  fc.assert(fc.property(bytesInBuffer, ([message, view]) => {
    assertEquals(decodeMessage(view), decode(message));
  }));
});

/** What decoding gives: a text, or where the first fault is. */
interface Verdict {
  readonly text?: string;
  readonly offset?: number;
}

function assertVerdict(bytes: Uint8Array): void {
  assertEquals(decode(bytes), platformVerdict(bytes));
}

function decode(message: Uint8Array): Verdict {
  return decodeMessage(frame(message));
}

function decodeMessage(broadcast: Uint8Array): Verdict {
  let text: string | undefined;
  const error = frameErrorOf(() => text = decodeRoomBroadcast(broadcast).message);
  if (error === undefined) return { text };
  assertEquals(error.code, "invalid-utf8");
  return { offset: error.offset - MESSAGE_START };
}

function platformVerdict(bytes: Uint8Array): Verdict {
  try {
    return { text: strict.decode(bytes) };
  } catch {
    // The platform does not say where: the first place at which no prefix is one character.
    for (let at = 0;;) {
      const size = [1, 2, 3, 4].find((size) => isCharacter(bytes.subarray(at, at + size)));
      if (size === undefined) return { offset: at };
      at += size;
    }
  }
}

function isCharacter(bytes: Uint8Array): boolean {
  if (bytes.length === 1) return bytes[0] < 0x80;
  try {
    return [...strict.decode(bytes)].length === 1;
  } catch {
    return false;
  }
}

/** A room broadcast to the room without a name, around bytes that may or may not be text. */
function frame(message: Uint8Array): Uint8Array {
  const head = new Uint8Array(MESSAGE_START);
  head[0] = ROOM_BROADCAST;
  new DataView(head.buffer).setUint32(3, message.length, true);
  return concat([head, message]);
}

function roundTrip(message: string): string {
  return decodeRoomBroadcast(encodeRoomBroadcast("", message)).message;
}
