import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromHex, toHex } from "../../codec/hex.ts";

Deno.test("toHex writes two lower-case digits for each byte", () => {
  assertEquals(toHex(Uint8Array.of(0, 1, 0x0f, 0x10, 0xab, 0xff)), "00010f10abff");
  assertEquals(toHex(new Uint8Array()), "");
});

Deno.test("fromHex reads the output of toHex", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => assertEquals(fromHex(toHex(bytes)), bytes)),
  );
  assertEquals(fromHex("00FFab"), Uint8Array.of(0, 0xff, 0xab));
});
