import { assertEquals } from "@std/assert";
import { median, percentile, spread } from "../../bench/compare/stats.ts";

Deno.test("the median is the middle value, or lies between the two middle values", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 2, 3]), 2.5);
  assertEquals(median([7]), 7);
  assertEquals(median([]), NaN);
});

Deno.test("the median leaves its input in order", () => {
  const values = [3, 1, 2];
  median(values);
  assertEquals(values, [3, 1, 2]);
});

Deno.test("a percentile is the lowest value that the given share of values does not exceed", () => {
  const values = Array.from({ length: 1000 }, (_, i) => i + 1);
  assertEquals(percentile(values, 0.5), 500);
  assertEquals(percentile(values, 0.99), 990);
  assertEquals(percentile(values, 0.999), 999);
  assertEquals(percentile(values, 1), 1000);
  assertEquals(percentile(values, 0), 1);
  assertEquals(percentile([5], 0.999), 5);
  assertEquals(percentile([], 0.5), NaN);
});

Deno.test("the spread is a share of the median", () => {
  assertEquals(spread([9, 10, 11]), 0.2);
  assertEquals(spread([10, 10]), 0);
});
