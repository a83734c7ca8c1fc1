import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { encodeWebSocketText } from "../../../codec/mod.ts";
import { clientFrame, closePayload, type FrameForm, requestText } from "../_raw_client.ts";
import { echo, serve, type Served, type ServeOptions } from "../_server.ts";
import type { Cases } from "./_cases.ts";

const CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9;
const RSV1 = 4;
const COMPRESSED: FrameForm = { rsv: RSV1 };

const SYNC = { finishFlush: constants.Z_SYNC_FLUSH };
const TAIL = Buffer.of(0, 0, 0xff, 0xff);

function deflate(data: string | Uint8Array): Buffer {
  return deflateRawSync(data, SYNC).subarray(0, -TAIL.length);
}

function inflate(data: Uint8Array, windowBits = 15): Buffer {
  return inflateRawSync(Buffer.concat([data, TAIL]), { ...SYNC, windowBits });
}

const OFFER = { headers: { "Sec-WebSocket-Extensions": "permessage-deflate" } };
const EVERYTHING: ServeOptions = { onSocket: echo, compression: { thresholdBytes: 0 } };

/** What is agreed on for an offer: the answer, or undefined. */
async function agreedOn(
  offer: string,
  options: ServeOptions = EVERYTHING,
): Promise<string | undefined> {
  let agreed: string | undefined;
  await serve(options, async ({ connect, port }) => {
    const client = connect();
    client.write(
      Buffer.from(requestText(port, { headers: { "Sec-WebSocket-Extensions": offer } })),
    );
    const { status, headers } = await client.response();
    agreed = status === 101 ? headers.get("sec-websocket-extensions") : String(status);
  });
  return agreed;
}

const withEcho = (run: (served: Served) => Promise<void>, options: ServeOptions = {}) =>
  serve({ ...EVERYTHING, ...options }, run);

const AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

