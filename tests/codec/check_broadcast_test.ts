import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import {
  checkBroadcast,
  decodeRoomBroadcast,
  decodeRoomClose,
  decodeRoomMessage,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomMessage,
  RoomNames,
  targetRooms,
} from "../../codec/mod.ts";
import { mutated, text } from "../_arbitraries.ts";
import { closeCode, closeReason, roomMessage } from "./_arbitraries.ts";
import { assertFrameError, frameErrorOf } from "./_assert.ts";

/** Messages for rooms, each with the rooms that it is for. */
const forRooms: fc.Arbitrary<{ bytes: Uint8Array; rooms: readonly string[] }> = fc.oneof(
  fc.tuple(text, text).map(([room, message]) => ({
    bytes: encodeRoomBroadcast(room, message),
    rooms: [room],
  })),
  roomMessage.map((message) => ({ bytes: encodeRoomMessage(message), rooms: message.rooms })),
  fc.tuple(text, closeCode, closeReason).map(([room, code, reason]) => ({
    bytes: encodeRoomClose(room, code, reason),
    rooms: [room],
  })),
);

Deno.test("every message for rooms passes the check, which gives its rooms", () => {
  const names = new RoomNames();
  fc.assert(fc.property(forRooms, ({ bytes, rooms }) => {
    checkBroadcast(bytes);
    assertEquals(targetRooms(bytes), [...rooms]);
    assertEquals(targetRooms(bytes, names), [...rooms]);
  }));
});

Deno.test("a message with any other tag is refused, whatever follows", () => {
  fc.assert(fc.property(forRooms, fc.nat({ max: 255 }), ({ bytes }, tag) => {
    if ([0x1e, 0xe2, 0xe5].includes(tag)) return;
    assertFrameError(
      () => checkBroadcast(concat([Uint8Array.of(tag), bytes.subarray(1)])),
      "wrong-tag",
      0,
    );
  }));
  assertFrameError(() => checkBroadcast(new Uint8Array()), "truncated", 0);
});

Deno.test("the check finds the same faults as decoding, except in texts", () => {
  const decoders = new Map<number, (bytes: Uint8Array) => unknown>([
    [0x1e, decodeRoomBroadcast],
    [0xe2, decodeRoomMessage],
    [0xe5, decodeRoomClose],
  ]);
  fc.assert(
    fc.property(forRooms.chain(({ bytes }) => mutated(bytes)), (bytes) => {
      const decode = decoders.get(bytes[0]);
      if (decode === undefined) return;
      const expected = frameErrorOf(() => decode(bytes));
      const found = frameErrorOf(() => checkBroadcast(bytes));
      if (expected?.code === "invalid-utf8") assertEquals(found, undefined);
      else assertEquals([found?.code, found?.offset], [expected?.code, expected?.offset]);
    }),
    { numRuns: 1000 },
  );
});
