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
  decodeMissed,
  decodeName,
  decodePeerList,
  decodePing,
  decodePong,
  decodeReply,
  decodeRoomBroadcast,
  decodeRoomClose,
  decodeRoomInterest,
  decodeRoomMessage,
  encodeAck,
  encodeChallenge,
  encodeGoodbye,
  encodeMissed,
  encodeName,
  encodePeerList,
  encodePing,
  encodePong,
  encodeReply,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomInterest,
  encodeRoomMessage,
  GOODBYE,
  MISSED,
  NAME,
  PEER_LIST,
  PING,
  PONG,
  REPLY,
  ROOM_BROADCAST,
  ROOM_CLOSE,
  ROOM_INTEREST,
  ROOM_MESSAGE,
  type RoomInterest,
} from "../../codec/mod.ts";
import { closeCode, closeReason, roomInterest, roomMessage } from "./_arbitraries.ts";
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
  /** Lengths at which a valid message could also have ended. */
  readonly otherEnds: (bytes: Uint8Array) => readonly number[];
  /** True if nothing but the frame says where a message ends. */
  readonly isOpenEnded: boolean;
}

interface MessageOptions {
  readonly otherEnds?: (bytes: Uint8Array) => readonly number[];
  readonly isOpenEnded?: boolean;
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
  message("ROOM_MESSAGE", ROOM_MESSAGE, roomMessage, encodeRoomMessage, decodeRoomMessage),
  message(
    "ROOM_CLOSE",
    ROOM_CLOSE,
    fc.record({ room: text, code: closeCode, reason: closeReason }),
    ({ room, code, reason }) => encodeRoomClose(room, code, reason),
    decodeRoomClose,
  ),
  message("ROOM_INTEREST", ROOM_INTEREST, roomInterest, encodeRoomInterest, decodeRoomInterest, {
    otherEnds: (bytes) => endsOfNames(decodeRoomInterest(bytes)),
    isOpenEnded: true,
  }),
  message(
    "MISSED",
    MISSED,
    fc.integer({ min: 0, max: 0xffff_ffff }),
    encodeMissed,
    decodeMissed,
  ),
  message("PEER_LIST", PEER_LIST, fc.array(text, { maxLength: 4 }), encodePeerList, decodePeerList),
  message("PING", PING, bytes8, encodePing, decodePing),
  message("PONG", PONG, bytes8, encodePong, decodePong),
  message("GOODBYE", GOODBYE, fc.constant(undefined), encodeGoodbye, checkGoodbye),
  message("NAME", NAME, identity, encodeName, decodeName, {
    otherEnds: withoutExtension,
  }),
  message(
    "CHALLENGE",
    CHALLENGE,
    fc.tuple(identity, bytes32).map(([identity, challenge]) => ({ ...identity, challenge })),
    encodeChallenge,
    decodeChallenge,
    { otherEnds: withoutExtension },
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

for (const { name, tag, valid, decode, again, otherEnds, isOpenEnded } of messages) {
  Deno.test(`${name}: an encoded message begins with its tag, owns its memory and decodes to the same`, () => {
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
      const ends = otherEnds(bytes);
      for (const length of lengths) {
        const cut = bytes.subarray(0, length);
        if (ends.includes(length)) decode(cut);
        else assertFrameError(() => decode(cut), "truncated", length);
      }
    }));
  });

  if (!isOpenEnded) {
    Deno.test(`${name}: a message with more bytes after it has trailing bytes where it ends`, () => {
      const more = fc.uint8Array({ minLength: 1, maxLength: 40 });
      fc.assert(fc.property(valid, more, (bytes, more) => {
        const longer = concat([bytes, more]);
        assertFrameError(() => decode(longer), "trailing-bytes", bytes.length);
        assertFrameError(() => decode(concat([bytes, bytes])), "trailing-bytes", bytes.length);
      }));
    });
  }

  Deno.test(`${name}: a message with another tag is refused, whatever follows`, () => {
    const otherTag = fc.nat({ max: 255 }).filter((other) => other !== tag);
    fc.assert(fc.property(fc.oneof(valid, fc.uint8Array()), otherTag, (bytes, other) => {
      const changed = concat([Uint8Array.of(other), bytes.subarray(1)]);
      assertFrameError(() => decode(changed), "wrong-tag", 0);
    }));
  });

  Deno.test(`${name}: any bytes decode to a value that encodes to them, or are refused with a FrameError`, () => {
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

  Deno.test(`${name}: a view of a larger buffer is read as if it stood alone`, () => {
    const views = fc.oneof(valid, valid.chain(mutated)).chain((bytes) =>
      fc.tuple(fc.constant(bytes), embedded(bytes))
    );
    fc.assert(fc.property(views, ([bytes, view]) => {
      assertEquals(outcome(() => decode(view)), outcome(() => decode(bytes)));
    }));
  });

  Deno.test(`${name}: a decoded value stays when the memory it came from is used again`, () => {
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

Deno.test("texts that are not UTF-8 are refused in every message with texts", () => {
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
      assertEquals(outcome(() => decodePeerList(list)[0]), shiftedBy(2, expected));

      const size = u16(bytes.length);
      const interest = concat([Uint8Array.of(ROOM_INTEREST, 2), size, bytes]);
      assertEquals(outcome(() => decodeRoomInterest(interest).rooms[0]), shiftedBy(1, expected));
      const close = concat([
        Uint8Array.of(ROOM_CLOSE),
        size,
        bytes,
        Uint8Array.of(0xe8, 0x03, 0),
      ]);
      assertEquals(outcome(() => decodeRoomClose(close).room), expected);
      const one = Uint8Array.of(1, 0);
      const none = Uint8Array.of(0, 0);
      const head = Uint8Array.of(ROOM_MESSAGE, 0);
      const toRoom = concat([head, one, size, bytes, none, none, none]);
      assertEquals(outcome(() => decodeRoomMessage(toRoom).rooms[0]), shiftedBy(3, expected));
      const exceptRoom = concat([head, one, none, one, size, bytes, none, none]);
      assertEquals(outcome(() => decodeRoomMessage(exceptRoom).except[0]), shiftedBy(7, expected));
      const message = concat([head, one, none, none, size, none, bytes]);
      assertEquals(outcome(() => decodeRoomMessage(message).message), shiftedBy(9, expected));
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
  { otherEnds = () => [], isOpenEnded = false }: MessageOptions = {},
): Message {
  const again = (bytes: Uint8Array) => encode(decode(bytes));
  return { name, tag, valid: value.map(encode), decode, again, otherEnds, isOpenEnded };
}

/** NAME and CHALLENGE may end before their extension. */
function withoutExtension(bytes: Uint8Array): number[] {
  return [bytes.length - 15];
}

/** ROOM_INTEREST may end after any of its names, or before the first. */
function endsOfNames({ rooms }: RoomInterest): number[] {
  const ends = [2];
  for (const room of rooms) ends.push(ends[ends.length - 1] + 2 + utf8Size(room));
  return ends;
}

function utf8Size(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** What came of it: a value, or the code and place of a `FrameError`. */
interface Outcome {
  readonly value?: unknown;
  readonly code?: string;
  readonly offset?: number;
}

/** The same, `bytes` later. */
function shiftedBy(bytes: number, outcome: Outcome): Outcome {
  return outcome.offset === undefined ? outcome : { ...outcome, offset: outcome.offset + bytes };
}

function outcome(run: () => unknown): Outcome {
  let value: unknown;
  const error = frameErrorOf(() => value = run());
  return error ? { code: error.code, offset: error.offset } : { value };
}
