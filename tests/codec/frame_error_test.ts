import { assertEquals, assertInstanceOf } from "@std/assert";
import { FrameError } from "../../codec/mod.ts";

Deno.test("a FrameError is a RangeError that names itself, its code, its place and its reason", () => {
  const error = new FrameError("truncated", 7, "message ends at offset 7, 9 bytes are needed");
  assertInstanceOf(error, RangeError);
  assertEquals(error.code, "truncated");
  assertEquals(error.offset, 7);
  assertEquals(String(error), "FrameError: message ends at offset 7, 9 bytes are needed");
});
