import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  applyMask,
  decodeWebSocketClose,
  decodeWebSocketText,
  encodeWebSocketClose,
  encodeWebSocketFrame,
  encodeWebSocketText,
  isWebSocketCloseCode,
  MAX_CLOSE_REASON_BYTES,
  MAX_WEBSOCKET_HEADER_BYTES,
  OPCODE,
  readWebSocketHeader,
  webSocketHeaderBytes,
  writeWebSocketHeader,
} from "../../codec/mod.ts";
import { illFormedText, text } from "../_arbitraries.ts";
import { assertFrameError } from "./_assert.ts";

const encoder = new TextEncoder();

Deno.test("the frames of RFC 6455, section 5.7, are made and read", () => {
  assertEquals(encodeWebSocketText("Hello").toHex(), "810548656c6c6f");
  assertEquals(
    encodeWebSocketFrame(OPCODE.PING, encoder.encode("Hello")).toHex(),
    "890548656c6c6f",
  );
  const masked = Uint8Array.fromHex("818537fa213d7f9f4d5158");
  const header = readWebSocketHeader(masked, 0);
  assertEquals(header, {
    fin: true,
    rsv: 0,
    opcode: OPCODE.TEXT,
    masked: true,
    length: 5,
    key: 0x3d21fa37,
    size: 6,
  });
  applyMask(masked, 6, 11, header?.key ?? 0);
  assertEquals(decodeWebSocketText(masked.subarray(6)), "Hello");
  assertEquals(readWebSocketHeader(Uint8Array.fromHex("01034865"), 0)?.fin, false);
  assertEquals(
    encodeWebSocketFrame(OPCODE.BINARY, new Uint8Array(256)).subarray(0, 4).toHex(),
    "827e0100",
  );
  assertEquals(
    encodeWebSocketFrame(OPCODE.BINARY, new Uint8Array(65_536)).subarray(0, 10).toHex(),
    "827f0000000000010000",
  );
  assertEquals(encodeWebSocketFrame(OPCODE.TEXT, Uint8Array.of(1), true).toHex(), "c10101");
});

Deno.test("a length takes 7, 16 or 64 bits, whichever is least, and is read as it was written", () => {
  for (
    const [length, bytes] of [
      [0, 2],
      [125, 2],
      [126, 4],
      [127, 4],
      [65_535, 4],
      [65_536, 10],
      [2 ** 31, 10],
      [2 ** 32 - 1, 10],
      [2 ** 32, 10],
      [Number.MAX_SAFE_INTEGER, 10],
    ]
  ) {
    assertEquals(webSocketHeaderBytes(length), bytes);
    const target = new Uint8Array(MAX_WEBSOCKET_HEADER_BYTES).fill(0xee);
    assertEquals(writeWebSocketHeader(target, 1, OPCODE.BINARY, length), 1 + bytes);
    assertEquals([target[0], target[1 + bytes]], [0xee, 0xee]);
    const header = readWebSocketHeader(target.subarray(1, 1 + bytes), 0);
    assertEquals([header?.length, header?.size, header?.opcode], [length, bytes, OPCODE.BINARY]);
    for (let size = 0; size < bytes; size++) {
      assertEquals(readWebSocketHeader(target.subarray(1, 1 + size), 0), undefined);
    }
  }
});

Deno.test("a header is read at its offset, and a masked one needs its whole key", () => {
  const bytes = Uint8Array.fromHex("eeee8afe007e01020384ee");
  assertEquals(readWebSocketHeader(bytes, 2), {
    fin: true,
    rsv: 0,
    opcode: OPCODE.PONG,
    masked: true,
    length: 126,
    key: 0x84030201,
    size: 8,
  });
  assertEquals(readWebSocketHeader(bytes.subarray(0, 9), 2), undefined);
  assertEquals(readWebSocketHeader(Uint8Array.fromHex("f300"), 0)?.rsv, 7);
});

Deno.test("a length that is not in its shortest form, or has its highest bit set, is refused", () => {
  for (
    const hex of [
      "827e0000",
      "827e007d",
      "827f0000000000000000",
      "827f000000000000ffff",
      "827f8000000000000000",
      "827fffffffffffffffff",
    ]
  ) assertFrameError(() => readWebSocketHeader(Uint8Array.fromHex(`ee${hex}`), 1), "bad-length", 1);
  for (const hex of ["827f0020000000000000", "827f7fffffffffffffff"]) {
    assertEquals(readWebSocketHeader(Uint8Array.fromHex(hex), 0)?.length, Infinity);
  }
});

