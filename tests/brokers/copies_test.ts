import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { copiesByRoom } from "../../brokers/_copies.ts";
import {
  decodeRoomBroadcast,
  decodeRoomMessage,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomMessage,
  FrameError,
  ROOM_BROADCAST,
  type RoomMessage,
  RoomNames,
} from "../../codec/mod.ts";

const names = new RoomNames();

/** A copy as a ROOM_MESSAGE, whichever of the two messages it is. */
function decode(bytes: Uint8Array): RoomMessage {
  if (bytes[0] !== ROOM_BROADCAST) return decodeRoomMessage(bytes);
  const { room, message } = decodeRoomBroadcast(bytes);
  return { rooms: [room], except: [], message };
}

Deno.test("copies: a message for one room stays unchanged", () => {
  const messages = [
    encodeRoomBroadcast("a", "hello"),
    encodeRoomClose("a", 1000, ""),
    encodeRoomMessage({ rooms: ["a"], except: ["b"], message: Uint8Array.of(1) }),
  ];
  for (const message of messages) {
    const [copy, ...others] = copiesByRoom(message, names);
    assertEquals([copy.room, others.length], ["a", 0]);
    assert(copy.message === message);
  }
});

Deno.test("copies: each copy excludes the rooms of the earlier ones", () => {
  const message = encodeRoomMessage({ rooms: ["a", "b", "c"], except: ["x"], message: "hello" });
  const copies = copiesByRoom(message, names);
  assertEquals(copies.map(({ room }) => room), ["a", "b", "c"]);
  assertEquals(copies.map(({ message }) => decodeRoomMessage(message)), [
    { rooms: ["a"], except: ["x"], message: "hello" },
    { rooms: ["b"], except: ["x", "a"], message: "hello" },
    { rooms: ["c"], except: ["x", "a", "b"], message: "hello" },
  ]);
});

Deno.test("copies: the first copy of a text without excluded rooms is a ROOM_BROADCAST", () => {
  const [first, second] = copiesByRoom(
    encodeRoomMessage({ rooms: ["a", "b"], except: [], message: "héllo" }),
    names,
  );
  assertEquals(first.message, encodeRoomBroadcast("a", "héllo"));
  assertEquals(decodeRoomMessage(second.message).except, ["a"]);
  const [bytes] = copiesByRoom(
    encodeRoomMessage({ rooms: ["a", "b"], except: [], message: Uint8Array.of(0xff) }),
    names,
  );
  assertEquals(decodeRoomMessage(bytes.message).message, Uint8Array.of(0xff));
});

Deno.test("copies: a room that is excluded or named twice has no copy of its own", () => {
  const message = encodeRoomMessage({ rooms: ["a", "b", "a", "c"], except: ["b"], message: "" });
  assertEquals(copiesByRoom(message, names).map(({ room }) => room), ["a", "c"]);
  const nobody = encodeRoomMessage({ rooms: ["a", "b"], except: ["b", "a"], message: "" });
  assertEquals(copiesByRoom(nobody, names), []);
});

Deno.test("copies: a name that is not UTF-8 is an error", () => {
  const message = encodeRoomMessage({ rooms: ["a", "b"], except: [], message: "" });
  message[6] = 0xff;
  const error = assertThrows(() => copiesByRoom(message, names), FrameError) as FrameError;
  assertEquals([error.code, error.offset], ["invalid-utf8", 6]);
});

Deno.test("copies: the copies together reach every member once, as the message itself would", () => {
  const room = fc.constantFrom("", "a", "b", "c", "é", "部屋", "x".repeat(300));
  const content = fc.oneof(fc.string({ unit: "grapheme" }), fc.uint8Array());
  fc.assert(
    fc.property(
      fc.array(room, { minLength: 1, maxLength: 7 }),
      fc.array(room, { maxLength: 4 }),
      content,
      fc.array(fc.uniqueArray(room, { maxLength: 4 }), { maxLength: 8 }),
      (rooms, except, message, members) => {
        const whole = encodeRoomMessage({ rooms, except, message });
        const copies = copiesByRoom(whole, names);
        for (const memberOf of members) {
          const isIn = (names: readonly string[]) => names.some((name) => memberOf.includes(name));
          const heard = copies
            .map(({ message }) => decode(message))
            .filter((copy) => isIn(copy.rooms) && !isIn(copy.except));
          assertEquals(heard.length, isIn(rooms) && !isIn(except) ? 1 : 0);
          for (const copy of heard) assertEquals(copy.message, message);
        }
        for (const { room, message } of copies) {
          assertEquals(decode(message).rooms, [room]);
          assert(message.length <= whole.length);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
