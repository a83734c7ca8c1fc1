/** Messages for properties. */

import fc from "fast-check";
import type { RoomInterest, RoomMessage } from "../../codec/mod.ts";
import { text } from "../_arbitraries.ts";

const rooms = fc.array(text, { maxLength: 4 });

/** Any ROOM_MESSAGE, text or bytes. */
export const roomMessage: fc.Arbitrary<RoomMessage> = fc.record({
  rooms: fc.array(text, { minLength: 1, maxLength: 4 }),
  except: rooms,
  message: fc.oneof(text, fc.uint8Array({ maxLength: 200 })),
});

/** Any ROOM_INTEREST. */
export const roomInterest: fc.Arbitrary<RoomInterest> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<RoomInterest>({ op: "everything", rooms: [] }) },
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constantFrom("only", "add", "remove"), rooms }),
  },
);

/** Any code that a ROOM_CLOSE may carry. */
export const closeCode: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(1000, 1001, 1003),
  fc.integer({ min: 1007, max: 1014 }),
  fc.integer({ min: 3000, max: 4999 }),
);

/** Any reason that a ROOM_CLOSE may carry. */
export const closeReason: fc.Arbitrary<string> = fc.oneof(
  text.filter((text) => new TextEncoder().encode(text).length <= 123),
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constant("x".repeat(123)),
);
