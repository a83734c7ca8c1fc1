import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import {
  checkRoomMessage,
  decodeRoomMessage,
  encodeRoomBroadcastInto,
  encodeRoomMessage,
  encodeRoomMessageInto,
  type RoomMessage,
  roomMessageCapacity,
} from "../../codec/mod.ts";
import { illFormedText, text } from "../_arbitraries.ts";
import { roomMessage } from "./_arbitraries.ts";
import { assertFrameError } from "./_assert.ts";
import { type InvalidVector, readVectors } from "./_vectors.ts";

interface RoomMessageVectors {
  readonly valid: readonly {
    readonly name: string;
    readonly rooms: string[];
    readonly except: string[];
    readonly text?: string;
    /** Of a binary message, in hexadecimal. */
    readonly bytes?: string;
    readonly hex: string;
  }[];
  readonly invalid: readonly InvalidVector[];
}

const vectors = await readVectors<RoomMessageVectors>("room_message.json");
const encoder = new TextEncoder();

/** A byte that no encoder writes: shows what was left alone. */
const UNTOUCHED = 0xff;
const MAX_ROOM_BYTES = 65_535;

Deno.test("room messages of the test vectors are encoded and decoded to the byte", async (t) => {
  for (const { name, rooms, except, hex, ...message } of vectors.valid) {
    await t.step(name, () => {
      const decoded = {
        rooms,
        except,
        message: message.text ?? Uint8Array.fromHex(message.bytes ?? ""),
      };
      assertEquals(encodeRoomMessage(decoded).toHex(), hex);
      assertEquals(decodeRoomMessage(Uint8Array.fromHex(hex)), decoded);
    });
  }
});

Deno.test("malformed room messages of the test vectors are refused with their code", async (t) => {
  for (const { name = "", hex, code } of vectors.invalid) {
    await t.step(name, () => {
      assertFrameError(() => decodeRoomMessage(Uint8Array.fromHex(hex)), code);
    });
  }
});

Deno.test("a room message with a fault is refused where the fault is", () => {
  const at = (hex: string) => () => decodeRoomMessage(Uint8Array.fromHex(hex));
  assertFrameError(at("e202"), "unknown-flags", 1);
  assertFrameError(at("e200000000000100000078"), "no-target", 2);
  assertFrameError(at("e2000100030061eda0000000000000"), "invalid-utf8", 7);
  assertFrameError(at("e200010001006101000100ff00000000"), "invalid-utf8", 11);
  assertFrameError(at("e2000100010061000002000000c328"), "invalid-utf8", 13);
});

Deno.test("a room message both short and without a room is truncated", () => {
  const bytes = Uint8Array.fromHex("e200000000000100000078");
  for (let length = 2; length < bytes.length; length++) {
    assertFrameError(() => decodeRoomMessage(bytes.subarray(0, length)), "truncated", length);
  }
  assertFrameError(
    () => decodeRoomMessage(concat([bytes, Uint8Array.of(0)])),
    "trailing-bytes",
    bytes.length,
  );
});

Deno.test("the flags are checked after the tag and before everything else", () => {
  const bytes = encodeRoomMessage({ rooms: ["a"], except: [], message: "x" });
  for (let flags = 0; flags < 256; flags++) {
    bytes[1] = flags;
    for (const length of [2, bytes.length - 1, bytes.length]) {
      const cut = bytes.subarray(0, length);
      if (flags > 1) assertFrameError(() => decodeRoomMessage(cut), "unknown-flags", 1);
      else if (length < bytes.length) assertFrameError(() => decodeRoomMessage(cut), "truncated");
      else {
        assertEquals(decodeRoomMessage(cut).message, flags === 0 ? "x" : Uint8Array.of(0x78));
      }
    }
  }
});

