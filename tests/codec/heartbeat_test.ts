import { assert, assertEquals, assertThrows } from "@std/assert";
import { decodePing, decodePong, encodePing, encodePong, FrameError } from "../../codec/mod.ts";
import { assertFrameError } from "./_assert.ts";
import { readVectors } from "./_vectors.ts";

interface HeartbeatVector {
  readonly payloadHex: string;
  readonly hex: string;
}

const { ping, pong } = await readVectors<{ ping: HeartbeatVector; pong: HeartbeatVector }>(
  "session.json",
);

Deno.test("ping and pong of the test vectors are encoded and decoded to the byte", () => {
  assertEquals(encodePing(Uint8Array.fromHex(ping.payloadHex)).toHex(), ping.hex);
  assertEquals(decodePing(Uint8Array.fromHex(ping.hex)).toHex(), ping.payloadHex);
  assertEquals(encodePong(Uint8Array.fromHex(pong.payloadHex)).toHex(), pong.hex);
  assertEquals(decodePong(Uint8Array.fromHex(pong.hex)).toHex(), pong.payloadHex);
});

Deno.test("a ping is not decoded as a pong, nor a pong as a ping", () => {
  const token = new Uint8Array(8);
  assertFrameError(() => decodePong(encodePing(token)), "wrong-tag", 0);
  assertFrameError(() => decodePing(encodePong(token)), "wrong-tag", 0);
});

Deno.test("a token without eight bytes is a programming error, which names the token", () => {
  for (const encode of [encodePing, encodePong]) {
    for (const length of [0, 7, 9]) {
      const error = assertThrows(() => encode(new Uint8Array(length)), RangeError);
      assert(!(error instanceof FrameError));
      assertEquals(error.message, `token must have 8 bytes, got ${length}`);
    }
  }
});
