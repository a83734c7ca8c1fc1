import { assertEquals } from "@std/assert";
import { decodeRoomClose, encodeRoomClose } from "../../codec/mod.ts";
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
