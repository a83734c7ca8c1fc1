/** What holds for every message of the codec. */

import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import {
  ACK,
  CHALLENGE,
  checkGoodbye,
  decodeAck,
  decodeChallenge,
  decodeName,
  decodePeerList,
  decodePing,
  decodePong,
  decodeReply,
  decodeRoomBroadcast,
  encodeAck,
  encodeChallenge,
  encodeGoodbye,
  encodeName,
  encodePeerList,
  encodePing,
  encodePong,
  encodeReply,
  encodeRoomBroadcast,
  GOODBYE,
  NAME,
  PEER_LIST,
  PING,
  PONG,
  REPLY,
  ROOM_BROADCAST,
} from "../../codec/mod.ts";
import { embedded, mutated, nearlyUtf8, text } from "../_arbitraries.ts";
import { assertFrameError, frameErrorOf } from "./_assert.ts";

/** One kind of message, seen from outside. */
interface Message {
  readonly name: string;
  readonly tag: number;
  /** Valid messages. NAME and CHALLENGE have their extension. */
  readonly valid: fc.Arbitrary<Uint8Array>;
  readonly decode: (bytes: Uint8Array) => unknown;
  /** Decodes, and encodes what that gives. */
  readonly again: (bytes: Uint8Array) => Uint8Array;
  /** Bytes that a valid message may also do without. */
  readonly optionalBytes: number;
}

const bytes8 = fc.uint8Array({ minLength: 8, maxLength: 8 });
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const identity = fc.record({
  name: text,
  creation: fc.nat({ max: 255 }),
  extension: fc.record({
    incarnation: bytes8,
    features: fc.integer({ min: 0, max: 0xffff_ffff }),
  }),
});

const messages: readonly Message[] = [
  message(
    "ROOM_BROADCAST",
    ROOM_BROADCAST,
    fc.record({ room: text, message: text }),
    ({ room, message }) => encodeRoomBroadcast(room, message),
    decodeRoomBroadcast,
  ),
  message("PEER_LIST", PEER_LIST, fc.array(text, { maxLength: 4 }), encodePeerList, decodePeerList),
  message("PING", PING, bytes8, encodePing, decodePing),
  message("PONG", PONG, bytes8, encodePong, decodePong),
  message("GOODBYE", GOODBYE, fc.constant(undefined), encodeGoodbye, checkGoodbye),
  message("NAME", NAME, identity, encodeName, decodeName, 15),
  message(
    "CHALLENGE",
    CHALLENGE,
    fc.tuple(identity, bytes32).map(([identity, challenge]) => ({ ...identity, challenge })),
    encodeChallenge,
    decodeChallenge,
    15,
  ),
  message(
    "REPLY",
    REPLY,
    fc.record({ proof: bytes32, challenge: bytes32 }),
    encodeReply,
    decodeReply,
  ),
  message("ACK", ACK, fc.record({ proof: bytes32 }), encodeAck, decodeAck),
];

