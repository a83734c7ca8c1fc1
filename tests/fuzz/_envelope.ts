/** What comes from a broker: an envelope is opened as `brokers/_envelope.ts` lays it out, or refused. */

import { concat } from "@std/bytes";
import { open, seal } from "../../brokers/_envelope.ts";
import { encodeRoomBroadcast, FrameError } from "../../codec/mod.ts";
import { checkSame, magnitude, type Target } from "./_target.ts";

const TAG = 0xe1;
const HEAD_BYTES = 9;
const SELF = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const OTHER = SELF.toReversed();
const AROUND = new Uint8Array(16).fill(TAG);

function expected(input: Uint8Array): string {
  if (input.length > 0 && input[0] !== TAG) return "wrong-tag at 0";
  if (input.length < HEAD_BYTES) return `truncated at ${input.length}`;
  const sender = input.slice(1, HEAD_BYTES).toHex();
  return sender === SELF.toHex() ? "own" : `message ${input.slice(HEAD_BYTES).toHex()}`;
}

function found(input: Uint8Array): string {
  const memory = concat([AROUND, input, AROUND]);
  try {
    const message = open(memory.subarray(AROUND.length, AROUND.length + input.length), SELF);
    return message === undefined ? "own" : `message ${message.toHex()}`;
  } catch (error) {
    if (error instanceof FrameError) return `${error.code} at ${error.offset}`;
    throw error;
  }
}

const MESSAGE = encodeRoomBroadcast("lobby", "hello");

export const ENVELOPE: Target = {
  name: "envelope",
  testSeeds: 8_000,
  examples: [seal(OTHER, MESSAGE), seal(SELF, MESSAGE), seal(OTHER, new Uint8Array())],
  run: (input) => {
    const outcome = expected(input);
    checkSame(found(input), outcome, "opened");
    return outcome.startsWith("message") ? `message, ${magnitude(input.length)}` : outcome;
  },
};
