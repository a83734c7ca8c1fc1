import { assert, assertEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import {
  decodeRoomInterest,
  encodeRoomInterest,
  encodeRoomInterests,
  MAX_ROOM_INTEREST_BYTES,
  type RoomInterestOp,
} from "../../codec/mod.ts";
import { illFormedText, text } from "../_arbitraries.ts";
import { roomInterest } from "./_arbitraries.ts";
import { assertFrameError } from "./_assert.ts";

Deno.test("each op has its byte, and names follow to the end", () => {
  const examples: [RoomInterestOp, string[], string][] = [
    ["everything", [], "e300"],
    ["only", [], "e301"],
    ["only", ["lobby"], "e30105006c6f626279"],
    ["add", ["a", "é"], "e30201006102 00c3a9"],
    ["remove", ["", "b"], "e3030000010062"],
  ];
  for (const [op, rooms, spaced] of examples) {
    const hex = spaced.replaceAll(" ", "");
    assertEquals(encodeRoomInterest({ op, rooms }).toHex(), hex);
    assertEquals(decodeRoomInterest(Uint8Array.fromHex(hex)), { op, rooms });
  }
});

Deno.test("an op above 3 is unknown, whatever follows it", () => {
  for (let op = 4; op < 256; op++) {
    assertFrameError(() => decodeRoomInterest(Uint8Array.of(0xe3, op)), "unknown-op", 1);
    assertFrameError(() => decodeRoomInterest(Uint8Array.of(0xe3, op, 9)), "unknown-op", 1);
  }
});

Deno.test("the op everything carries no names", () => {
  assertFrameError(() => decodeRoomInterest(Uint8Array.of(0xe3, 0, 0, 0)), "trailing-bytes", 2);
  assertFrameError(() => decodeRoomInterest(Uint8Array.of(0xe3, 0, 9)), "trailing-bytes", 2);
  assertThrows(
    () => encodeRoomInterest({ op: "everything", rooms: ["a"] }),
    RangeError,
    "carries no names",
  );
});

Deno.test("a name that is cut off is truncated, even if an earlier name is not UTF-8", () => {
  const bytes = Uint8Array.of(0xe3, 2, 1, 0, 0xff, 2, 0, 0x61);
  assertFrameError(() => decodeRoomInterest(bytes), "truncated", 8);
  assertFrameError(() => decodeRoomInterest(bytes.subarray(0, 6)), "truncated", 6);
  assertFrameError(() => decodeRoomInterest(bytes.subarray(0, 5)), "invalid-utf8", 4);
});

Deno.test("names take at most 64 KiB together", () => {
  // Tag, op and two lengths are 6 bytes.
  const rooms = ["a".repeat(40_000), "b".repeat(MAX_ROOM_INTEREST_BYTES - 40_000 - 6)];
  const bytes = encodeRoomInterest({ op: "add", rooms });
  assertEquals(bytes.length, MAX_ROOM_INTEREST_BYTES);
  assertEquals(decodeRoomInterest(bytes), { op: "add", rooms });

  const longer = [rooms[0], `${rooms[1]}b`];
  assertFrameError(
    () => encodeRoomInterest({ op: "add", rooms: longer }),
    "frame-too-long",
    MAX_ROOM_INTEREST_BYTES,
  );
  const encoded = concat([
    Uint8Array.of(0xe3, 2),
    encodeRoomInterest({ op: "add", rooms: [longer[0]] }).subarray(2),
    encodeRoomInterest({ op: "add", rooms: [longer[1]] }).subarray(2),
  ]);
  assertEquals(encoded.length, MAX_ROOM_INTEREST_BYTES + 1);
  assertFrameError(() => decodeRoomInterest(encoded), "frame-too-long", MAX_ROOM_INTEREST_BYTES);
});

Deno.test("a single name may have the largest length of a name", () => {
  const rooms = ["r".repeat(65_535)];
  const bytes = encodeRoomInterest({ op: "only", rooms });
  assertEquals(bytes.length, 65_539);
  assertEquals(decodeRoomInterest(bytes), { op: "only", rooms });
  assertFrameError(
    () => encodeRoomInterest({ op: "only", rooms: [`${rooms[0]}r`] }),
    "room-too-long",
    4,
  );
  // An empty name after it is one too many, and a piece of its length as well.
  for (const more of [Uint8Array.of(0, 0), Uint8Array.of(0)]) {
    assertFrameError(() => decodeRoomInterest(concat([bytes, more])), "frame-too-long", 65_536);
  }
});

Deno.test("any encoded interest is decoded to the same", () => {
  fc.assert(fc.property(roomInterest, (interest) => {
    assertEquals(decodeRoomInterest(encodeRoomInterest(interest)), interest);
  }));
});

Deno.test("a lone surrogate in a name is refused at its index in that name", () => {
  fc.assert(fc.property(illFormedText, ({ illFormed, index }) => {
    const rooms = ["a", illFormed];
    assertFrameError(() => encodeRoomInterest({ op: "add", rooms }), "ill-formed-text", index);
    assertFrameError(() => [...encodeRoomInterests("add", rooms)], "ill-formed-text", index);
  }));
});

Deno.test("a list of any length is encoded in as few messages as possible, with op only at the end", () => {
  const rooms = fc.array(fc.tuple(text, fc.nat({ max: 30_000 })), { maxLength: 8 }).map((rooms) =>
    rooms.map(([text, more]) => text.slice(0, 100).toWellFormed() + "x".repeat(more))
  );
  const op = fc.constantFrom("only" as const, "add" as const, "remove" as const);
  fc.assert(
    fc.property(op, rooms, (op, rooms) => {
      const messages = [...encodeRoomInterests(op, rooms)];
      const decoded = messages.map(decodeRoomInterest);
      assertEquals(decoded.flatMap(({ rooms }) => rooms), rooms);
      const ops = decoded.map(({ op }) => op);
      if (op !== "only") assert(ops.every((each) => each === op) && !decoded.some(isEmpty));
      else {
        assertEquals(ops.pop(), "only");
        assert(ops.every((each) => each === "add"));
      }
      for (const [i, bytes] of messages.slice(0, -1).entries()) {
        // The first name of the next message did not fit.
        const next = encodeRoomInterest({ op: "add", rooms: [decoded[i + 1].rooms[0]] });
        assert(bytes.length + next.length - 2 > MAX_ROOM_INTEREST_BYTES);
      }
    }),
  );
});

Deno.test("an empty list is one message with op only, and none with op add or remove", () => {
  assertEquals([...encodeRoomInterests("only", [])], [Uint8Array.of(0xe3, 1)]);
  assertEquals([...encodeRoomInterests("add", [])], []);
  assertEquals([...encodeRoomInterests("remove", [])], []);
});

function isEmpty({ rooms }: { readonly rooms: readonly string[] }): boolean {
  return rooms.length === 0;
}
