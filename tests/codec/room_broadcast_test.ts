import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { concat, equals } from "@std/bytes";
import fc from "fast-check";
import {
  checkMessage,
  checkRoom,
  checkRoomBroadcast,
  decodeRoomBroadcast,
  encodeRoomBroadcast,
  encodeRoomBroadcastInto,
  MAX_ROOM_BYTES,
  readMessage,
  readRoom,
  ROOM_BROADCAST_OVERHEAD,
  roomBroadcastCapacity,
} from "../../codec/mod.ts";
import { illFormedText, text } from "../_arbitraries.ts";
import { assertFrameError, frameErrorOf } from "./_assert.ts";
import { type InvalidVector, readVectors } from "./_vectors.ts";

type TextVector = string | { readonly repeat: string; readonly times: number };

interface RoomBroadcastVectors {
  readonly valid: readonly {
    readonly name: string;
    readonly room: TextVector;
    readonly message: TextVector;
    /** The whole message, or, of a long one, its length and beginning. */
    readonly hex?: string;
    readonly length?: number;
    readonly headHex?: string;
  }[];
  readonly invalid: readonly InvalidVector[];
}

const vectors = await readVectors<RoomBroadcastVectors>("room_broadcast.json");
const encoder = new TextEncoder();

/** A byte that no encoder writes: shows what was left alone. */
const UNTOUCHED = 0xff;

Deno.test("room broadcasts of the test vectors are encoded and decoded to the byte", async (t) => {
  for (const { name, hex, length, headHex, ...texts } of vectors.valid) {
    await t.step(name, () => {
      const room = expand(texts.room);
      const message = expand(texts.message);
      const bytes = encodeRoomBroadcast(room, message);
      if (hex !== undefined) assertEquals(bytes.toHex(), hex);
      else {
        assertEquals(bytes.length, length);
        assert(headHex !== undefined && bytes.toHex().startsWith(headHex));
      }
      assertEquals(decodeRoomBroadcast(bytes), { room, message });
    });
  }
});

Deno.test("malformed room broadcasts of the test vectors are refused with their code", async (t) => {
  for (const { name = "", hex, code } of vectors.invalid) {
    await t.step(name, () => {
      assertFrameError(() => decodeRoomBroadcast(Uint8Array.fromHex(hex)), code);
    });
  }
});

Deno.test("a room name of 65,535 bytes is accepted, in any script", () => {
  for (const room of roomsOf(MAX_ROOM_BYTES)) {
    checkRoom(room);
    const bytes = encodeRoomBroadcast(room, "end");
    assertEquals(bytes.length, ROOM_BROADCAST_OVERHEAD + MAX_ROOM_BYTES + 3);
    assertEquals(decodeRoomBroadcast(bytes), { room, message: "end" });
    const target = new Uint8Array(bytes.length);
    assertEquals(encodeRoomBroadcastInto(room, "end", target), bytes.length);
    assertEquals(target, bytes);
  }
});

Deno.test("a room name of 65,536 bytes is refused before anything is written", () => {
  for (const room of [...roomsOf(MAX_ROOM_BYTES + 1), "r".repeat(1_000_000)]) {
    const target = new Uint8Array(roomBroadcastCapacity(room, "end")).fill(UNTOUCHED);
    assertFrameError(() => checkRoom(room), "room-too-long", 3);
    assertFrameError(() => encodeRoomBroadcast(room, "end"), "room-too-long", 3);
    assertFrameError(() => encodeRoomBroadcastInto(room, "end", target), "room-too-long", 3);
    assert(target.every((byte) => byte === UNTOUCHED));
  }
});

Deno.test("a room name that is too long is reported as such, even if the target is also too small", () => {
  const room = "r".repeat(MAX_ROOM_BYTES + 1);
  assertFrameError(
    () => encodeRoomBroadcastInto(room, "", new Uint8Array(10)),
    "room-too-long",
    3,
  );
});

Deno.test("the message length uses all of its bytes", () => {
  for (const length of [0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000]) {
    const message = "m".repeat(length);
    const bytes = encodeRoomBroadcast("", message);
    assertEquals(new DataView(bytes.buffer).getUint32(3, true), length);
    assertStrictEquals(decodeRoomBroadcast(bytes).message, message);
  }
});

Deno.test("message lengths from 2³¹ are read as unsigned, so the message is truncated", () => {
  for (const length of [0x8000_0000, 0x8000_0001, 0xffff_ffff]) {
    const bytes = encodeRoomBroadcast("lobby", "hello");
    new DataView(bytes.buffer).setUint32(8, length, true);
    assertFrameError(() => decodeRoomBroadcast(bytes), "truncated", bytes.length);
  }
});

Deno.test("a message of the largest size passes the check, and one byte more does not", () => {
  for (
    const [message, bytes] of [["", 0], ["hello", 5], ["é", 2], ["部屋", 6], ["🎉", 4]] as const
  ) {
    checkMessage(message, bytes);
    checkMessage(message, bytes + 1);
    if (bytes > 0) {
      assertFrameError(() => checkMessage(message, bytes - 1), "message-too-long", 7);
    }
  }
  assertFrameError(() => checkMessage("\ud800", 100), "ill-formed-text", 0);
});

