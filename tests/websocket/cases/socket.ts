import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { encodeWebSocketFrame, encodeWebSocketText } from "../../../codec/mod.ts";
import type { ServerWebSocket } from "../../../websocket/mod.ts";
import { clientFrame, closePayload } from "../_raw_client.ts";
import { closeOf, echo, serve } from "../_server.ts";
import type { Cases } from "./_cases.ts";

const TEXT = 1, BINARY = 2, CLOSE = 8;

/** The next event of a type. */
function next(socket: ServerWebSocket, type: "message" | "drain" | "open"): Promise<unknown> {
  return new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
}

/** What `run` writes to the console as errors. */
async function errorsOf(run: () => Promise<void>): Promise<unknown[][]> {
  const { error } = console;
  const said: unknown[][] = [];
  console.error = (...args: unknown[]) => void said.push(args);
  try {
    await run();
  } finally {
    console.error = error;
  }
  return said;
}

export const SOCKET: Cases = {
  "a socket is open from the start, and dispatches open once, a microtask later": async () => {
    const said: string[] = [];
    const onSocket = (socket: ServerWebSocket) => {
      said.push(`state ${socket.readyState}`);
      socket.onopen = ({ type, target }) => said.push(`${type} ${target === socket}`);
      socket.addEventListener("open", () => said.push("listener"));
      said.push("turn");
    };
    await serve({ onSocket }, async ({ open }) => {
      const { client, socket } = await open();
      client.send(TEXT, "x");
      await next(socket, "message");
      assert.deepEqual(said, ["state 1", "turn", "open true", "listener"]);
    });
  },

  "a handler set in onopen misses nothing that came with the request": async () => {
    const onSocket = (socket: ServerWebSocket) => {
      socket.onopen = () => {
        socket.onmessage = ({ data }) => socket.send(data);
      };
    };
    await serve({ onSocket }, async ({ open }) => {
      const { client } = await open({}, clientFrame(TEXT, "early"));
      assert.equal(await client.heard(), "1 early");
    });
  },

  "a message that comes while nobody listens is dropped": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      client.send(TEXT, "unheard");
      client.send(9, "ping");
      assert.equal(await client.heard(), "10 ping");
      echo(socket);
      client.send(TEXT, "heard");
      assert.equal(await client.heard(), "1 heard");
    });
  },

  "messages are texts, or bytes in the type of binaryType, which the receiver owns": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      const data: unknown[] = [];
      socket.onmessage = (event) => {
        data.push(event.data);
        if (data.length === 2) socket.binaryType = "uint8array";
      };
      client.write(Buffer.concat([
        clientFrame(TEXT, "text"),
        clientFrame(BINARY, "one"),
        clientFrame(BINARY, "two"),
        clientFrame(TEXT, ""),
      ]));
      await new Promise<void>((resolve) => {
        socket.addEventListener("message", () => data.length === 4 && resolve());
      });
      assert.equal(data[0], "text");
      assert.ok(data[1] instanceof ArrayBuffer);
      assert.deepEqual(new Uint8Array(data[1]), new Uint8Array(Buffer.from("one")));
      assert.ok(data[2] instanceof Uint8Array && !(data[2] instanceof Buffer));
      assert.equal(data[2].buffer.byteLength, 3);
      assert.equal(data[3], "");
      assert.equal(socket.binaryType, "uint8array");
      assert.throws(() => {
        socket.binaryType = "blob" as "arraybuffer";
      }, { name: "RangeError", message: /binaryType.*"arraybuffer".*blob/ });
    });
  },

  "bytes of every kind can be sent, and are copied before send returns": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      const bytes = Uint8Array.of(1, 2, 3, 4);
      socket.send(bytes);
      socket.send(bytes.buffer);
      socket.send(bytes.subarray(1, 3));
      socket.send(new DataView(bytes.buffer, 2));
      socket.send(new Uint16Array(bytes.buffer));
      const shared = new SharedArrayBuffer(2);
      new Uint8Array(shared).fill(9);
      socket.send(shared);
      socket.send(new Uint8Array(0));
      bytes.fill(0xee);
      for (const expected of ["01020304", "01020304", "0203", "0304", "01020304", "0909", ""]) {
        const frame = await client.next();
        assert.deepEqual([frame?.opcode, frame?.payload.toString("hex")], [BINARY, expected]);
      }
    });
  },

  "a lone surrogate is sent as U+FFFD, long texts and short": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      for (const rest of ["", "x".repeat(100), "é".repeat(40_000)]) {
        socket.send(`a\ud800${rest}`);
        assert.equal(await client.heard(), `1 a\ufffd${rest}`);
      }
    });
  },

  "a value that cannot be sent is a TypeError that says what can be sent": async () => {
    await serve({}, async ({ open }) => {
      const { socket } = await open();
      for (const data of [undefined, null, 7, {}, [1]]) {
        assert.throws(() => socket.send(data as unknown as string), {
          name: "TypeError",
          message: /data must be a string, an ArrayBuffer or a view/,
        });
      }
    });
  },

  "a server's close reaches the client, which answers, and both report the code": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      const closed = closeOf(socket);
      socket.send("last words");
      socket.close(4001, "höchste Zeit");
      assert.equal(socket.readyState, 2);
      socket.send("too late");
      socket.close(4002);
      assert.equal(await client.heard(), "1 last words");
      assert.deepEqual((await client.next())?.payload, closePayload(4001, "höchste Zeit"));
      client.send(TEXT, "ignored");
      client.send(CLOSE, closePayload(4001, "höchste Zeit"));
      await client.hangUp();
      const { type, target, code, reason, wasClean } = await closed;
      assert.equal(target, socket);
      assert.deepEqual([type, code, reason, wasClean], ["close", 4001, "höchste Zeit", true]);
      assert.deepEqual([socket.readyState, socket.bufferedAmount], [3, 0]);
    });
  },

  "messages that come after the server has begun to close are not delivered": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      const data: unknown[] = [];
      socket.onmessage = (event) => {
        data.push(event.data);
        socket.close();
      };
      client.write(Buffer.concat([clientFrame(TEXT, "1"), clientFrame(TEXT, "2")]));
      assert.equal(await client.heard(), "8");
      client.send(CLOSE);
      await client.hangUp();
      assert.deepEqual(data, ["1"]);
    });
  },

  "codes and reasons that cannot be sent are refused by name": async () => {
    await serve({}, async ({ open }) => {
      const { socket } = await open();
      for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, NaN]) {
        assert.throws(() => socket.close(code), {
          name: "RangeError",
          message: /code must be 1000/,
        });
      }
      assert.throws(() => socket.close("1000" as unknown as number), { name: "TypeError" });
      assert.throws(() => socket.close(1000, 7 as unknown as string), { name: "TypeError" });
      const tooLong = "é".repeat(62);
      assert.throws(() => socket.close(1000, tooLong), {
        name: "RangeError",
        message: /reason.*123/,
      });
      assert.throws(() => socket.close(undefined, "why"), { name: "RangeError" });
      assert.equal(socket.readyState, 1);
      socket.close(1000, "é".repeat(61) + "x");
      assert.equal(socket.readyState, 2);
    });
  },

  "a client that resets, or ends without a close frame, is reported as 1006": async () => {
    await serve({}, async ({ open }) => {
      for (const how of ["reset", "end"]) {
        const { client, socket } = await open();
        const closed = closeOf(socket);
        if (how === "reset") client.reset();
        else client.socket.end();
        const { code, reason, wasClean } = await closed;
        assert.deepEqual([code, reason, wasClean, socket.readyState], [1006, "", false, 3], how);
      }
    });
  },

  "a client that ends in the middle of a frame is reported as 1006": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      const closed = closeOf(socket);
      client.socket.end(clientFrame(TEXT, "hello").subarray(0, 8));
      assert.equal((await closed).code, 1006);
    });
  },

  "a client that broke the protocol is reported with the code that it was sent": async () => {
    await serve({ onSocket: echo }, async ({ open }) => {
      const { client, socket } = await open();
      const closed = closeOf(socket);
      client.send(TEXT, "", { rsv: 1 });
      await client.end();
      client.socket.end();
      const { code, reason, wasClean } = await closed;
      assert.deepEqual([code, wasClean], [1002, false]);
      assert.match(reason, /reserved bits 001/);
    });
  },

  "terminate ends a socket at once, even from a handler in the middle of a chunk": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      const closed = closeOf(socket);
      const data: unknown[] = [];
      socket.onmessage = (event) => {
        data.push(event.data);
        socket.send("never arrives");
        socket.terminate();
      };
      client.write(Buffer.concat([clientFrame(TEXT, "1"), clientFrame(TEXT, "2")]));
      assert.equal(await client.heard(), "end");
      assert.equal((await closed).code, 1006);
      assert.deepEqual(data, ["1"]);
      socket.terminate();
      socket.send("x");
      socket.close();
      socket.sendFrame(encodeWebSocketText("x"));
    });
  },

  "one frame reaches many sockets, in order with their other messages": async () => {
    await serve({}, async ({ open }) => {
      const all = [await open(), await open(), await open()];
      const frames = [
        encodeWebSocketText("shared"),
        encodeWebSocketFrame(BINARY, Buffer.alloc(70_000)),
      ];
      for (const [i, { socket }] of all.entries()) {
        socket.send(`before ${i}`);
        for (const frame of frames) socket.sendFrame(frame);
        socket.send(`after ${i}`);
      }
      for (const [i, { client }] of all.entries()) {
        assert.equal(await client.heard(), `1 before ${i}`);
        assert.equal(await client.heard(), "1 shared");
        assert.equal((await client.next())?.payload.length, 70_000);
        assert.equal(await client.heard(), `1 after ${i}`);
      }
    });
  },

  "an invalid frame is refused, and harms nobody": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      const refused: [hex: string, why: RegExp][] = [
        ["", /header/],
        ["81", /header/],
        ["8101", /1 bytes|2 bytes/],
        ["81016162", /4 bytes/],
        ["0100", /whole message/],
        ["8000", /whole message/],
        ["8800", /whole message/],
        ["c100", /reserved bit/],
        ["818000000000", /masked/],
        [`897e007e${"00".repeat(126)}`, /ping/],
      ];
      for (const [hex, message] of refused) {
        const frame = Buffer.from(hex, "hex");
        assert.throws(() => socket.sendFrame(frame), { name: "RangeError", message }, hex);
      }
      assert.throws(() => socket.sendFrame("81" as unknown as Uint8Array), { name: "TypeError" });
      socket.sendFrame(encodeWebSocketText("fine"));
      assert.equal(await client.heard(), "1 fine");
    });
  },

  "handlers and listeners are called in order, with the socket as this": async () => {
    await serve({}, async ({ open }) => {
      const { client, socket } = await open();
      const said: string[] = [];
      const listener = () => said.push("twice, but once");
      socket.addEventListener("message", function (this: unknown) {
        said.push(`function ${this === socket}`);
      });
      socket.addEventListener("message", { handleEvent: () => said.push("object") });
      socket.addEventListener("message", listener);
      socket.addEventListener("message", listener);
      socket.addEventListener("message", () => said.push("once"), { once: true });
      const removed = () => said.push("removed");
      socket.addEventListener("message", removed, true);
      socket.removeEventListener("message", removed, true);
      const aborting = new AbortController();
      socket.addEventListener("message", () => said.push("signal"), { signal: aborting.signal });
      socket.addEventListener("message", () => said.push("no"), { signal: AbortSignal.abort() });
      socket.addEventListener("message", null);
      socket.onmessage = () => said.push("handler");
      client.send(TEXT, "1");
      await next(socket, "message");
      assert.deepEqual(said, [
        "handler",
        "function true",
        "object",
        "twice, but once",
        "once",
        "signal",
      ]);
      said.length = 0;
      aborting.abort();
      socket.onmessage = null;
      client.send(TEXT, "2");
      await next(socket, "message");
      assert.deepEqual(said, ["function true", "object", "twice, but once"]);
      assert.throws(() => socket.addEventListener("message", 7 as unknown as () => void), {
        name: "TypeError",
        message: /listener must be a function/,
      });
    });
  },

  "a handler that throws or rejects closes its socket with 1011 and reaches onError": async () => {
    const failures: [unknown, ServerWebSocket][] = [];
    const onError = (error: unknown, socket: ServerWebSocket) =>
      void failures.push([error, socket]);
    await serve({ onError }, async ({ open }) => {
      const throwing = () => {
        throw "thrown";
      };
      const set: ((socket: ServerWebSocket) => void)[] = [
        (socket) => socket.onmessage = throwing,
        (socket) => socket.onmessage = () => Promise.reject("rejected"),
        (socket) => socket.addEventListener("message", throwing),
        (socket) => socket.addEventListener("message", { handleEvent: throwing }),
      ];
      for (const [i, act] of set.entries()) {
        const { client, socket } = await open();
        act(socket);
        client.send(TEXT, "x");
        assert.equal(await client.heard(), "8 1011");
        assert.deepEqual(failures[i], [i === 1 ? "rejected" : "thrown", socket]);
        client.send(CLOSE, closePayload(1011));
        await client.hangUp();
      }
      const { client, socket } = await open();
      socket.onclose = throwing;
      const closed = closeOf(socket);
      client.reset();
      await closed;
      assert.equal(failures.length, set.length + 1);
    });
  },

  "an error is printed once without onError, or if onError fails": async () => {
    const failing = () => {
      throw new Error("onError fails");
    };
    for (const onError of [undefined, failing, () => Promise.reject("late")]) {
      const said = await errorsOf(() =>
        serve({ onError: onError as () => void }, async ({ open }) => {
          const { client, socket } = await open();
          socket.onmessage = () => {
            throw new Error("handler fails");
          };
          client.send(TEXT, "x");
          assert.equal(await client.heard(), "8 1011");
        })
      );
      assert.equal(said.length, 1);
    }
  },

  "a client that does not read makes bufferedAmount grow, and drain follows when it does":
    async () => {
      await serve({ maxBufferedBytes: 2 ** 20 }, async ({ open }) => {
        const { client, socket } = await open();
        client.socket.pause();
        const chunk = Buffer.alloc(2 ** 20);
        let sent = 0;
        while (socket.bufferedAmount < 2 ** 20) {
          socket.send(chunk);
          sent++;
          await new Promise<void>((resolve) => setImmediate(resolve));
        }
        const drained = next(socket, "drain");
        client.socket.resume();
        for (let i = 0; i < sent; i++) assert.equal((await client.next())?.payload.length, 2 ** 20);
        await drained;
        assert.equal(socket.bufferedAmount, 0);
      });
    },

  "bytes sent in one turn count until the turn ends, and no longer if the client is healthy":
    async () => {
      await serve({}, async ({ open }) => {
        const { client, socket } = await open();
        socket.send("x".repeat(1000));
        assert.equal(socket.bufferedAmount, 1004);
        for (let i = 0; i < 1000; i++) {
          socket.send("x".repeat(1000));
          assert.ok(socket.bufferedAmount < 64 * 1024, `${socket.bufferedAmount} after ${i}`);
        }
        for (let i = 0; i < 1001; i++) assert.equal((await client.next())?.payload.length, 1000);
        assert.equal(socket.bufferedAmount, 0);
      });
    },

  "a client that sends and never reads is no longer read": async () => {
    await serve({ onSocket: echo, maxBufferedBytes: 2 ** 18 }, async ({ open }) => {
      const { client, socket } = await open();
      client.socket.pause();
      const frame = clientFrame(BINARY, Buffer.alloc(60_000));
      let stalled = 0;
      // The server has stopped when what this side has written does not leave any more.
      while (stalled < 50) {
        const before = client.socket.writableLength;
        if (before < 2 ** 22) client.write(frame);
        await new Promise<void>((resolve) => setTimeout(resolve, 1));
        stalled = client.socket.writableLength >= 2 ** 22 && client.socket.writableLength === before
          ? stalled + 1
          : 0;
      }
      assert.ok(socket.bufferedAmount < 2 ** 18 + 2 ** 18, String(socket.bufferedAmount));
      const closed = closeOf(socket);
      socket.terminate();
      await closed;
    });
  },
};
