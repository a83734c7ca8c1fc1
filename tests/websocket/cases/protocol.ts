import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { inspect } from "node:util";
import { clientFrame, closePayload, type FrameForm } from "../_raw_client.ts";
import { closeOf, echo, serve, type ServeOptions } from "../_server.ts";
import type { Cases } from "./_cases.ts";

const CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

type Said = [opcode: number, data?: string | Uint8Array, form?: FrameForm] | Uint8Array;

/** What an echo server answers to these frames, until it ends or `count` frames have come. */
async function answers(
  said: readonly Said[],
  count = Infinity,
  { options = {}, chop = Infinity }: { options?: ServeOptions; chop?: number } = {},
): Promise<string[]> {
  const heard: string[] = [];
  await serve({ onSocket: echo, ...options }, async ({ open }) => {
    const { client } = await open();
    const bytes = Buffer.concat(said.map((frame) => {
      if (frame instanceof Uint8Array) return frame;
      const [opcode, data, form] = frame;
      return clientFrame(opcode, data, form);
    }));
    client.socket.setNoDelay(true);
    for (let at = 0; at < bytes.length && !client.ended; at += chop) {
      client.write(bytes.subarray(at, at + chop));
      if (chop < bytes.length) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    while (heard.length < count) {
      const frame = await client.heard();
      heard.push(frame);
      if (frame === "end") break;
    }
    await client.hangUp();
  });
  return heard;
}

/** A protocol error: answered with 1002, then the end. */
async function isBroken(...said: Said[]): Promise<void> {
  assert.deepEqual(await answers(said), ["8 1002", "end"], inspect(said));
}

const hello: Said = [TEXT, "hello"];

export const PROTOCOL: Cases = {
  "texts and bytes of every length of header come back as they were": async () => {
    for (const size of [0, 1, 47, 48, 49, 125, 126, 127, 128, 65_535, 65_536, 200_001]) {
      await serve({ onSocket: echo }, async ({ open }) => {
        const { client } = await open();
        const bytes = Buffer.from(Array.from({ length: size }, (_, i) => 32 + i % 90));
        for (const opcode of [TEXT, BINARY]) {
          client.send(opcode, bytes);
          const frame = await client.next();
          assert.equal(frame?.opcode, opcode);
          assert.ok(frame?.payload.equals(bytes), `${size} bytes`);
        }
      });
    }
  },

  "a stream may be cut anywhere": async () => {
    const text = "κόσμε 🎉 ".repeat(40);
    const said: Said[] = [hello, [TEXT, text], [PING, "p"], [BINARY, "x".repeat(300)]];
    for (const chop of [1, 2, 3, 7, 100]) {
      assert.deepEqual(
        await answers(said, 4, { chop }),
        ["1 hello", `1 ${text}`, "10 p", `2 ${"x".repeat(300)}`],
      );
    }
  },

  "a length that is not in its shortest form is an error": async () => {
    await isBroken([TEXT, "hello", { lengthBits: 16 }]);
    await isBroken([BINARY, "x".repeat(125), { lengthBits: 16 }]);
    await isBroken([BINARY, "x".repeat(126), { lengthBits: 64 }]);
    await isBroken([BINARY, "", { length: 1n << 63n, lengthBits: 64 }]);
  },

  "a frame that is not masked is an error": async () => {
    await isBroken([TEXT, "hello", { mask: false }]);
    await isBroken([PING, "", { mask: false }]);
    await isBroken([CLOSE, closePayload(1000), { mask: false }]);
    // A key of zeros is a key.
    const mask = new Uint8Array(4);
    assert.deepEqual(await answers([[TEXT, "hello", { mask }]], 1), ["1 hello"]);
  },

  "reserved bits are an error, in any kind of frame": async () => {
    for (const rsv of [1, 2, 3, 4, 5, 6, 7]) {
      await isBroken([TEXT, "hello", { rsv }]);
      await isBroken([PING, "", { rsv }]);
      await isBroken([CLOSE, closePayload(1000), { rsv }]);
      await isBroken([TEXT, "a", { fin: false }], [CONTINUATION, "b", { rsv }]);
    }
  },

  "messages before an error are still answered": async () => {
    assert.deepEqual(
      await answers([hello, [BINARY, "x"], [TEXT, "", { rsv: 2 }], hello]),
      ["1 hello", "2 x", "8 1002", "end"],
    );
  },

  "reserved opcodes are an error": async () => {
    for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) await isBroken([opcode, "x"]);
  },

  "a ping is answered with its payload, even in the middle of a message": async () => {
    const payload = Buffer.from(Array.from({ length: 125 }, (_, i) => 255 - i));
    await serve({ onSocket: echo }, async ({ open }) => {
      const { client } = await open();
      client.send(PING, payload);
      assert.ok((await client.next())?.payload.equals(payload));
    });
    assert.deepEqual(await answers([[PING], [PING, "two"]], 2), ["10 ", "10 two"]);
    assert.deepEqual(
      await answers([
        [TEXT, "a", { fin: false }],
        [PING, "1"],
        [CONTINUATION, "b", { fin: false }],
        [PING, "2"],
        [PONG, "nobody has asked"],
        [CONTINUATION, "c"],
      ], 3),
      ["10 1", "10 2", "1 abc"],
    );
  },

  "ten pings in one piece are answered one by one": async () => {
    const pings = Array.from({ length: 10 }, (_, i): Said => [PING, String(i)]);
    assert.deepEqual(await answers(pings, 10), pings.map(([, payload]) => `10 ${payload}`));
  },

  "control frames of more than 125 bytes, or in fragments, are an error": async () => {
    for (const opcode of [PING, PONG, CLOSE]) {
      await isBroken([
        opcode,
        opcode === CLOSE ? closePayload(1000, "x".repeat(124)) : "x".repeat(126),
      ]);
      await isBroken([opcode, "", { fin: false }]);
    }
  },

  "fragments become one message, whatever their number and size": async () => {
    const parts = ["", "a", "", "bc", "d".repeat(300), ""];
    const fragments = parts.map((part, i): Said => [
      i === 0 ? BINARY : CONTINUATION,
      part,
      { fin: i === parts.length - 1 },
    ]);
    assert.deepEqual(await answers([...fragments, hello], 2), [`2 ${parts.join("")}`, "1 hello"]);
    assert.deepEqual(await answers(fragments, 1, { chop: 1 }), [`2 ${parts.join("")}`]);
  },

  "fragments without a beginning, or two messages at once, are an error": async () => {
    await isBroken([CONTINUATION, "x"]);
    await isBroken([CONTINUATION, "x", { fin: false }]);
    assert.deepEqual(await answers([hello, [CONTINUATION, "x"]]), ["1 hello", "8 1002", "end"]);
    await isBroken([TEXT, "a", { fin: false }], [TEXT, "b"]);
    await isBroken([BINARY, "a", { fin: false }], [TEXT, "b", { fin: false }]);
  },

  "text that is not UTF-8 closes with 1007, and bytes may be anything": async () => {
    for (
      const hex of [
        "80",
        "c080",
        "c1bf",
        "e08080",
        "e09fbf",
        "eda080",
        "edbfbf",
        "f0808080",
        "f08fbfbf",
        "f4908080",
        "f5808080",
        "ff",
        "c2",
        "e282",
        "f09f8e",
        "cebae18bb9cf83cebcceb5eda080656469746564",
      ]
    ) {
      const bytes = Buffer.from(hex, "hex");
      assert.deepEqual(await answers([[TEXT, bytes]]), ["8 1007", "end"], hex);
      const cut: Said[] = [[TEXT, bytes.subarray(0, 1), { fin: false }], [
        CONTINUATION,
        bytes.subarray(1),
      ]];
      assert.deepEqual(await answers(cut), ["8 1007", "end"], hex);
      assert.equal((await answers([[BINARY, bytes]], 1))[0].slice(0, 1), "2");
    }
  },

  "characters may be cut by fragments and chunks": async () => {
    const text = "\ufeffκόσμε €𝄞\ufffd\u{10ffff}\0";
    const bytes = Buffer.from(text);
    const fragments = [...bytes].map((byte, i): Said => [
      i === 0 ? TEXT : CONTINUATION,
      Uint8Array.of(byte),
      { fin: i === bytes.length - 1 },
    ]);
    assert.deepEqual(await answers(fragments, 1), [`1 ${text}`]);
    assert.deepEqual(await answers([[TEXT, text]], 1, { chop: 1 }), [`1 ${text}`]);
  },

  "invalid text fails before the rest of its frame has come": async () => {
    await serve({ onSocket: echo }, async ({ open }) => {
      const { client } = await open();
      const frame = clientFrame(
        TEXT,
        Buffer.concat([Buffer.from("abc\xff", "latin1"), Buffer.alloc(90)]),
      );
      client.write(frame.subarray(0, 2 + 4 + 4));
      assert.equal(await client.heard(), "8 1007");
    });
    await serve({ onSocket: echo }, async ({ open }) => {
      const { client } = await open();
      client.send(TEXT, Buffer.from("f4", "hex"), { fin: false });
      client.send(CONTINUATION, Buffer.from("90", "hex"), { fin: false });
      assert.equal(await client.heard(), "8 1007");
    });
  },

  "a close frame is answered with its code and reason, then the stream ends": async () => {
    for (
      const code of [
        1000,
        1001,
        1002,
        1003,
        1007,
        1008,
        1009,
        1010,
        1011,
        1012,
        1013,
        1014,
        3000,
        4999,
      ]
    ) {
      await serve({ onSocket: echo }, async ({ open }) => {
        const { client, socket } = await open();
        const closed = closeOf(socket);
        client.send(CLOSE, closePayload(code, "until then"));
        assert.deepEqual((await client.next())?.payload, closePayload(code, "until then"));
        await client.end();
        client.socket.end();
        const event = await closed;
        assert.deepEqual([event.code, event.reason, event.wasClean], [code, "until then", true]);
        assert.equal(socket.readyState, 3);
      });
    }
    assert.deepEqual(await answers([[CLOSE], hello]), ["8", "end"]);
  },

  "a close frame without a code is reported as 1005": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      const closed = closeOf(socket);
      client.send(CLOSE);
      await client.end();
      client.socket.end();
      const { code, reason, wasClean } = await closed;
      assert.deepEqual([code, reason, wasClean], [1005, "", true]);
    });
  },

  "close frames with codes that nobody may send are an error": async () => {
    await isBroken([CLOSE, "x"]);
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]) {
      await isBroken([CLOSE, closePayload(code)]);
    }
    const badReason = closePayload(1000, Buffer.from("ok\xff", "latin1"));
    assert.deepEqual(await answers([[CLOSE, badReason]]), ["8 1007", "end"]);
    const longest = closePayload(1000, "r".repeat(123));
    assert.deepEqual(await answers([[CLOSE, longest]]), ["8 1000", "end"]);
  },

  "frames after a close frame are ignored": async () => {
    const after: Said[] = [
      hello,
      [PING, "x"],
      [CLOSE, closePayload(4000)],
      Buffer.from("nonsense"),
    ];
    assert.deepEqual(await answers([[CLOSE, closePayload(1000)], ...after]), ["8 1000", "end"]);
    const half: Said = [TEXT, "a", { fin: false }];
    assert.deepEqual(await answers([half, [CLOSE, closePayload(1000)]]), ["8 1000", "end"]);
  },

  "a message of exactly the limit passes, and one byte more closes with 1009": async () => {
    const options = { maxMessageBytes: 1000 };
    const most = "x".repeat(1000);
    assert.deepEqual(await answers([[TEXT, most]], 1, { options }), [`1 ${most}`]);
    assert.deepEqual(await answers([[TEXT, most + "x"]], Infinity, { options }), ["8 1009", "end"]);
    const parts = (last: string): Said[] => [
      [BINARY, "x".repeat(600), { fin: false }],
      [CONTINUATION, "x".repeat(300), { fin: false }],
      [CONTINUATION, last],
    ];
    assert.deepEqual(
      await answers(parts("y".repeat(100)), 1, { options }).then(([m]) => m.length),
      1002,
    );
    assert.deepEqual(await answers(parts("y".repeat(101)), Infinity, { options }), [
      "8 1009",
      "end",
    ]);
  },

  "a message that is too large is refused by its header": async () => {
    await serve({ onSocket: echo }, async ({ open }) => {
      const { client } = await open();
      client.send(BINARY, "", { length: 2 ** 20 + 1, lengthBits: 64 });
      assert.equal(await client.heard(), "8 1009");
    });
    await serve({ onSocket: echo }, async ({ open }) => {
      const { client } = await open();
      client.send(BINARY, "", { length: (1n << 63n) - 1n, lengthBits: 64 });
      assert.equal(await client.heard(), "8 1009");
    });
  },

  "a message of 16 MiB comes back, whole and in pieces": async () => {
    const options: ServeOptions = {
      onSocket: echo,
      maxMessageBytes: 2 ** 24,
      maxBufferedBytes: 2 ** 26,
    };
    await serve(options, async ({ open }) => {
      const { client } = await open();
      const bytes = Buffer.alloc(2 ** 24, "0123456789abcdef");
      client.send(TEXT, bytes);
      assert.ok((await client.next())?.payload.equals(bytes));
      const [half, rest] = [bytes.subarray(0, 2 ** 23), bytes.subarray(2 ** 23)];
      client.send(BINARY, half, { fin: false });
      client.send(CONTINUATION, rest);
      assert.ok((await client.next())?.payload.equals(bytes));
    });
  },

  "a message of 4 MiB in fragments of 64 bytes comes back in good time": async () => {
    const options: ServeOptions = { onSocket: echo, maxMessageBytes: 2 ** 22 };
    await serve(options, async ({ open }) => {
      const { client } = await open();
      const part = Buffer.alloc(64, "a");
      const first = clientFrame(TEXT, part, { fin: false });
      const middle = clientFrame(CONTINUATION, part, { fin: false });
      const last = clientFrame(CONTINUATION, part);
      const count = 2 ** 16;
      const startedAt = performance.now();
      client.write(Buffer.concat([first, ...Array(count - 2).fill(middle), last]));
      assert.equal((await client.next())?.payload.length, 2 ** 22);
      // Fragments that are kept one by one, or joined again and again, take many times as long.
      assert.ok(performance.now() - startedAt < 4_000);
    });
  },
};