Deno.test("the message check counts the bytes of the encoded message", () => {
  fc.assert(fc.property(text, fc.integer({ min: -2, max: 2 }), (message, difference) => {
    const bytes = encoder.encode(message).length;
    const error = frameErrorOf(() => checkMessage(message, bytes + difference));
    assertEquals(error?.code, difference < 0 ? "message-too-long" : undefined);
  }));
});

Deno.test("a badly encoded message is truncated if it is too short, and has trailing bytes if it is too long", () => {
  const illEncoded = Uint8Array.of(0x1e, 1, 0, 0xff, 1, 0, 0, 0, 0xff);
  assertFrameError(() => decodeRoomBroadcast(illEncoded), "invalid-utf8", 3);
  assertFrameError(() => decodeRoomBroadcast(illEncoded.subarray(0, 8)), "truncated", 8);
  assertFrameError(
    () => decodeRoomBroadcast(concat([illEncoded, Uint8Array.of(0)])),
    "trailing-bytes",
    9,
  );
});

Deno.test("the tag is checked before the lengths", () => {
  assertFrameError(() => decodeRoomBroadcast(Uint8Array.of(0x12)), "wrong-tag", 0);
  assertFrameError(() => decodeRoomBroadcast(new Uint8Array()), "truncated", 0);
});

Deno.test("a fault in the message is reported at its offset in the payload", () => {
  const bytes = encodeRoomBroadcast("café", "hello");
  bytes[bytes.length - 1] = 0x80;
  assertFrameError(() => decodeRoomBroadcast(bytes), "invalid-utf8", bytes.length - 1);
});

Deno.test("the room can be read although the message is not UTF-8", () => {
  const bytes = encodeRoomBroadcast("café", "?");
  bytes[bytes.length - 1] = 0xff;
  const roomEnd = checkRoomBroadcast(bytes);
  assertEquals(roomEnd, 8);
  assertEquals(readRoom(bytes, roomEnd), "café");
  assertFrameError(() => readMessage(bytes, roomEnd), "invalid-utf8", bytes.length - 1);
});

