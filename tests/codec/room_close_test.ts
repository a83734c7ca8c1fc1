import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import {
  checkRoomClose,
  decodeRoomClose,
  encodeRoomClose,
  isCloseCode,
  MAX_CLOSE_REASON_BYTES,
} from "../../codec/mod.ts";
import { illFormedText, text } from "../_arbitraries.ts";
import { closeCode, closeReason } from "./_arbitraries.ts";
import { assertFrameError } from "./_assert.ts";
import { type InvalidVector, readVectors } from "./_vectors.ts";

interface RoomCloseVectors {
  readonly closeValid: readonly {
    readonly room: string;
    readonly code: number;
    readonly reason: string;
    readonly hex: string;
  }[];
  readonly closeInvalid: readonly InvalidVector[];
}

const vectors = await readVectors<RoomCloseVectors>("room_message.json");

Deno.test("room closes of the test vectors are encoded and decoded to the byte", () => {
  for (const { room, code, reason, hex } of vectors.closeValid) {
    assertEquals(encodeRoomClose(room, code, reason).toHex(), hex);
    assertEquals(decodeRoomClose(Uint8Array.fromHex(hex)), { room, code, reason });
  }
});

Deno.test("malformed room closes of the test vectors are refused with their code", async (t) => {
  for (const { name = "", hex, code } of vectors.closeInvalid) {
    await t.step(name, () => {
      assertFrameError(() => decodeRoomClose(Uint8Array.fromHex(hex)), code);
    });
  }
});

Deno.test("close codes are 1000, 1001, 1003, 1007 to 1014 and 3000 to 4999, and no others", () => {
  const bytes = encodeRoomClose("r", 1000, "");
  for (let code = 0; code <= 0xffff; code++) {
    const isAllowed = [1000, 1001, 1003].includes(code) || code >= 1007 && code <= 1014 ||
      code >= 3000 && code <= 4999;
    assertEquals(isCloseCode(code), isAllowed, `${code}`);
    bytes[4] = code;
    bytes[5] = code >> 8;
    if (isAllowed) {
      assertEquals(decodeRoomClose(bytes).code, code);
      assertEquals(encodeRoomClose("r", code, ""), bytes);
    } else {
      assertFrameError(() => decodeRoomClose(bytes), "bad-close-code", 4);
      assertFrameError(() => encodeRoomClose("r", code, ""), "bad-close-code", 4);
    }
  }
});

Deno.test("a close code that is not a whole number of 16 bits cannot be encoded", () => {
  for (const code of [1000.5, NaN, Infinity, -1000, 65_536 + 1000]) {
    assertFrameError(() => encodeRoomClose("r", code, ""), "bad-close-code", 4);
  }
});

Deno.test("a close reason has up to 123 bytes, in any script", () => {
  for (const longest of ["x".repeat(123), "é".repeat(61) + "x", "部".repeat(41), "🎉".repeat(30)]) {
    const bytes = encodeRoomClose("room", 1000, longest);
    assertEquals(decodeRoomClose(bytes).reason, longest);
    const tooLong = longest + "é🎉";
    assertFrameError(() => encodeRoomClose("room", 1000, tooLong), "reason-too-long", 9);
  }
  assertFrameError(() => encodeRoomClose("", 1000, "x".repeat(124)), "reason-too-long", 5);
});

Deno.test("a close reason of 124 to 255 bytes is refused although its length can be read", () => {
  const bytes = encodeRoomClose("r", 1000, "");
  for (let size = 0; size < 256; size++) {
    const longer = concat([bytes.subarray(0, 6), Uint8Array.of(size), new Uint8Array(size)]);
    if (size <= MAX_CLOSE_REASON_BYTES) assertEquals(checkRoomClose(longer), 4);
    else {
      assertFrameError(() => checkRoomClose(longer), "reason-too-long", 6);
      assertFrameError(() => decodeRoomClose(longer), "reason-too-long", 6);
    }
  }
});

Deno.test("lengths are checked first, then the code, the reason's length and the texts", () => {
  const bytes = concat([
    Uint8Array.of(0xe5, 1, 0, 0xff, 0, 0, 124),
    new Uint8Array(124).fill(0xff),
  ]);
  assertFrameError(() => decodeRoomClose(bytes.subarray(0, -1)), "truncated", bytes.length - 1);
  const longer = concat([bytes, Uint8Array.of(0)]);
  assertFrameError(() => decodeRoomClose(longer), "trailing-bytes", bytes.length);
  assertFrameError(() => decodeRoomClose(bytes), "bad-close-code", 4);
  bytes.set([0xe8, 0x03], 4);
  assertFrameError(() => decodeRoomClose(bytes), "reason-too-long", 6);
  bytes[6] = 123;
  const shorter = bytes.subarray(0, -1);
  assertFrameError(() => decodeRoomClose(shorter), "invalid-utf8", 3);
  bytes[3] = 0x61;
  assertFrameError(() => decodeRoomClose(shorter), "invalid-utf8", 7);
  assertEquals(checkRoomClose(shorter), 4);
});

Deno.test("any encoded room close is decoded to the same", () => {
  fc.assert(fc.property(text, closeCode, closeReason, (room, code, reason) => {
    const bytes = encodeRoomClose(room, code, reason);
    assertEquals(decodeRoomClose(bytes), { room, code, reason });
    assertEquals(checkRoomClose(bytes), 3 + new TextEncoder().encode(room).length);
  }));
});

Deno.test("a room close can name a room of 65,535 bytes, but not of 65,536", () => {
  const room = "r".repeat(65_535);
  assertEquals(decodeRoomClose(encodeRoomClose(room, 1000, "bye")).room, room);
  assertFrameError(() => encodeRoomClose(`${room}r`, 1000, "bye"), "room-too-long", 3);
});

Deno.test("a lone surrogate in either text of a room close is refused at its index", () => {
  fc.assert(fc.property(illFormedText, ({ illFormed, index }) => {
    assertFrameError(() => encodeRoomClose(illFormed, 1000, ""), "ill-formed-text", index);
    assertFrameError(() => encodeRoomClose("", 1000, illFormed), "ill-formed-text", index);
  }));
});
