import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { RoomNames } from "../../codec/mod.ts";
import { nearlyUtf8, text } from "../_arbitraries.ts";
import { readText } from "../../codec/_text.ts";
import { assertFrameError, frameErrorOf } from "./_assert.ts";

const encoder = new TextEncoder();

Deno.test("a remembered name equals the decoded one, whatever was read before", () => {
  const few = fc.array(text, { minLength: 1, maxLength: 3 }).chain((names) =>
    fc.array(fc.constantFrom(...names), { maxLength: 12 })
  );
  fc.assert(fc.property(few, (names) => {
    const remembered = new RoomNames();
    for (const name of names) {
      const bytes = encoder.encode(`<${name}>`);
      assertEquals(remembered.read(bytes, 1, bytes.length - 1), name);
    }
  }));
});

Deno.test("names beyond the memory's size are all read right, as often as they come", () => {
  const names = Array.from({ length: 5_000 }, (_, i) => `room ${i}`);
  const remembered = new RoomNames();
  for (let round = 0; round < 2; round++) {
    for (const name of names) {
      const bytes = encoder.encode(name);
      assertEquals(remembered.read(bytes, 0, bytes.length), name);
    }
  }
});

Deno.test("names of 64 and 65 bytes and the empty one are read right twice", () => {
  const remembered = new RoomNames();
  for (const name of ["", "a".repeat(63), "a".repeat(64), "a".repeat(65), "", "é".repeat(32)]) {
    const bytes = encoder.encode(name);
    for (let times = 0; times < 2; times++) {
      assertEquals(remembered.read(bytes, 0, bytes.length), name);
    }
  }
});

Deno.test("a remembered name stays when the memory it was read from is used again", () => {
  const remembered = new RoomNames();
  const bytes = encoder.encode("lobby");
  assertEquals(remembered.read(bytes, 0, 5), "lobby");
  bytes.set(encoder.encode("lobbi"));
  assertEquals(remembered.read(bytes, 0, 5), "lobbi");
  assertEquals(remembered.read(encoder.encode("lobby"), 0, 5), "lobby");
});

Deno.test("a name that is not UTF-8 is refused each time, at its fault", () => {
  fc.assert(fc.property(nearlyUtf8, (bytes) => {
    const remembered = new RoomNames();
    const fault = frameErrorOf(() => readText(bytes, 0, bytes.length));
    for (let times = 0; times < 2; times++) {
      const read = () => remembered.read(bytes, 0, bytes.length);
      if (fault) assertFrameError(read, "invalid-utf8", fault.offset);
      else assertEquals(read(), new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
    }
  }));
});
