import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Unread } from "../../mesh/unread.ts";

Deno.test("unread bytes come out in order, however they arrive and are taken", () => {
  fc.assert(fc.property(
    fc.array(fc.oneof(
      fc.uint8Array({ maxLength: 20 }).map((chunk) => ({ chunk })),
      fc.nat({ max: 30 }).map((size) => ({ size })),
    )),
    (steps) => {
      const unread = new Unread();
      const model: number[] = [];
      for (const step of steps) {
        if ("chunk" in step) {
          unread.push(step.chunk);
          model.push(...step.chunk);
        } else {
          const buffer = new Uint8Array(step.size);
          const taken = model.splice(0, step.size);
          assertEquals(unread.take(buffer), taken.length);
          assertEquals([...buffer.subarray(0, taken.length)], taken);
        }
        assertEquals(unread.size, model.length);
      }
      unread.clear();
      assertEquals([unread.size, unread.take(new Uint8Array(8))], [0, 0]);
    },
  ));
});
