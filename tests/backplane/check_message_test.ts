import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { checkMessage } from "../../backplane/check_message.ts";
import {
  encodeGoodbye,
  encodePing,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomMessage,
  FrameError,
} from "../../codec/mod.ts";

const valid = [
  encodeRoomBroadcast("lobby", "hello"),
  encodeRoomBroadcast("", ""),
  encodeRoomMessage({ rooms: ["a", "b"], except: ["c"], message: Uint8Array.of(1, 2, 3) }),
  encodeRoomClose("user:ann", 4001, "signed out"),
];

function codeOf(message: Uint8Array, maxMessageBytes = 1_000): string {
  const check = () => checkMessage(message, maxMessageBytes);
  return (assertThrows(check, FrameError) as FrameError).code;
}

Deno.test("checkMessage accepts the three messages for rooms, up to the limit", () => {
  for (const message of valid) {
    checkMessage(message, message.length);
    assertEquals(codeOf(message, message.length - 1), "message-too-long");
  }
});

Deno.test("checkMessage refuses messages that are for nodes, with wrong-tag", () => {
  for (const message of [encodeGoodbye(), encodePing(new Uint8Array(8)), Uint8Array.of(0)]) {
    assertEquals(codeOf(message), "wrong-tag");
  }
});

Deno.test("checkMessage refuses a message that is too short or too long for its lengths", () => {
  assertEquals(codeOf(new Uint8Array()), "truncated");
  for (const message of valid) {
    for (let size = 1; size < message.length; size++) {
      assertEquals(codeOf(message.subarray(0, size)), "truncated");
    }
    assertEquals(codeOf(Uint8Array.of(...message, 0)), "trailing-bytes");
  }
});

Deno.test("checkMessage names what else is wrong with a message", () => {
  assertEquals(codeOf(Uint8Array.of(0xe2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0)), "unknown-flags");
  assertEquals(codeOf(Uint8Array.of(0xe2, 0, 0, 0, 0, 0, 0, 0, 0, 0)), "no-target");
  assertEquals(codeOf(Uint8Array.of(0xe5, 0, 0, 0xee, 0x03, 0)), "bad-close-code");
});

Deno.test("checkMessage does not check texts: the nodes that deliver them do", () => {
  const message = encodeRoomBroadcast("lobby", "hello");
  message[3] = 0xff;
  message.fill(0xff, message.length - 5);
  checkMessage(message, message.length);
});

Deno.test("checkMessage throws nothing but a FrameError, whatever the bytes", () => {
  fc.assert(
    fc.property(fc.constantFrom(0x1e, 0xe2, 0xe5), fc.uint8Array(), (tag, bytes) => {
      try {
        checkMessage(Uint8Array.of(tag, ...bytes), 20);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
      }
    }),
    { numRuns: 1_000 },
  );
});
