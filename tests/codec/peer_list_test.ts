import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import { decodePeerList, encodePeerList } from "../../codec/mod.ts";
import { illFormedText, text } from "../_arbitraries.ts";
import { assertFrameError } from "./_assert.ts";
import { type InvalidVector, readVectors } from "./_vectors.ts";

interface SessionVectors {
  readonly peerList: {
    readonly valid: readonly { readonly names: string[]; readonly hex: string }[];
    readonly invalid: readonly InvalidVector[];
  };
}

const { peerList: vectors } = await readVectors<SessionVectors>("session.json");

Deno.test("peer lists of the test vectors are encoded and decoded to the byte", () => {
  for (const { names, hex } of vectors.valid) {
    assertEquals(encodePeerList(names).toHex(), hex);
    assertEquals(decodePeerList(Uint8Array.fromHex(hex)), names);
  }
});

Deno.test("malformed peer lists of the test vectors are refused with their code", () => {
  for (const { hex, code } of vectors.invalid) {
    assertFrameError(() => decodePeerList(Uint8Array.fromHex(hex)), code);
  }
});

Deno.test("a peer list has up to 65,535 names", () => {
  const names = Array.from({ length: 65_535 }, (_, i) => i.toString(36));
  assertEquals(decodePeerList(encodePeerList(names)), names);
  assertFrameError(() => encodePeerList([...names, "one more"]), "frame-too-long", 0);
});

Deno.test("a name in a peer list has up to 65,535 bytes", () => {
  for (const name of ["n".repeat(65_535), "部".repeat(21_845)]) {
    assertEquals(decodePeerList(encodePeerList(["a", name, "b"])), ["a", name, "b"]);
    assertFrameError(() => encodePeerList(["a", name + "n"]), "frame-too-long", 0);
  }
});

Deno.test("a peer list has trailing bytes if its count is too low, and is truncated if it is too high", () => {
  const bytes = encodePeerList(["a", "b"]);
  bytes[1] = 1;
  assertFrameError(() => decodePeerList(bytes), "trailing-bytes", 6);
  bytes[1] = 3;
  assertFrameError(() => decodePeerList(bytes), "truncated", 9);
  bytes[1] = 2;
  bytes[2] = 1; // 258
  assertFrameError(() => decodePeerList(bytes), "truncated", 9);
});

Deno.test("a badly encoded list is truncated if it is too short, and has trailing bytes if it is too long", () => {
  const illEncoded = Uint8Array.of(0x12, 2, 0, 1, 0, 0xff, 1, 0, 0x61);
  assertFrameError(() => decodePeerList(illEncoded), "invalid-utf8", 5);
  assertFrameError(() => decodePeerList(illEncoded.subarray(0, 8)), "truncated", 8);
  assertFrameError(
    () => decodePeerList(concat([illEncoded, Uint8Array.of(0)])),
    "trailing-bytes",
    9,
  );
});

Deno.test("any encoded names are decoded to the same", () => {
  fc.assert(fc.property(fc.array(text, { maxLength: 8 }), (names) => {
    assertEquals(decodePeerList(encodePeerList(names)), names);
  }));
});

Deno.test("a lone surrogate in any name is refused at its index in that name", () => {
  fc.assert(fc.property(fc.array(text, { maxLength: 3 }), illFormedText, (names, faulty) => {
    const { illFormed, index } = faulty;
    assertFrameError(() => encodePeerList([...names, illFormed]), "ill-formed-text", index);
    assertFrameError(() => encodePeerList([illFormed, ...names]), "ill-formed-text", index);
  }));
});