Deno.test("any two encoded texts are decoded to the same", () => {
  fc.assert(
    fc.property(text, text, (room, message) => {
      const bytes = encodeRoomBroadcast(room, message);
      assertEquals(bytes, byTheBook(room, message));
      const decoded = decodeRoomBroadcast(bytes);
      assertStrictEquals(decoded.room, room);
      assertStrictEquals(decoded.message, message);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("encoding into a target writes the same bytes as encoding alone, and nothing around them", () => {
  fc.assert(
    fc.property(text, text, fc.nat({ max: 8 }), (room, message, start) => {
      const capacity = roomBroadcastCapacity(room, message);
      const memory = new Uint8Array(start + capacity + 8).fill(UNTOUCHED);
      const target = memory.subarray(start, start + capacity);
      const size = encodeRoomBroadcastInto(room, message, target);
      assertEquals(target.subarray(0, size), encodeRoomBroadcast(room, message));
      assert(memory.subarray(0, start).every((byte) => byte === UNTOUCHED));
      assert(memory.subarray(start + size).every((byte) => byte === UNTOUCHED));
    }),
    { numRuns: 500 },
  );
});

Deno.test("a message that is given as UTF-8 is encoded like the text, into targets that fit", () => {
  fc.assert(fc.property(text, text, (room, message) => {
    const utf8 = encoder.encode(message);
    const expected = byTheBook(room, message);
    assertEquals(encodeRoomBroadcast(room, utf8), expected);
    const target = new Uint8Array(roomBroadcastCapacity(room, utf8) + 1).fill(UNTOUCHED);
    assertEquals(encodeRoomBroadcastInto(room, utf8, target, 1), expected.length);
    assertEquals(target.subarray(1, 1 + expected.length), expected);
    assertEquals(target[0], UNTOUCHED);
    const exact = new Uint8Array(expected.length);
    assertEquals(encodeRoomBroadcastInto(room, utf8, exact), exact.length);
    const tooSmall = exact.subarray(1);
    assertFrameError(
      () => encodeRoomBroadcastInto(room, utf8, tooSmall),
      "target-too-small",
      tooSmall.length,
    );
  }));
});

Deno.test("a target's earlier content does not show in the encoding", () => {
  fc.assert(fc.property(text, text, fc.nat({ max: 255 }), (room, message, before) => {
    const target = new Uint8Array(roomBroadcastCapacity(room, message)).fill(before);
    const size = encodeRoomBroadcastInto(room, message, target);
    assertEquals(target.subarray(0, size), byTheBook(room, message));
  }));
});

Deno.test("a target of the exact size is enough, and a smaller one is refused without a write beyond it", () => {
  fc.assert(
    fc.property(text, text, fc.nat(), (room, message, seed) => {
      const expected = byTheBook(room, message);
      const exact = new Uint8Array(expected.length);
      assertEquals(encodeRoomBroadcastInto(room, message, exact), expected.length);
      assertEquals(exact, expected);

      for (const length of [expected.length - 1, seed % expected.length]) {
        const memory = new Uint8Array(length + 100).fill(UNTOUCHED);
        assertFrameError(
          () => encodeRoomBroadcastInto(room, message, memory.subarray(0, length)),
          "target-too-small",
          length,
        );
        assert(memory.subarray(length).every((byte) => byte === UNTOUCHED));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("targets may take turns, overlap and be used again", () => {
  const memory = new Uint8Array(20_000);
  const targets = [memory, memory.subarray(1), memory.subarray(0, 19_999), new Uint8Array(20_000)];
  const room = fc.string({ unit: fc.constantFrom("r", "é"), maxLength: 4 });
  const message = fc.tuple(fc.constantFrom("m", "é", "部"), fc.integer({ min: 40, max: 100 }))
    .map(([character, times]) => character.repeat(times));
  const step = fc.tuple(fc.constantFrom(...targets), room, message);
  fc.assert(fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
    for (const [target, room, message] of steps) {
      for (const memory of targets) memory.fill(UNTOUCHED);
      const size = encodeRoomBroadcastInto(room, message, target);
      assert(equals(target.subarray(0, size), byTheBook(room, message)));
      assertEquals(target[size], UNTOUCHED);
    }
  }));
});

Deno.test("a target whose memory was transferred is too small", () => {
  const target = new Uint8Array(1000);
  const message = "m".repeat(100);
  encodeRoomBroadcastInto("lobby", message, target);
  const elsewhere = new Uint8Array(target.buffer.transfer());
  assertFrameError(() => encodeRoomBroadcastInto("lobby", message, target), "target-too-small", 0);
  assertEquals(encodeRoomBroadcastInto("lobby", message, elsewhere), 112);
});

Deno.test("a lone surrogate anywhere in a text is refused at its index", () => {
  fc.assert(
    fc.property(illFormedText, text, ({ illFormed, index }, other) => {
      const target = new Uint8Array(roomBroadcastCapacity(illFormed, other));
      for (const [room, message] of [[illFormed, other], [other, illFormed]]) {
        assertFrameError(() => encodeRoomBroadcast(room, message), "ill-formed-text", index);
        assertFrameError(
          () => encodeRoomBroadcastInto(room, message, target),
          "ill-formed-text",
          index,
        );
      }
      assertFrameError(() => checkRoom(illFormed), "ill-formed-text", index);
      assertFrameError(() => checkMessage(illFormed, Infinity), "ill-formed-text", index);
    }),
    { numRuns: 500 },
  );
});

Deno.test("decoding in steps gives the same as decoding at once", () => {
  fc.assert(fc.property(text, text, (room, message) => {
    const bytes = encodeRoomBroadcast(room, message);
    const roomEnd = checkRoomBroadcast(bytes);
    assertEquals(roomEnd, 3 + encoder.encode(room).length);
    assertStrictEquals(readRoom(bytes, roomEnd), room);
    assertStrictEquals(readMessage(bytes, roomEnd), message);
  }));
});

/** The layout of docs/wire.md, written down once more with the platform's own means. */
function byTheBook(room: string, message: string): Uint8Array {
  const roomBytes = encoder.encode(room);
  const messageBytes = encoder.encode(message);
  const bytes = new Uint8Array(7 + roomBytes.length + messageBytes.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x1e);
  view.setUint16(1, roomBytes.length, true);
  bytes.set(roomBytes, 3);
  view.setUint32(3 + roomBytes.length, messageBytes.length, true);
  bytes.set(messageBytes, 7 + roomBytes.length);
  return bytes;
}

/** Room names of exactly `size` bytes, in characters of one to four bytes. */
function roomsOf(size: number): string[] {
  return ["r", "é", "部", "🎉"].map((character) => {
    const bytes = encoder.encode(character).length;
    return character.repeat(size / bytes) + "r".repeat(size % bytes);
  });
}

function expand(value: TextVector): string {
  return typeof value === "string" ? value : value.repeat.repeat(value.times);
}

Deno.test("a message that is encoded after another does not change it", () => {
  const target = new Uint8Array(100).fill(0xaa);
  const first = encodeRoomBroadcastInto("lobby", "hello", target);
  const second = encodeRoomBroadcastInto("部屋", "m".repeat(60), target, first);
  assertEquals(target.subarray(0, first), encodeRoomBroadcast("lobby", "hello"));
  assertEquals(
    target.subarray(first, first + second),
    encodeRoomBroadcast("部屋", "m".repeat(60)),
  );
  assertEquals(target.subarray(first + second).every((byte) => byte === 0xaa), true);
  assertFrameError(
    () => encodeRoomBroadcastInto("lobby", "hello", target, 100 - 16),
    "target-too-small",
  );
  assertEquals(encodeRoomBroadcastInto("lobby", "hello", target, 100 - 17), 17);
});
