import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { AcceptOptions } from "../../../websocket/mod.ts";
import { clientFrame, type Headers, requestText } from "../_raw_client.ts";
import { closeOf, echo, serve } from "../_server.ts";
import type { Cases } from "./_cases.ts";

/** The status of the answer to a request with these headers, and what it says besides. */
async function answerTo(
  headers: Headers,
  options: AcceptOptions = {},
  form: { method?: string; version?: string } = {},
): Promise<{ status: number; headers: ReadonlyMap<string, string> }> {
  let answer;
  await serve(options, async ({ connect, port }) => {
    const client = connect();
    client.write(Buffer.from(requestText(port, { headers, ...form })));
    answer = await client.response();
    if (answer.status !== 101) await client.hangUp();
  });
  if (answer === undefined) throw new Error("no answer");
  return answer;
}

const statusOf = async (...args: Parameters<typeof answerTo>) => (await answerTo(...args)).status;

export const HANDSHAKE: Cases = {
  "a valid request is accepted as RFC 6455, section 1.3, says": async () => {
    const { status, headers } = await answerTo({});
    assert.equal(status, 101);
    assert.equal(headers.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert.equal(headers.get("upgrade"), "websocket");
    assert.equal(headers.get("connection"), "Upgrade");
    assert.equal(headers.has("sec-websocket-protocol"), false);
    assert.equal(headers.has("sec-websocket-extensions"), false);
  },

  "names of the handshake may be in any case, and stand among others": async () => {
    const headers = { "Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE" };
    assert.equal(await statusOf(headers), 101);
  },

  "an invalid request is answered with 400 and closed": async () => {
    for (
      const headers of [
        { "Upgrade": "h2c" },
        { "Connection": "keep-alive, Upgrade2" },
        { "Sec-WebSocket-Key": undefined },
        { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=" },
        { "Sec-WebSocket-Key": "c2hvcnQ=" },
        { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZSE=" },
        { "Sec-WebSocket-Protocol": "a b" },
        { "Sec-WebSocket-Protocol": "a, a" },
        { "Sec-WebSocket-Protocol": "a,,b" },
      ]
    ) {
      // Without an upgrade in `Connection` the server takes it for a plain request.
      const expected = headers.Connection === undefined ? 400 : 426;
      assert.equal(await statusOf(headers), expected, JSON.stringify(headers));
    }
  },

  "another method is refused with 405, which names the right one": async () => {
    const { status, headers } = await answerTo({}, {}, { method: "PUT" });
    assert.deepEqual([status, headers.get("allow")], [405, "GET"]);
  },

  "another version of the protocol is refused with 426, which names the right one": async () => {
    for (const version of ["12", "8", "", "13, 13", "013", undefined]) {
      const { status, headers } = await answerTo({ "Sec-WebSocket-Version": version });
      assert.deepEqual(
        [status, headers.get("sec-websocket-version")],
        [426, "13"],
        String(version),
      );
    }
  },

  "HTTP/1.0 is refused with 400": async () => {
    const status = await statusOf({}, {}, { version: "HTTP/1.0" });
    // Some servers do not even take that for an upgrade.
    assert.ok(status === 400 || status === 426, String(status));
  },

  "the host of an Origin must be the requested one if no origins are listed": async () => {
    const at = (Host: string, Origin?: string) => statusOf({ Host, Origin });
    assert.equal(await at("chat.example"), 101);
    assert.equal(await at("chat.example", "https://chat.example"), 101);
    assert.equal(await at("chat.example:443", "https://chat.example"), 101);
    assert.equal(await at("Chat.Example:8000", "http://chat.example:8000"), 101);
    assert.equal(await at("chat.example", "https://evil.example"), 403);
    assert.equal(await at("chat.example", "https://chat.example:444"), 403);
    assert.equal(await at("chat.example", "https://chat.example.evil.example"), 403);
    assert.equal(await at("chat.example", "null"), 403);
    assert.equal(await at("chat.example", "nonsense"), 403);
    assert.equal(await at("evil.example/@chat.example", "https://chat.example"), 403);
  },

  "a list of origins admits these origins, and clients that send none": async () => {
    const options = { origins: ["https://chat.example", "http://localhost:3000"] };
    assert.equal(await statusOf({}, options), 101);
    assert.equal(await statusOf({ Origin: "http://localhost:3000" }, options), 101);
    assert.equal(await statusOf({ Origin: "https://localhost:3000" }, options), 403);
    assert.equal(await statusOf({ Origin: "null" }, options), 403);
  },

  "a function decides about each origin, and about null": async () => {
    const asked: (string | null)[] = [];
    const origins = (origin: string | null) => asked.push(origin) === 1;
    assert.equal(await statusOf({}, { origins }), 101);
    assert.equal(await statusOf({ Origin: "x://y" }, { origins }), 403);
    assert.deepEqual(asked, [null, "x://y"]);
  },

  "a function for origins that fails admits nobody, and the answer is 500": async () => {
    const { error } = console;
    const said: unknown[] = [];
    console.error = (...args: unknown[]) => said.push(args);
    try {
      const asynchronous = (() => Promise.resolve(true)) as unknown as () => boolean;
      assert.equal(await statusOf({}, { origins: asynchronous }), 500);
      const throwing = () => {
        throw new Error("not today");
      };
      assert.equal(await statusOf({}, { origins: throwing }), 500);
    } finally {
      console.error = error;
    }
    assert.equal(said.length, 2);
  },

  "the server chooses the first protocol of the client that it supports": async () => {
    const options = { protocols: ["b", "c"] };
    const protocolOf = async (offered: string) =>
      (await answerTo({ "Sec-WebSocket-Protocol": offered }, options)).headers
        .get("sec-websocket-protocol");
    assert.equal(await protocolOf("a, c, b"), "c");
    assert.equal(await protocolOf("a"), undefined);
    assert.equal(await protocolOf("B"), undefined);
    await serve(options, async ({ open }) => {
      const { socket } = await open({ headers: { "Sec-WebSocket-Protocol": "x,b" } });
      assert.equal(socket.protocol, "b");
      assert.equal((await open()).socket.protocol, "");
    });
  },

  "headers of the application are part of the answer": async () => {
    const { headers } = await answerTo({}, { headers: { "Set-Cookie": "a=b", "X-A": "ä" } });
    assert.equal(headers.get("set-cookie"), "a=b");
    assert.equal(headers.get("x-a"), "ä");
  },

  "frames that came in one piece with the request are not lost": async () => {
    await serve({ onSocket: echo }, async ({ open }) => {
      const { client } = await open(
        {},
        Buffer.concat([clientFrame(1, "first"), clientFrame(1, "2nd")]),
      );
      assert.equal(await client.heard(), "1 first");
      assert.equal(await client.heard(), "1 2nd");
    });
  },

  "a stream that was destroyed before is not accepted": async () => {
    await serve({ onUpgrade: (stream) => stream.destroy() }, async ({ connect, port }) => {
      const client = connect();
      client.write(Buffer.from(requestText(port)));
      await client.end();
    });
  },

  "a reset while the request is answered reaches nobody": async () => {
    await serve({ onSocket: echo }, async ({ connect, open, port }) => {
      for (let i = 0; i < 20; i++) {
        const client = connect();
        client.write(Buffer.from(requestText(port, i % 2 === 0 ? {} : { method: "PUT" })));
        client.socket.once("connect", () => client.reset());
        await client.end();
      }
      const { client } = await open();
      client.send(1, "still here");
      assert.equal(await client.heard(), "1 still here");
    });
  },

  "a plain request to the same server is answered as usual": async () => {
    await serve({}, async ({ port }) => {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      assert.equal(response.status, 426);
      await response.body?.cancel();
    });
  },

  "the address of the client is known, also after the end": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      assert.equal(socket.remoteAddress, "127.0.0.1");
      const closed = closeOf(socket);
      client.reset();
      await closed;
      assert.equal(socket.remoteAddress, "127.0.0.1");
    });
  },
};
