import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { encodeRoomBroadcast } from "../../mod.ts";
import { RoomNames } from "../../rooms/_room_names.ts";
import { assertFrameError } from "../codec/_assert.ts";

function read(names: RoomNames, broadcast: Uint8Array): string {
  return names.read(broadcast, 3 + (broadcast[1] | broadcast[2] << 8));
}

Deno.test("every one of 20,000 rooms is given its own name, again and again", () => {
  const remembered = new RoomNames();
  const names = Array.from({ length: 20_000 }, (_, i) => `room-${i.toString(36).padStart(4, "0")}`);
  const broadcasts = names.map((name) => encodeRoomBroadcast(name, ""));
  for (let round = 0; round < 3; round++) {
    assertEquals(broadcasts.map((broadcast) => read(remembered, broadcast)), names);
  }
});

Deno.test("rooms whose names differ in one byte only are told apart, wherever it is", () => {
  const remembered = new RoomNames();
  const broadcast = encodeRoomBroadcast("lobby", "");
  for (let at = 3; at < 8; at++) {
    for (let other = 0; other < 200; other++) {
      broadcast[3 + (at - 2) % 5] = other % 0x80;
      broadcast[3 + (at - 1) % 5] = 0x61 + other % 7;
      for (let byte = 0x20; byte < 0x7f; byte++) {
        broadcast[at] = byte;
        const expected = String.fromCharCode(...broadcast.subarray(3, 8));
        const room = read(remembered, broadcast);
        if (room !== expected) assertStrictEquals(room, expected);
      }
    }
  }
});

Deno.test("rooms whose names are alike are told apart in any order", () => {
  const units = ["a", "b", "\0", "ä", "部", "🎉"];
  const name = fc.oneof(
    fc.string({ unit: fc.constantFrom(...units), maxLength: 3 }),
    // Around the length up to which names are remembered.
    fc.tuple(fc.integer({ min: 28, max: 34 }), fc.constantFrom(...units))
      .map(([length, unit]) => "a".repeat(length) + unit),
  );
  fc.assert(fc.property(fc.array(name, { maxLength: 50 }), (names) => {
    const remembered = new RoomNames();
    // One memory for all: a name that was only pointed at would change with it.
    const memory = new Uint8Array(1000);
    for (const name of [...names, ...names]) {
      const broadcast = encodeRoomBroadcast(name, "");
      memory.set(broadcast);
      assertStrictEquals(read(remembered, memory.subarray(0, broadcast.length)), name);
    }
  }));
});

Deno.test("a name that is not UTF-8 is refused each time, and leaves the others alone", () => {
  const remembered = new RoomNames();
  const good = encodeRoomBroadcast("lobby", "hello");
  const bad = good.slice();
  bad[7] = 0xff;
  for (let round = 0; round < 3; round++) {
    assertFrameError(() => read(remembered, bad), "invalid-utf8", 7);
    assertEquals(read(remembered, good), "lobby");
  }
});
