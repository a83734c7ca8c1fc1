import { assertEquals } from "@std/assert";
import { checkGoodbye, encodeGoodbye } from "../../codec/mod.ts";
import { assertFrameError } from "./_assert.ts";
import { readVectors } from "./_vectors.ts";

const { goodbye } = await readVectors<{ goodbye: { hex: string } }>("session.json");

Deno.test("goodbye of the test vectors is encoded and accepted to the byte", () => {
  assertEquals(encodeGoodbye().toHex(), goodbye.hex);
  checkGoodbye(Uint8Array.fromHex(goodbye.hex));
});

Deno.test("goodbye is only its tag", () => {
  assertFrameError(() => checkGoodbye(new Uint8Array()), "truncated", 0);
  assertFrameError(() => checkGoodbye(Uint8Array.of(0xe1)), "wrong-tag", 0);
  assertFrameError(() => checkGoodbye(Uint8Array.of(0xe0, 0)), "trailing-bytes", 1);
});

Deno.test("changing an encoded goodbye does not change the next one", () => {
  encodeGoodbye().fill(0);
  checkGoodbye(encodeGoodbye());
});
