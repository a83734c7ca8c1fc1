import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import {
  checkRoomMessage,
  decodeRoomMessage,
  encodeRoomMessage,
  encodeRoomMessageInto,
  type RoomMessage,
  roomMessageCapacity,
} from "../../codec/mod.ts";
import { illFormedText, text } from "../_arbitraries.ts";
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

const names = fc.array(text, { maxLength: 4 });
const roomMessage: fc.Arbitrary<RoomMessage> = fc.record({
  rooms: fc.array(text, { minLength: 1, maxLength: 4 }),
  except: names,
  message: fc.oneof(text, fc.uint8Array({ maxLength: 200 })),
});

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
