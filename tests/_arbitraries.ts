/** Inputs for properties: text and bytes, with more of what goes wrong than chance would give. */

import { concat } from "@std/bytes";
import fc from "fast-check";

/** First and last code points of each UTF-8 length, and those that decoders like to swallow. */
const EDGES = "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\ufeff\ufffd\uffff\u{10000}\u{10ffff}";

const asciiCharacter = codePoint(0x20, 0x7e);
const character = fc.oneof(
  asciiCharacter,
  fc.constantFrom(...EDGES),
  codePoint(0x80, 0x7ff),
  codePoint(0x800, 0xd7ff),
  codePoint(0x10000, 0x10ffff),
);

/**
 * Any text that UTF-8 can express, up to some thousand characters. Lengths around 48 units are
 * frequent, because the codec changes its method somewhere there; so is text of one kind only.
 */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: character, maxLength: 20 }),
  fc.string({ unit: asciiCharacter, maxLength: 130 }),
  fc.string({ unit: character, minLength: 20, maxLength: 60 }),
  // One character repeated has exactly the length that was asked for, whatever its size.
  repeated(character, 140),
  repeated(fc.string({ unit: character, minLength: 1, maxLength: 20 }), 400),
);

/** Text that is not well-formed, and the index of its first lone surrogate. */
export const illFormedText: fc.Arbitrary<{ illFormed: string; index: number }> = fc
  .tuple(text, fc.integer({ min: 0xd800, max: 0xdfff }), fc.oneof(text, loneSurrogates()))
  .map(([before, unit, after]) => ({
    // Well-formed text begins with no low and ends with no high surrogate. Behind a high one,
    // though, a low one would complete a pair.
    illFormed: before + String.fromCharCode(unit) + after.replace(/^[\udc00-\udfff]+/, ""),
    index: before.length,
  }));

/** Bytes of which most are nearly UTF-8: whole characters, pieces of some, and what is never valid. */
export const nearlyUtf8: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.oneof(
      fc.string({ unit: character, maxLength: 30 }).map(utf8),
      fc.integer({ min: 20, max: 60 }).map((length) => new Uint8Array(length).fill(0x61)),
      fc.tuple(character.map(utf8), fc.nat({ max: 3 })).map(([bytes, cut]) => bytes.slice(cut)),
      fc.tuple(character.map(utf8), fc.nat({ max: 3 })).map(([bytes, cut]) => bytes.slice(0, cut)),
      fc.uint8Array({ maxLength: 4 }),
      fc.constantFrom(
        Uint8Array.of(0xc0, 0x80), // overlong
        Uint8Array.of(0xe0, 0x9f, 0xbf),
        Uint8Array.of(0xf0, 0x8f, 0xbf, 0xbf),
        Uint8Array.of(0xed, 0xa0, 0x80), // a surrogate
        Uint8Array.of(0xf4, 0x90, 0x80, 0x80), // above U+10FFFF
        Uint8Array.of(0xff),
      ),
    ),
    { maxLength: 5 },
  )
  .map((pieces) => concat(pieces));

/** `bytes` with a few of them changed, left out, doubled or inserted. */
export function mutated(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    // Most lengths and tags are at the start.
    at: fc.oneof(fc.nat({ max: Math.min(16, bytes.length) }), fc.nat({ max: bytes.length })),
    remove: fc.nat({ max: 2 }),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 2 }),
      fc.constantFrom(0x00, 0x01, 0x7f, 0x80, 0xff).map((byte) => Uint8Array.of(byte)),
    ),
  });
  return fc.array(edit, { minLength: 1, maxLength: 3 }).map((edits) =>
    edits.reduce(
      (result, { at, remove, insert }) =>
        concat([result.subarray(0, at), insert, result.subarray(at + remove)]),
      bytes,
    )
  );
}

/** `bytes` as a view somewhere in a larger buffer of other bytes. */
export function embedded(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const around = fc.uint8Array({ maxLength: 16 });
  return fc.tuple(around, around).map(([before, after]) =>
    concat([before, bytes, after]).subarray(before.length, before.length + bytes.length)
  );
}

function codePoint(min: number, max: number): fc.Arbitrary<string> {
  return fc.integer({ min, max }).map((point) => String.fromCodePoint(point));
}

function repeated(unit: fc.Arbitrary<string>, maxTimes: number): fc.Arbitrary<string> {
  return fc.tuple(unit, fc.integer({ min: 1, max: maxTimes })).map(([string, times]) =>
    string.repeat(times)
  );
}

function loneSurrogates(): fc.Arbitrary<string> {
  return fc.array(fc.integer({ min: 0xd800, max: 0xdfff }), { maxLength: 3 }).map((units) =>
    String.fromCharCode(...units)
  );
}

function utf8(string: string): Uint8Array {
  return new TextEncoder().encode(string);
}
