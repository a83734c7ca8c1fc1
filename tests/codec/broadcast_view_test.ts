import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { isUtf8 } from "node:buffer";
import {
  BroadcastView,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomMessage,
  RoomNames,
} from "../../codec/mod.ts";
import { embedded, nearlyUtf8, text } from "../_arbitraries.ts";
import { roomMessage } from "./_arbitraries.ts";
import { assertFrameError, frameErrorOf } from "./_assert.ts";

const encoder = new TextEncoder();

Deno.test("a view gives every field of a room broadcast", () => {
  fc.assert(fc.property(text, text, (room, message) => {
    const bytes = encodeRoomBroadcast(room, message);
    const view = new BroadcastView(bytes);
    assertEquals(view.rooms(), [room]);
    assertEquals(view.except(), []);
    assert(view.isText);
    assertEquals(view.messageBytes(), encoder.encode(message));
    assertStrictEquals(view.message(), message);
  }));
});

Deno.test("a view gives every field of a room message, even within a larger buffer", () => {
  const names = new RoomNames();
  const input = roomMessage.chain((message) =>
    fc.tuple(fc.constant(message), embedded(encodeRoomMessage(message)))
  );
  fc.assert(fc.property(input, ([{ rooms, except, message }, bytes]) => {
    const view = new BroadcastView(bytes);
    assertEquals(view.rooms(), [...rooms]);
    assertEquals(view.rooms(names), [...rooms]);
    assertEquals(view.except(), except);
    assertEquals(view.except(names), except);
    assertEquals(view.isText, typeof message === "string");
    assertEquals(view.message(), message);
    const expected = typeof message === "string" ? encoder.encode(message) : message;
    assertEquals(new Uint8Array(view.messageBytes()), expected);
  }));
});

Deno.test("the message's bytes are a view, and the message itself is a copy", () => {
  const bytes = encodeRoomMessage({ rooms: ["a"], except: [], message: Uint8Array.of(1, 2) });
  const view = new BroadcastView(bytes);
  const message = view.message();
  assertStrictEquals(view.messageBytes().buffer, bytes.buffer);
  bytes.fill(9);
  assertEquals(view.messageBytes(), Uint8Array.of(9, 9));
  assertEquals(message, Uint8Array.of(1, 2));
});

Deno.test("the rooms can be read although neither the excluded rooms nor the message are UTF-8", () => {
  const bytes = encodeRoomMessage({ rooms: ["café"], except: ["?"], message: "!" });
  const exceptAt = bytes.indexOf(0x3f);
  const messageAt = bytes.indexOf(0x21);
  bytes[exceptAt] = bytes[messageAt] = 0xff;
  const view = new BroadcastView(bytes);
  assertEquals(view.rooms(), ["café"]);
  assertFrameError(() => view.except(), "invalid-utf8", exceptAt);
  assertFrameError(() => view.checkText(), "invalid-utf8", messageAt);
  assertFrameError(() => view.checkText(isUtf8), "invalid-utf8", messageAt);
  assertFrameError(() => view.message(), "invalid-utf8", messageAt);
});

Deno.test("a text passes the check exactly if it can be decoded, with or without the platform's help", () => {
  fc.assert(
    fc.property(nearlyUtf8, (utf8) => {
      for (
        const bytes of [
          encodeRoomBroadcast("a", utf8),
          encodeRoomMessage({ rooms: ["a"], except: [], message: utf8 }, { utf8: true }),
        ]
      ) {
        const view = new BroadcastView(bytes);
        const expected = frameErrorOf(() => view.message());
        for (const check of [() => view.checkText(), () => view.checkText(isUtf8)]) {
          const found = frameErrorOf(check);
          assertEquals([found?.code, found?.offset], [expected?.code, expected?.offset]);
        }
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("a binary message is not checked for UTF-8", () => {
  const message = Uint8Array.of(0xff);
  const view = new BroadcastView(encodeRoomMessage({ rooms: ["a"], except: [], message }));
  view.checkText();
  view.checkText(() => {
    throw new Error("called");
  });
});

Deno.test("a message that is not a broadcast cannot be viewed", () => {
  assertFrameError(() => new BroadcastView(new Uint8Array()), "truncated", 0);
  assertFrameError(() => new BroadcastView(encodeRoomClose("a", 1000, "")), "wrong-tag", 0);
  assertFrameError(() => new BroadcastView(Uint8Array.of(0x12)), "wrong-tag", 0);
  assertFrameError(() => new BroadcastView(Uint8Array.of(0xe2, 2)), "unknown-flags", 1);
  assertFrameError(() => new BroadcastView(Uint8Array.of(0x1e, 5)), "truncated", 2);
});