Deno.test("texts are checked in the order of the layout: rooms, excluded rooms, message", () => {
  const bytes = encodeRoomMessage({ rooms: ["a", "b"], except: ["c"], message: "d" });
  for (const character of ["d", "c", "b", "a"]) {
    const offset = bytes.lastIndexOf(character.charCodeAt(0));
    bytes[offset] = 0xff;
    assertFrameError(() => decodeRoomMessage(bytes), "invalid-utf8", offset);
  }
});

Deno.test("a binary message need not be UTF-8, but its rooms must", () => {
  const message = Uint8Array.of(0xff, 0xed, 0xa0, 0x80);
  const bytes = encodeRoomMessage({ rooms: ["a"], except: [], message });
  assertEquals(decodeRoomMessage(bytes).message, message);
  bytes[6] = 0xff;
  assertFrameError(() => decodeRoomMessage(bytes), "invalid-utf8", 6);
});

Deno.test("a message to no room cannot be encoded", () => {
  const message = { rooms: [], except: ["a"], message: "x" };
  assertFrameError(() => encodeRoomMessage(message), "no-target", 2);
  assertFrameError(() => encodeRoomMessageInto(message, new Uint8Array(99)), "no-target", 2);
});

Deno.test("a list has up to 65,535 names", () => {
  const most = Array.from({ length: 65_535 }, (_, i) => i.toString(36));
  const tooMany = [...most, "one more"];
  const message = { rooms: most, except: most, message: "x" };
  assertEquals(decodeRoomMessage(encodeRoomMessage(message)), message);
  assertFrameError(() => encodeRoomMessage({ ...message, rooms: tooMany }), "frame-too-long", 2);
  assertFrameError(
    () => encodeRoomMessage({ ...message, rooms: ["ab"], except: tooMany }),
    "frame-too-long",
    8,
  );
});

Deno.test("a room name has up to 65,535 bytes, in either list", () => {
  for (const character of ["r", "é", "部", "🎉"]) {
    const bytes = encoder.encode(character).length;
    const longest = character.repeat(MAX_ROOM_BYTES / bytes) + "r".repeat(MAX_ROOM_BYTES % bytes);
    const message = { rooms: ["ab", longest], except: [longest], message: "x" };
    assertEquals(decodeRoomMessage(encodeRoomMessage(message)), message);

    const target = new Uint8Array(500_000);
    const tooLong = longest + "r";
    for (
      const [faulty, offset] of [
        [{ ...message, rooms: ["ab", tooLong] }, 10],
        [{ ...message, rooms: ["ab"], except: ["é", tooLong] }, 16],
      ] as const
    ) {
      assertFrameError(() => encodeRoomMessage(faulty), "room-too-long", offset);
      assertFrameError(() => encodeRoomMessageInto(faulty, target, 7), "room-too-long", offset);
    }
  }
});

Deno.test("the message length uses all of its bytes, and is unsigned", () => {
  for (const length of [0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000]) {
    const message = new Uint8Array(length).fill(7);
    const bytes = encodeRoomMessage({ rooms: [""], except: [], message });
    assertEquals(new DataView(bytes.buffer).getUint32(8, true), length);
    assertEquals(bytes.length - checkRoomMessage(bytes), length);
    for (const wrong of [0x8000_0000, 0xffff_ffff]) {
      new DataView(bytes.buffer).setUint32(8, wrong, true);
      assertFrameError(() => checkRoomMessage(bytes), "truncated", bytes.length);
    }
  }
});

Deno.test("a message of 4 GiB is refused, because its length would not fit", () => {
  const message: Uint8Array = Object.create(Uint8Array.prototype, { length: { value: 2 ** 32 } });
  const target = new Uint8Array(100);
  const parts = { rooms: ["ab"], except: [], message };
  assertFrameError(() => encodeRoomMessageInto(parts, target, 7), "message-too-long", 14);
  assertFrameError(() => encodeRoomBroadcastInto("ab", message, target, 7), "message-too-long", 9);
});