Deno.test("masking follows the formula, at any offset and however the payload is cut", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(0xffff_ffff),
      fc.nat(7),
      fc.nat(300),
      (payload, key, offset, cutAt) => {
        const cut = Math.min(cutAt, payload.length);
        const memory = new Uint8Array(offset + payload.length + 5).fill(0xee);
        const bytes = memory.subarray(offset);
        bytes.set(payload);
        applyMask(bytes, 0, cut, key);
        applyMask(bytes, cut, payload.length, key, cut);
        const expected = payload.map((byte, i) => byte ^ key >>> 8 * (i % 4));
        assertEquals(bytes.subarray(0, payload.length), expected);
        assert(memory.subarray(0, offset).every((byte) => byte === 0xee));
        assert(bytes.subarray(payload.length).every((byte) => byte === 0xee));
      },
    ),
  );
});

Deno.test("a text frame holds the text, with U+FFFD for each lone surrogate", () => {
  const isRight = (text: string) => {
    const frame = encodeWebSocketText(text);
    const header = readWebSocketHeader(frame, 0);
    const payload = frame.subarray(header?.size);
    assertEquals([header?.opcode, header?.length], [OPCODE.TEXT, payload.length]);
    assertEquals(frame.buffer.byteLength, frame.length);
    assertEquals(decodeWebSocketText(payload), text.toWellFormed());
  };
  fc.assert(fc.property(text, isRight));
  fc.assert(fc.property(illFormedText, ({ illFormed }) => isRight(illFormed)));
  isRight("é".repeat(40_000));
});

Deno.test("a close frame's payload comes back, or an error says what is wrong with it", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 3000, max: 4999 }), fc.constantFrom(1000, 1001, 1011)),
      text.filter((text) => encoder.encode(text).length <= MAX_CLOSE_REASON_BYTES),
      (code, reason) =>
        assertEquals(decodeWebSocketClose(encodeWebSocketClose(code, reason)), { code, reason }),
    ),
  );
  assertEquals(decodeWebSocketClose(new Uint8Array()), { code: undefined, reason: "" });
  assertFrameError(() => decodeWebSocketClose(Uint8Array.of(3)), "truncated", 1);
  assertFrameError(() => decodeWebSocketClose(Uint8Array.of(3, 0xed)), "bad-close-code", 0);
  assertFrameError(
    () => decodeWebSocketClose(Uint8Array.of(3, 0xe8, 0x61, 0xff)),
    "invalid-utf8",
    3,
  );
  assertEquals(encodeWebSocketClose(1000, "\ud800").toHex(), "03e8efbfbd");
  assertEquals(encodeWebSocketClose(1000, "x".repeat(123)).length, 125);
  assertFrameError(() => encodeWebSocketClose(1000, "é".repeat(62)), "reason-too-long", 2);
  assertFrameError(() => encodeWebSocketClose(1005), "bad-close-code", 0);
});

Deno.test("a close code is 1000 to 1003, 1007 to 1014 or 3000 to 4999", () => {
  const valid = Array.from({ length: 6000 }, (_, code) => code).filter(isWebSocketCloseCode);
  const expected = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
  assertEquals(valid.slice(0, expected.length), expected);
  assertEquals([valid.length, valid[expected.length], valid.at(-1)], [2012, 3000, 4999]);
  assertEquals([1000.5, NaN, -1000, Infinity].some(isWebSocketCloseCode), false);
});

Deno.test("text is decoded strictly, keeps a byte order mark, and ends with its bytes", () => {
  assertEquals(decodeWebSocketText(encoder.encode("\ufeffa\ufffd")), "\ufeffa\ufffd");
  assertThrows(() => decodeWebSocketText(Uint8Array.of(0xc3)));
  fc.assert(
    fc.property(text, (text) => {
      const memory = new Uint8Array([0xff, ...encoder.encode(text), 0xff]);
      assertEquals(decodeWebSocketText(memory.subarray(1, memory.length - 1)), text);
    }),
  );
});
