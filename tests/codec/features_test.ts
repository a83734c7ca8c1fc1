import { assertEquals } from "@std/assert";
import {
  FEATURE_GOODBYE,
  FEATURE_MISSED,
  FEATURE_OBSERVER,
  FEATURE_ROOM_CLOSE,
  FEATURE_ROOM_INTEREST,
  FEATURE_ROOM_MESSAGE,
} from "../../codec/mod.ts";

Deno.test("each feature has the bit that docs/wire.md gives it", () => {
  assertEquals(
    [
      FEATURE_GOODBYE,
      FEATURE_ROOM_MESSAGE,
      FEATURE_ROOM_INTEREST,
      FEATURE_MISSED,
      FEATURE_ROOM_CLOSE,
      FEATURE_OBSERVER,
    ],
    [1, 2, 4, 8, 16, 32],
  );
});
