import { assertEquals, assertThrows } from "@std/assert";
import type { AcceptOptions } from "../../websocket/mod.ts";
import { accept, endAll } from "./_fake_stream.ts";

/** An option with a wrong value, the class of the error, and what its message must have. */
const WRONG: readonly [
  options: unknown,
  error: typeof TypeError | typeof RangeError,
  said: RegExp,
][] = [
  [null, TypeError, /options must be an object, got null/],
  [{ origins: "https://a.example" }, TypeError, /origins must be a list of strings, got string/],
  [{ origins: [7] }, TypeError, /origins must hold strings, got number/],
  [{ origins: ["chat.example"] }, RangeError, /origins .*"chat.example"/],
  [{ origins: ["https://chat.example/"] }, RangeError, /origins .*"https:\/\/chat.example\/"/],
  [{ origins: ["*"] }, RangeError, /origins .*"\*"/],
  [{ protocols: "a" }, TypeError, /protocols must be a list/],
  [{ protocols: ["a b"] }, RangeError, /protocols .*"a b"/],
  [{ headers: "a" }, TypeError, /headers must be an object, got string/],
  [{ headers: { "X-A": 7 } }, TypeError, /headers.X-A must be a string, got number/],
  [{ headers: { "X A": "" } }, RangeError, /headers .*"X A"/],
  [{ headers: { "X-A": "a\r\nX-B: b" } }, RangeError, /headers.X-A must have no line breaks/],
  [{ headers: { "X-A": "a\0" } }, RangeError, /headers.X-A/],
  [{ headers: { "X-A": "\u0100" } }, RangeError, /headers.X-A/],
  [{ headers: { "sec-websocket-ACCEPT": "x" } }, RangeError, /headers must not have/],
  [{ maxMessageBytes: 0 }, RangeError, /maxMessageBytes .* from 1 to 2147483647, got 0/],
  [{ maxMessageBytes: 2 ** 31 }, RangeError, /maxMessageBytes/],
  [{ maxMessageBytes: "1" }, TypeError, /maxMessageBytes must be a number, got string/],
  [{ maxBufferedBytes: 1.5 }, RangeError, /maxBufferedBytes .*got 1.5/],
  [{ maxBufferedBytes: Infinity }, RangeError, /maxBufferedBytes/],
  [{ pingIntervalMs: 0 }, RangeError, /pingIntervalMs/],
  [{ pingIntervalMs: NaN }, RangeError, /pingIntervalMs .*got NaN/],
  [{ pongTimeoutMs: Infinity }, RangeError, /pongTimeoutMs/],
  [{ compression: 7 }, TypeError, /compression must be a boolean or an object/],
  [{ compression: null }, TypeError, /compression .*got null/],
  [{ compression: { thresholdBytes: -1 } }, RangeError, /compression.thresholdBytes/],
  [{ onError: {} }, TypeError, /onError must be a function, got object/],
];

Deno.test("a wrong option is refused, and the error gives its name, its value and what is allowed", () => {
  for (const [options, error, said] of WRONG) {
    const thrown = assertThrows(() => accept(options as AcceptOptions), error);
    assertEquals(said.test(thrown.message), true, thrown.message);
  }
});

Deno.test("options at their limits are accepted", async () => {
  const all: AcceptOptions[] = [
    {},
    { origins: [], protocols: [], headers: {} },
    { origins: ["https://a.example", "http://localhost:8000", "chrome-extension://abcdef"] },
    { headers: { "X-A": "\t é ~" }, maxMessageBytes: 1, maxBufferedBytes: 1 },
    { pingIntervalMs: 1, pongTimeoutMs: 1, maxMessageBytes: 2 ** 31 - 1 },
    { pingIntervalMs: Infinity, compression: { thresholdBytes: 0 }, onError: () => {} },
    { compression: {} },
  ];
  for (const options of all) await endAll(accept(options).socket);
});