export const COMPRESSION: Cases = {
  "compression is off by default": async () => {
    assert.equal(await agreedOn("permessage-deflate", { compression: false }), undefined);
    assert.equal(await agreedOn("permessage-deflate", {}), undefined);
    await serve({ onSocket: echo }, async ({ open }) => {
      const { client } = await open(OFFER);
      client.send(TEXT, deflate("x"), COMPRESSED);
      assert.equal(await client.heard(), "8 1002");
    });
  },

  "the server accepts the first offer that it can keep, without memory between messages":
    async () => {
      for (
        const [offer, answer] of [
          ["permessage-deflate", AGREED],
          ["permessage-deflate; client_max_window_bits", AGREED],
          ["permessage-deflate; client_max_window_bits=10", AGREED],
          ["permessage-deflate;server_no_context_takeover ;client_no_context_takeover", AGREED],
          ["Permessage-Deflate", AGREED],
          ["x-webkit-deflate-frame, permessage-deflate", AGREED],
          ["permessage-deflate; server_max_window_bits=15", AGREED],
          ["permessage-deflate; server_max_window_bits=9", `${AGREED}; server_max_window_bits=9`],
          [
            'permessage-deflate; server_max_window_bits="12"',
            `${AGREED}; server_max_window_bits=12`,
          ],
          ["permessage-deflate; server_max_window_bits=8, permessage-deflate", AGREED],
          ["permessage-deflate; unknown, permessage-deflate; client_no_context_takeover", AGREED],
        ]
      ) assert.equal(await agreedOn(offer), answer, offer);
    },

  "an offer that cannot be kept, or is not valid, is declined": async () => {
    for (
      const parameters of [
        "server_max_window_bits=8",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits",
        "client_max_window_bits=16",
        "client_max_window_bits=x",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "something_else",
      ]
    ) assert.equal(await agreedOn(`permessage-deflate; ${parameters}`), undefined, parameters);
    assert.equal(await agreedOn("x-webkit-deflate-frame"), undefined);
  },

  "a malformed header of extensions is refused": async () => {
    for (const offer of ["permessage-deflate;", "a,,b", "a; b=", 'a; b="c', "a b", "=", "a=b"]) {
      assert.equal(await agreedOn(offer), "400", offer);
    }
    assert.equal(await agreedOn("a;b".repeat(200)), "400");
  },

  "compressed messages come back, whole, in fragments and between others": async () => {
    await withEcho(async ({ open }) => {
      const { client } = await open(OFFER);
      const text = "hello hello 🎉 ".repeat(50);
      const data = deflate(text);
      const hears = async (opcode: number) => {
        const frame = await client.next();
        assert.equal(frame?.opcode, opcode);
        assert.equal(frame?.rsv, RSV1);
        assert.equal(String(inflate(frame?.payload ?? Buffer.of())), text);
      };
      client.send(TEXT, data, COMPRESSED);
      await hears(TEXT);
      client.send(BINARY, data, COMPRESSED);
      await hears(BINARY);
      client.send(TEXT, data.subarray(0, 5), { rsv: RSV1, fin: false });
      client.send(PING, "between");
      client.send(CONTINUATION, data.subarray(5, 9), { fin: false });
      client.send(CONTINUATION, data.subarray(9));
      client.send(TEXT, text);
      assert.equal(await client.heard(), "10 between");
      await hears(TEXT);
      await hears(TEXT);
      client.send(TEXT, deflate(""), COMPRESSED);
      assert.equal(await client.heard(), "1 ");
    });
  },

  "blocks of every kind are understood: stored, fixed, several, and a last one": async () => {
    await withEcho(async ({ open }) => {
      const { client } = await open(OFFER);
      const half = deflateRawSync("half ", SYNC);
      const messages: [data: Uint8Array, text: string][] = [
        [deflateRawSync("stored", { ...SYNC, level: 0 }).subarray(0, -4), "stored"],
        [
          deflateRawSync("fixed", { ...SYNC, strategy: constants.Z_FIXED }).subarray(0, -4),
          "fixed",
        ],
        [Buffer.concat([half, half.subarray(0, -4)]), "half half "],
        // RFC 7692, section 7.2.3.4: what has a last block ends with an empty byte.
        [Buffer.concat([deflateRawSync("last"), Buffer.of(0)]), "last"],
        [Buffer.of(0), ""],
      ];
      for (const [data, text] of messages) {
        client.send(TEXT, data, COMPRESSED);
        const frame = await client.next();
        const payload = frame?.payload ?? Buffer.of();
        assert.equal(String(frame?.rsv === RSV1 ? inflate(payload) : payload), text);
      }
    });
  },

  "a client that asked for a small window gets data that it can inflate": async () => {
    await withEcho(async ({ open }) => {
      const headers = {
        "Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=9",
      };
      const { client } = await open({ headers });
      // It repeats itself after 4 KiB, which a larger window would make use of.
      const block = Buffer.from(Array.from({ length: 4096 }, (_, i) => 32 + (i * i * 7 + i) % 90));
      const data = Buffer.concat([block, block, block]);
      client.send(BINARY, deflate(data), COMPRESSED);
      const frame = await client.next();
      assert.equal(frame?.rsv, RSV1);
      assert.ok(inflate(frame?.payload ?? Buffer.of(), 9).equals(data));
    });
  },

  "invalid data closes with 1007, and so does text that is not UTF-8": async () => {
    await withEcho(async ({ open }) => {
      for (const data of [Buffer.of(0xff, 0xff), Buffer.of(6), deflate(Buffer.of(0xff, 0xfe))]) {
        const { client } = await open(OFFER);
        client.send(TEXT, data, COMPRESSED);
        assert.equal(await client.heard(), "8 1007");
      }
    });
  },

  "RSV1 belongs to the first frame of a message only": async () => {
    await withEcho(async ({ open }) => {
      const frames: [number, string, FrameForm][] = [
        [PING, "", COMPRESSED],
        [CLOSE, "", COMPRESSED],
        [TEXT, "x", { rsv: RSV1 + 1 }],
        [TEXT, "x", { rsv: 2 }],
      ];
      for (const [opcode, data, form] of frames) {
        const { client } = await open(OFFER);
        client.send(opcode, data, form);
        assert.equal(await client.heard(), "8 1002");
      }
      const { client } = await open(OFFER);
      client.send(TEXT, deflate("hello").subarray(0, 3), { rsv: RSV1, fin: false });
      client.send(CONTINUATION, deflate("hello").subarray(3), COMPRESSED);
      assert.equal(await client.heard(), "8 1002");
    });
  },

  "a message may inflate to exactly the limit, and one byte more closes with 1009": async () => {
    await withEcho(async ({ open }) => {
      const { client } = await open(OFFER);
      client.send(BINARY, deflate(Buffer.alloc(100_000)), COMPRESSED);
      const frame = await client.next();
      assert.equal(inflate(frame?.payload ?? Buffer.of()).length, 100_000);
      client.send(BINARY, deflate(Buffer.alloc(100_001)), COMPRESSED);
      assert.equal(await client.heard(), "8 1009");
      const bomb = await open(OFFER);
      bomb.client.send(BINARY, deflate(Buffer.alloc(50_000_000)), COMPRESSED);
      assert.equal(await bomb.client.heard(), "8 1009");
    }, { maxMessageBytes: 100_000 });
  },

  "short messages, and those that would grow, are sent uncompressed": async () => {
    await withEcho(async ({ open }) => {
      const { client } = await open(OFFER);
      const rsvOf = async (data: Uint8Array) => {
        client.send(BINARY, data);
        const frame = await client.next();
        return frame?.rsv;
      };
      assert.equal(await rsvOf(Buffer.alloc(999)), 0);
      assert.equal(await rsvOf(Buffer.alloc(1000)), RSV1);
      const noise = crypto.getRandomValues(new Uint8Array(2000));
      assert.equal(await rsvOf(noise), 0);
    }, { compression: { thresholdBytes: 1000 } });
  },

  "messages of all kinds stay in order, and those before a close frame arrive": async () => {
    await withEcho(async ({ open }) => {
      const { client } = await open(OFFER);
      const texts = Array.from(
        { length: 300 },
        (_, i) => `${i} `.repeat(i % 7 === 0 ? 3000 : i % 50),
      );
      const frames = texts.map((text, i) =>
        i % 3 === 0 ? clientFrame(TEXT, text) : clientFrame(TEXT, deflate(text), COMPRESSED)
      );
      client.write(Buffer.concat([...frames, clientFrame(CLOSE, closePayload(1000))]));
      for (const text of texts) {
        const frame = await client.next();
        const payload = frame?.payload ?? Buffer.of();
        assert.equal(String(frame?.rsv === RSV1 ? inflate(payload) : payload), text);
      }
      assert.equal(await client.heard(), "8 1000");
    });
  },

  "a shared frame reaches clients with and without compression, in order": async () => {
    await serve({ compression: { thresholdBytes: 100 } }, async ({ open }) => {
      const plain = await open();
      const compressed = [await open(OFFER), await open(OFFER)];
      const [long, short] = ["long ".repeat(500), "short"];
      for (const frame of [short, long, short].map(encodeWebSocketText)) {
        for (const { socket } of [plain, ...compressed]) socket.sendFrame(frame);
      }
      for (const text of [short, long, short]) {
        assert.equal(await plain.client.heard(), `1 ${text}`);
      }
      for (const { client } of compressed) {
        assert.equal(await client.heard(), `1 ${short}`);
        const frame = await client.next();
        assert.equal(frame?.rsv, RSV1);
        assert.equal(String(inflate(frame?.payload ?? Buffer.of())), long);
        assert.equal(await client.heard(), `1 ${short}`);
      }
    });
  },
};
