import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  decodePresenceChanges,
  decodePresenceEntries,
  decodePresenceHead,
  encodePresence,
  encodePresenceChanges,
  encodePresenceSnapshot,
  type FrameErrorCode,
  PRESENCE_MAX_COUNT,
  type PresenceChange,
  presenceChangeLength,
  type PresenceEntry,
  presenceEntryLength,
  presenceOverhead,
} from "../../codec/mod.ts";
import { text } from "../_arbitraries.ts";
import { assertFrameError } from "./_assert.ts";

const INSTANCE = "00112233445566ff";
const SENDER = { instance: INSTANCE, node: "n" };
const HEAD = `${INSTANCE}01006e`;

const instance = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => bytes.toHex());
const number = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const sender = fc.record({ instance, node: text });
const entry: fc.Arbitrary<PresenceEntry> = fc.record({
  key: number,
  room: text,
  id: text,
  meta: fc.oneof(fc.constant(""), fc.json()),
});
const change: fc.Arbitrary<PresenceChange> = fc.oneof(entry, number);

/** The same bytes as a view into a larger buffer. */
function around(bytes: Uint8Array): Uint8Array {
  const memory = new Uint8Array(bytes.length + 20).fill(0xff);
  memory.set(bytes, 10);
  return memory.subarray(10, 10 + bytes.length);
}

Deno.test("a snapshot lists entries by key, room, id and meta", () => {
  const bytes = encodePresenceSnapshot({ ...SENDER, number: 0x010203040506, part: 1, parts: 2 }, [
    { key: 7, room: "é", id: "ann", meta: "{}" },
    { key: 2 ** 32, room: "", id: "", meta: "" },
  ]);
  assertEquals(
    bytes.toHex(),
    `01${HEAD}06050403020101000200` + "0200" +
      "0700000000000200c3a90300616e6e02007b7d" +
      "000000000100000000000000",
  );
});

Deno.test("a change gives the new entry of a key, or says that the key has gone", () => {
  const bytes = encodePresenceChanges({ ...SENDER, first: 3 }, [
    { key: 1, room: "r", id: "i", meta: "1" },
    2,
  ]);
  assertEquals(
    bytes.toHex(),
    `02${HEAD}0300000000000200` + "01010000000000" + "010072" + "010069" + "010031" +
      "02020000000000",
  );
});

Deno.test("heartbeat, ask and gone are short", () => {
  assertEquals(
    encodePresence({ kind: "heartbeat", ...SENDER, number: 5 }).toHex(),
    `03${HEAD}050000000000`,
  );
  assertEquals(
    encodePresence({ kind: "ask", ...SENDER, instances: [] }).toHex(),
    `04${HEAD}0000`,
  );
  assertEquals(
    encodePresence({ kind: "ask", ...SENDER, instances: [INSTANCE, "ff".repeat(8)] }).toHex(),
    `04${HEAD}0200${INSTANCE}${"ff".repeat(8)}`,
  );
  assertEquals(encodePresence({ kind: "gone", ...SENDER }).toHex(), `05${HEAD}`);
});

Deno.test("an encoded message is decoded to the same, whatever surrounds it", () => {
  fc.assert(fc.property(
    sender,
    number,
    fc.tuple(fc.nat(0xffff), fc.nat(0xffff)).filter(([a, b]) => a !== b),
    fc.array(entry, { maxLength: 5 }),
    fc.array(change, { maxLength: 5 }),
    fc.array(instance, { maxLength: 5 }),
    (sender, number, [a, b], entries, changes, instances) => {
      const part = Math.min(a, b);
      const parts = Math.max(a, b);
      const snapshot = around(
        encodePresenceSnapshot({ ...sender, number, part, parts }, entries),
      );
      assertEquals(decodePresenceHead(snapshot), {
        kind: "snapshot",
        ...sender,
        number,
        part,
        parts,
      });
      assertEquals(decodePresenceEntries(snapshot), entries);
      const changed = around(encodePresenceChanges({ ...sender, first: number }, changes));
      const head = { ...sender, first: number, count: changes.length };
      assertEquals(decodePresenceHead(changed), { kind: "changes", ...head });
      assertEquals(decodePresenceChanges(changed), changes);
      for (
        const message of [
          { kind: "heartbeat", ...sender, number } as const,
          { kind: "ask", ...sender, instances } as const,
          { kind: "gone", ...sender } as const,
        ]
      ) {
        assertEquals(decodePresenceHead(around(encodePresence(message))), message);
      }
    },
  ));
});

Deno.test("lengths give the size of a message beforehand", () => {
  fc.assert(fc.property(
    sender,
    fc.array(entry, { maxLength: 5 }),
    fc.array(change, { maxLength: 5 }),
    (sender, entries, changes) => {
      const snapshot = encodePresenceSnapshot({ ...sender, number: 1, part: 0, parts: 1 }, entries);
      const entryBytes = entries.reduce((sum, entry) => sum + presenceEntryLength(entry), 0);
      assertEquals(snapshot.length, presenceOverhead(sender) + entryBytes);
      const changed = encodePresenceChanges({ ...sender, first: 1 }, changes);
      const changeBytes = changes.reduce<number>((sum, one) => sum + presenceChangeLength(one), 0);
      assertEquals(changed.length <= presenceOverhead(sender) + changeBytes, true);
    },
  ));
});

