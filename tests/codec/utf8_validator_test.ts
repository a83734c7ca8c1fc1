import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Utf8Validator } from "../../codec/mod.ts";
import { text } from "../_arbitraries.ts";

const encoder = new TextEncoder();

/** What becomes of bytes that come in pieces of this size. */
function validate(bytes: Uint8Array, pieceBytes = bytes.length): { valid: boolean; taken: number } {
  const validator = new Utf8Validator();
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const end = Math.min(at + pieceBytes, bytes.length);
    if (!validator.push(bytes, at, end)) return { valid: false, taken: end };
  }
  return { valid: validator.isComplete, taken: bytes.length };
}

function isValid(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

Deno.test("valid text is accepted, in pieces of any size", () => {
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 9 }), (text, pieceBytes) => {
      assertEquals(validate(encoder.encode(text), pieceBytes).valid, true);
    }),
  );
});

Deno.test("any bytes are judged as by a strict decoder, in pieces of any size", () => {
  const byte = fc.oneof(
    fc.nat(0xff),
    fc.constantFrom(0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed),
    fc.constantFrom(0xee, 0xef, 0xf0, 0xf4, 0xf5, 0xff),
  );
  fc.assert(
    fc.property(
      fc.array(byte, { maxLength: 12 }),
      fc.nat(8),
      fc.integer({ min: 1, max: 5 }),
      (noise, ascii, pieceBytes) => {
        const bytes = Uint8Array.from([...encoder.encode("a".repeat(ascii)), ...noise]);
        assertEquals(validate(bytes, pieceBytes).valid, isValid(bytes));
      },
    ),
    { numRuns: 3_000 },
  );
});

Deno.test("every sequence of two bytes is judged rightly, and every one of three that begins like a special one", () => {
  for (let a = 0x7f; a < 256; a++) {
    for (let b = 0; b < 256; b++) {
      const bytes = Uint8Array.of(a, b);
      if (validate(bytes).valid !== isValid(bytes)) assertEquals(bytes.toHex(), "judged rightly");
    }
  }
  for (const first of [0xe0, 0xe1, 0xed, 0xee, 0xf0, 0xf1, 0xf4]) {
    for (let b = 0; b < 256; b++) {
      for (
        const rest of [[0x80], [0xbf], [0x7f], [0xc0], [0x80, 0x80], [0xbf, 0xbf], [0x80, 0xc0]]
      ) {
        const bytes = Uint8Array.of(first, b, ...rest);
        if (validate(bytes).valid !== isValid(bytes)) assertEquals(bytes.toHex(), "judged rightly");
      }
    }
  }
});

Deno.test("a fault is found at the first byte that is invalid there", () => {
  for (
    const [hex, at] of [
      ["6180", 2],
      ["c0", 1],
      ["e080", 2],
      ["eda0", 2],
      ["f08f", 2],
      ["f490", 2],
      ["f5", 1],
      ["e28241", 3],
      ["f09f8e41", 4],
      ["616263646566ff", 7],
    ] as const
  ) assertEquals(validate(Uint8Array.fromHex(`${hex}616161`), 1), { valid: false, taken: at }, hex);
});

Deno.test("a text that ends in the middle of a character is incomplete, and may continue", () => {
  const validator = new Utf8Validator();
  assert(validator.isComplete);
  assert(validator.push(Uint8Array.of(0xf0, 0x9f)) && !validator.isComplete);
  assert(validator.push(Uint8Array.of(), 0, 0) && !validator.isComplete);
  assert(validator.push(Uint8Array.of(0xee, 0x8e, 0x89, 0x61, 0xee), 1, 4) && validator.isComplete);
});
