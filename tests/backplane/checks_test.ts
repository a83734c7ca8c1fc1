import { assertEquals, assertThrows } from "@std/assert";
import {
  checkBoolean,
  checkFunction,
  checkMethods,
  checkObject,
  checkString,
  describe,
  MAX_DELAY_MS,
  oneOf,
  wholeNumber,
} from "../../backplane/checks.ts";

Deno.test("wholeNumber gives the number, or the fallback if there is none", () => {
  assertEquals(wholeNumber("limit", 5, 1), 5);
  assertEquals(wholeNumber("limit", undefined, 7), 7);
  assertEquals(wholeNumber("limit", Number.MAX_SAFE_INTEGER, 1), Number.MAX_SAFE_INTEGER);
  assertEquals(wholeNumber("limit", 0, 1, { min: 0 }), 0);
  assertEquals(wholeNumber("delayMs", MAX_DELAY_MS, 1, { max: MAX_DELAY_MS }), 2 ** 31 - 1);
});

Deno.test("wholeNumber refuses a value that is not a number with a TypeError", () => {
  for (const [value, described] of [["1", "string"], [null, "null"], [1n, "bigint"]]) {
    assertThrows(
      () => wholeNumber("limit", value, 1),
      TypeError,
      `limit must be a number, got ${described}`,
    );
  }
});

Deno.test("wholeNumber refuses a number out of range with a RangeError that names the range", () => {
  for (const value of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(
      () => wholeNumber("limit", value, 1),
      RangeError,
      `limit must be a whole number of at least 1, got ${value}`,
    );
  }
  assertThrows(
    () => wholeNumber("limit", 11, 1, { min: 2, max: 10 }),
    RangeError,
    "limit must be a whole number from 2 to 10, got 11",
  );
});

Deno.test("oneOf gives the word, or the first choice if there is none", () => {
  assertEquals(oneOf("mode", "b", ["a", "b"]), "b");
  assertEquals(oneOf("mode", undefined, ["a", "b"]), "a");
});

Deno.test("oneOf refuses other words with a RangeError, and other types with a TypeError", () => {
  const check = (value: unknown) => () => oneOf("mode", value, ["a", "b"]);
  assertThrows(check("c"), RangeError, 'mode must be "a" or "b", got "c"');
  assertThrows(check(1), TypeError, 'mode must be "a" or "b", got number');
});

Deno.test("checkBoolean gives the boolean, or false if there is none", () => {
  assertEquals([true, false, undefined].map((value) => checkBoolean("flag", value)), [
    ...[true, false, false],
  ]);
  for (const value of [1, "true", null]) {
    assertThrows(() => checkBoolean("flag", value), TypeError, "flag must be true or false, got ");
  }
});

Deno.test("checkFunction refuses a value that cannot be called", () => {
  checkFunction("callback", () => {});
  assertThrows(
    () => checkFunction("callback", {}),
    TypeError,
    "callback must be a function, got Object",
  );
});

Deno.test("checkObject says what the object should hold", () => {
  checkObject("tls", {}, "cert and key");
  for (const [value, described] of [[null, "null"], [true, "boolean"], [undefined, "undefined"]]) {
    assertThrows(
      () => checkObject("tls", value, "cert and key"),
      TypeError,
      `tls must be an object with cert and key, got ${described}`,
    );
  }
});

Deno.test("checkMethods names the first method that is missing", () => {
  const value = { read: () => {}, write: 1 as unknown };
  checkMethods("stream", value, "read");
  assertThrows(
    () => checkMethods("stream", value, "read", "write"),
    TypeError,
    "stream must have a method write, got number",
  );
  assertThrows(
    () => checkMethods("stream", undefined as unknown as typeof value, "read", "write"),
    TypeError,
    "stream must be an object with the methods read, write, got undefined",
  );
});

Deno.test("checkMethods accepts a function that has the methods", () => {
  checkMethods("callable", Object.assign(() => {}, { on: () => {} }), "on");
});

Deno.test("describe gives the type of a value in a word", () => {
  const values = [null, undefined, 1, "", [], {}, new Map(), Object.create(null), () => {}];
  assertEquals(values.map(describe), [
    ...["null", "undefined", "number", "string", "Array", "Object", "Map", "object", "function"],
  ]);
});

Deno.test("checkString refuses a value that is not a string, and names it", () => {
  checkString("channel", "");
  assertThrows(() => checkString("channel", 1), TypeError, "channel must be a string, got number");
  assertThrows(() => checkString("channel", null), TypeError, "got null");
});
