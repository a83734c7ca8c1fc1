import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { decodeMissed, encodeMissed, MAX_MISSED } from "../../codec/mod.ts";

Deno.test("a count of missed broadcasts is four bytes, least significant first", () => {
  assertEquals(encodeMissed(0).toHex(), "e400000000");
  assertEquals(encodeMissed(0x0403_0201).toHex(), "e401020304");
  assertEquals(encodeMissed(MAX_MISSED).toHex(), "e4ffffffff");
});

Deno.test("a count is read as unsigned", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: MAX_MISSED }), (count) => {
    assertEquals(decodeMissed(encodeMissed(count)), count);
  }));
  assertEquals(decodeMissed(Uint8Array.fromHex("e4000000ff")), 0xff00_0000);
});

Deno.test("a count that is not a whole number from 0 to 2³²−1 cannot be encoded", () => {
  for (const count of [-1, 0.5, NaN, MAX_MISSED + 1, Infinity]) {
    assertThrows(() => encodeMissed(count), RangeError, `got ${count}`);
  }
});