for (const { name, tag, valid, decode, again, optionalBytes } of messages) {
  Deno.test(`${name}: what is encoded begins with its tag, owns its memory and decodes to the same`, () => {
    fc.assert(fc.property(valid, (bytes) => {
      assertEquals(bytes[0], tag);
      assertEquals(bytes.buffer.byteLength, bytes.length);
      assertEquals(again(bytes), bytes);
    }));
  });

  Deno.test(`${name}: a message that ends early is truncated where it ends`, () => {
    fc.assert(fc.property(valid, fc.nat(), (bytes, seed) => {
      const head = bytes.length > 200 ? 100 : bytes.length;
      const lengths = [...Array(head).keys(), bytes.length - 1, seed % bytes.length];
      for (const length of lengths) {
        const cut = bytes.subarray(0, length);
        if (optionalBytes > 0 && length === bytes.length - optionalBytes) decode(cut);
        else assertFrameError(() => decode(cut), "truncated", length);
      }
    }));
  });

  Deno.test(`${name}: a message with more bytes behind it has trailing bytes where it ends`, () => {
    const more = fc.uint8Array({ minLength: 1, maxLength: 40 });
    fc.assert(fc.property(valid, more, (bytes, more) => {
      const longer = concat([bytes, more]);
      assertFrameError(() => decode(longer), "trailing-bytes", bytes.length);
      assertFrameError(() => decode(concat([bytes, bytes])), "trailing-bytes", bytes.length);
    }));
  });

  Deno.test(`${name}: a message with another tag is refused whatever follows`, () => {
    const otherTag = fc.nat({ max: 255 }).filter((other) => other !== tag);
    fc.assert(fc.property(fc.oneof(valid, fc.uint8Array()), otherTag, (bytes, other) => {
      const changed = concat([Uint8Array.of(other), bytes.subarray(1)]);
      assertFrameError(() => decode(changed), "wrong-tag", 0);
    }));
  });

  Deno.test(`${name}: any bytes decode to what encodes to them, or are refused as a FrameError`, () => {
    const noise = fc.oneof(
      { weight: 4, arbitrary: valid.chain(mutated) },
      {
        weight: 1,
        arbitrary: fc.uint8Array({ maxLength: 60 }).map((noise) =>
          concat([Uint8Array.of(tag), noise])
        ),
      },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
    );
    fc.assert(
      fc.property(noise, (bytes) => {
        let result: Uint8Array | undefined;
        const error = frameErrorOf(() => result = again(bytes));
        if (error === undefined) return assertEquals(result, bytes);
        assert(Number.isInteger(error.offset) && error.offset >= 0, error.message);
        assert(error.offset <= bytes.length, error.message);
      }),
      { numRuns: 500 },
    );
  });

  Deno.test(`${name}: a view of a larger buffer is read as if it were alone`, () => {
    const views = fc.oneof(valid, valid.chain(mutated)).chain((bytes) =>
      fc.tuple(fc.constant(bytes), embedded(bytes))
    );
    fc.assert(fc.property(views, ([bytes, view]) => {
      assertEquals(outcome(() => decode(view)), outcome(() => decode(bytes)));
    }));
  });

  Deno.test(`${name}: what was decoded stays when the memory it came from is used again`, () => {
    fc.assert(fc.property(valid, (bytes) => {
      // The slice() of Node's Buffer, which node:tls hands out, is no copy but a view.
      for (const memory of [bytes.slice(), Buffer.from(bytes)]) {
        const decoded = decode(memory);
        memory.fill(0xee);
        assertEquals(decoded, decode(bytes));
      }
    }));
  });
}

Deno.test("texts that are not UTF-8 are refused in every message that has some", () => {
  const u16 = (value: number) => Uint8Array.of(value, value >> 8);
  fc.assert(
    fc.property(nearlyUtf8, (bytes) => {
      const expected = outcome(() =>
        decodeRoomBroadcast(
          concat([Uint8Array.of(ROOM_BROADCAST), u16(bytes.length), bytes, new Uint8Array(4)]),
        ).room
      );
      const name = concat([u16(bytes.length), bytes, Uint8Array.of(1)]);
      assertEquals(outcome(() => decodeName(concat([Uint8Array.of(NAME), name])).name), expected);
      assertEquals(
        outcome(() =>
          decodeChallenge(concat([Uint8Array.of(CHALLENGE), name, new Uint8Array(32)])).name
        ),
        expected,
      );
      // Two bytes of count come before the name's own length.
      const list = concat([Uint8Array.of(PEER_LIST, 1, 0), u16(bytes.length), bytes]);
      const shifted = expected.offset === undefined
        ? expected
        : { ...expected, offset: expected.offset + 2 };
      assertEquals(outcome(() => decodePeerList(list)[0]), shifted);
    }),
    { numRuns: 500 },
  );
});

function message<T>(
  name: string,
  tag: number,
  value: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => T,
  optionalBytes = 0,
): Message {
  const again = (bytes: Uint8Array) => encode(decode(bytes));
  return { name, tag, valid: value.map(encode), decode, again, optionalBytes };
}

/** What came of it: a value, or the code and place of a `FrameError`. */
function outcome(run: () => unknown): { value?: unknown; code?: string; offset?: number } {
  let value: unknown;
  const error = frameErrorOf(() => value = run());
  return error ? { code: error.code, offset: error.offset } : { value };
}