/** Messages that are wrong, with what is wrong. */
const WRONG: readonly [name: string, hex: string, code: FrameErrorCode, offset: number][] = [
  ["nothing", "", "truncated", 0],
  ["an unknown kind", "06", "wrong-tag", 0],
  ["kind 0", "00", "wrong-tag", 0],
  ["half an instance", "0300112233", "truncated", 5],
  ["a node that ends early", `03${INSTANCE}05006e`, "truncated", 12],
  ["a node that is no UTF-8", `05${INSTANCE}0100ff`, "invalid-utf8", 11],
  ["a heartbeat that goes on", `03${HEAD}05000000000000`, "trailing-bytes", 18],
  ["an ask that ends early", `04${HEAD}0100${INSTANCE.slice(2)}`, "truncated", 21],
  ["a farewell that goes on", `05${HEAD}00`, "trailing-bytes", 12],
  ["part 0 of none", `01${HEAD}050000000000000000000000`, "bad-part", 18],
  ["part 2 of 2", `01${HEAD}050000000000020002000000`, "bad-part", 18],
  ["a snapshot without a count", `01${HEAD}05000000000000000100`, "truncated", 22],
];

for (const [name, hex, code, offset] of WRONG) {
  Deno.test(`a head is refused: ${name}`, () => {
    assertFrameError(() => decodePresenceHead(Uint8Array.fromHex(hex)), code, offset);
  });
}

const SNAPSHOT = `01${HEAD}05000000000000000100`;
const CHANGES = `02${HEAD}050000000000`;
const WRONG_LISTS: readonly [name: string, hex: string, code: FrameErrorCode, offset: number][] = [
  ["fewer entries than counted", `${SNAPSHOT}0100`, "truncated", 24],
  ["more than counted", `${SNAPSHOT}000000`, "trailing-bytes", 24],
  ["an entry that ends early", `${SNAPSHOT}01000700000000000000`, "truncated", 32],
  [
    "an id that is no UTF-8",
    `${SNAPSHOT}01000700000000000000` + "0100ff" + "0000",
    "invalid-utf8",
    34,
  ],
  [
    "a meta that is not JSON",
    `${SNAPSHOT}01000700000000000000` + "0000" + "01007b",
    "bad-json",
    36,
  ],
  ["an unknown operation", `${CHANGES}0100` + "03", "unknown-op", 20],
  ["a key that ends early", `${CHANGES}0100` + "020700", "truncated", 23],
  [
    "a meta that ends early",
    `${CHANGES}0100` + "01070000000000000000000400" + "6e756c",
    "truncated",
    36,
  ],
  [
    "a change whose meta is nearly JSON",
    `${CHANGES}0100` + "01070000000000000000000300" + "6e756c",
    "bad-json",
    33,
  ],
];

for (const [name, hex, code, offset] of WRONG_LISTS) {
  Deno.test(`a list is refused: ${name}`, () => {
    const bytes = Uint8Array.fromHex(hex);
    decodePresenceHead(bytes);
    const decode = bytes[0] === 1 ? decodePresenceEntries : decodePresenceChanges;
    assertFrameError(() => decode(bytes), code, offset);
  });
}

Deno.test("lengths are checked before texts, and texts before JSON", () => {
  const bad = "070000000000" + "0100ff" + "0000" + "01007b";
  const texts = Uint8Array.fromHex(`${SNAPSHOT}0100${bad}`);
  assertFrameError(() => decodePresenceEntries(texts), "invalid-utf8", 32);
  const short = Uint8Array.fromHex(`${SNAPSHOT}0200${bad}`);
  assertFrameError(() => decodePresenceEntries(short), "truncated", short.length);
});

Deno.test("a value that does not fit a message is refused before it is sent", () => {
  const one = { key: 1, room: "", id: "", meta: "" };
  const head = { ...SENDER, number: 1, part: 0, parts: 1 };
  const full = new Array<PresenceEntry>(PRESENCE_MAX_COUNT).fill(one);
  encodePresenceSnapshot(head, full);
  assertFrameError(() => encodePresenceSnapshot(head, [...full, one]), "frame-too-long", 0);
  const long = "x".repeat(0xffff);
  presenceEntryLength({ room: long, id: long, meta: long });
  assertFrameError(
    () => encodePresenceChanges({ ...SENDER, first: 1 }, [{ ...one, id: `${long}x` }]),
    "frame-too-long",
    0,
  );
  assertFrameError(
    () => encodePresenceSnapshot(head, [{ ...one, room: "\ud800" }]),
    "ill-formed-text",
    0,
  );
  assertFrameError(() => encodePresenceSnapshot({ ...head, part: 1 }, []), "bad-part", 0);
});

Deno.test("an instance without 16 digits is a RangeError", () => {
  for (const instance of ["", INSTANCE.slice(2), `${INSTANCE}00`]) {
    const encode = () => encodePresence({ kind: "gone", ...SENDER, instance });
    assertThrows(encode, RangeError, "instance must have 8 bytes");
  }
});