Deno.test("encoding a room message gives the layout, and decoding gives it back", () => {
  fc.assert(
    fc.property(roomMessage, (message) => {
      const bytes = encodeRoomMessage(message);
      assertEquals(bytes, byTheBook(message));
      assertEquals(decodeRoomMessage(bytes), message);
      assertEquals(bytes.subarray(checkRoomMessage(bytes)), messageBytes(message));
    }),
    { numRuns: 500 },
  );
});

Deno.test("a text that is given as UTF-8 travels as text", () => {
  fc.assert(fc.property(roomMessage, ({ rooms, except }) => {
    const text = rooms.join("");
    const utf8 = { rooms, except, message: encoder.encode(text) };
    const asText = encodeRoomMessage({ rooms, except, message: text });
    assertEquals(encodeRoomMessage(utf8, { utf8: true }), asText);
    const target = new Uint8Array(roomMessageCapacity(utf8));
    assertEquals(encodeRoomMessageInto(utf8, target, 0, { utf8: true }), asText.length);
    assertEquals(target, asText);
  }));
});

Deno.test("encoding a room message into a target writes the same bytes as encoding alone, and nothing around them", () => {
  fc.assert(
    fc.property(roomMessage, fc.nat({ max: 8 }), (message, start) => {
      const capacity = roomMessageCapacity(message);
      const memory = new Uint8Array(start + capacity + 8).fill(UNTOUCHED);
      const size = encodeRoomMessageInto(message, memory, start);
      assert(size <= capacity);
      assertEquals(memory.subarray(start, start + size), byTheBook(message));
      assert(memory.subarray(0, start).every((byte) => byte === UNTOUCHED));
      assert(memory.subarray(start + capacity).every((byte) => byte === UNTOUCHED));
    }),
    { numRuns: 500 },
  );
});

Deno.test("a target of the exact size is enough for a room message, and a smaller one is refused without a write beyond it", () => {
  fc.assert(
    fc.property(roomMessage, fc.nat(), (message, seed) => {
      const expected = byTheBook(message);
      const exact = new Uint8Array(expected.length);
      assertEquals(encodeRoomMessageInto(message, exact), expected.length);
      assertEquals(exact, expected);

      for (const length of [expected.length - 1, seed % expected.length]) {
        const memory = new Uint8Array(length + 100).fill(UNTOUCHED);
        assertFrameError(
          () => encodeRoomMessageInto(message, memory.subarray(0, length)),
          "target-too-small",
          length,
        );
        assert(memory.subarray(length).every((byte) => byte === UNTOUCHED));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("a lone surrogate in any text of a room message is refused at its index", () => {
  fc.assert(
    fc.property(illFormedText, text, ({ illFormed, index }, other) => {
      const messages = [
        { rooms: [other, illFormed], except: [other], message: other },
        { rooms: [other], except: [illFormed], message: other },
        { rooms: [other], except: [], message: illFormed },
      ];
      const target = new Uint8Array(3 * (3 * other.length + illFormed.length) + 100);
      for (const message of messages) {
        assertFrameError(() => encodeRoomMessage(message), "ill-formed-text", index);
        assertFrameError(() => encodeRoomMessageInto(message, target), "ill-formed-text", index);
      }
    }),
  );
});

/** The layout of docs/wire.md, written down once more with the platform's own means. */
function byTheBook({ rooms, except, message }: RoomMessage): Uint8Array {
  const names = (list: readonly string[]) => [
    littleEndian(2, list.length),
    ...list.flatMap((name) => {
      const bytes = encoder.encode(name);
      return [littleEndian(2, bytes.length), bytes];
    }),
  ];
  const bytes = messageBytes({ message });
  return concat([
    Uint8Array.of(0xe2, typeof message === "string" ? 0 : 1),
    ...names(rooms),
    ...names(except),
    littleEndian(4, bytes.length),
    bytes,
  ]);
}

function messageBytes({ message }: Pick<RoomMessage, "message">): Uint8Array {
  return typeof message === "string" ? encoder.encode(message) : message;
}

function littleEndian(size: number, value: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => value >>> 8 * i);
}
