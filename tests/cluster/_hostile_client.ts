/** A client that does everything that a client can do to a server, except behave. */

import { Buffer } from "node:buffer";
import {
  clientFrame,
  closePayload,
  type Headers,
  RawClient,
  type RequestForm,
  requestText,
} from "../websocket/_raw_client.ts";

/** What is attacked. */
export interface Target {
  readonly port: number;
  /** Where it takes WebSockets. */
  readonly path: string;
}

/** One thing that a hostile client does. */
export interface Attack {
  readonly name: string;
  run(target: Target): Promise<void>;
}

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;

const MIB = 1024 * 1024;

/** How long a server may take to react, before the client hangs up. */
const REACTION_MS = 2_000;

/** Requests of one address that cannot become WebSockets: more than an address may have. */
const BROKEN_REQUESTS = 150;

const ATTACKS: Attack[] = [];

function attack(name: string, run: Attack["run"]): void {
  ATTACKS.push({ name, run });
}

/** All of them. */
export function attacks(): readonly Attack[] {
  return ATTACKS;
}

/** Sends a request, and waits until the server has said or done something. */
async function request(target: Target, form: RequestForm): Promise<void> {
  const client = new RawClient(target.port);
  client.write(Buffer.from(requestText(target.port, { path: target.path, ...form }), "latin1"));
  await reaction(client.response());
  client.socket.destroy();
}

/** Opens a WebSocket, sends bytes, and waits until the server has read them or hung up. */
async function send(target: Target, ...pieces: Uint8Array[]): Promise<void> {
  const client = await RawClient.open(target.port, { path: target.path });
  for (const piece of pieces) client.write(piece);
  client.write(clientFrame(PING, "read"));
  await reaction(readUntilPong(client));
  client.socket.destroy();
}

async function readUntilPong(client: RawClient): Promise<void> {
  for (let heard = ""; heard !== "10 read" && heard !== "end";) heard = await client.heard();
}

/** A server may ignore what it does not understand. It must not be waited for. */
async function reaction(promise: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, REACTION_MS);
  try {
    await Promise.race([promise.catch(() => {}), late]);
  } finally {
    clearTimeout(timer);
  }
}

// Requests.

// 15,000 are just below what node:http takes; Deno.serve takes 22,000, and makes 66,000 bytes of them.
for (const length of [3_000, 15_000, 22_000, 70_000]) {
  attack(`a path of ${length} braces`, (target) => {
    return request(target, { path: `/${"{".repeat(length)}` });
  });
}
const PATHS = ["//", "/%", "/%00", "/%ff%fe", "/\xff\xfe", "/a b", "*", "/?%", "/__proto__", "x"];
for (const path of [...PATHS, "http://[/", "http://a:99999/", "//[", "/\\", "/%ed%a0%80"]) {
  attack(`the path ${JSON.stringify(path)}`, (target) => request(target, { path }));
}
for (const host of ["[", "a b", "%", "a:99999", "", "\xff", "a/b", "@", "[::1", "127.0.0.1:-1"]) {
  attack(`the host ${JSON.stringify(host)}`, (target) => {
    return request(target, { headers: { Host: host } });
  });
}
const HEADERS: Record<string, Headers> = {
  "no host": { Host: undefined },
  "no key": { "Sec-WebSocket-Key": undefined },
  "a short key": { "Sec-WebSocket-Key": "YQ==" },
  "an old version": { "Sec-WebSocket-Version": "8" },
  "an upgrade in capitals": { Upgrade: "WebSocket" },
  "an upgrade to something else": { Upgrade: "h2c" },
  "an upgrade without a connection": { Connection: undefined },
  "a strange origin": { Origin: "[" },
  "a foreign origin": { Origin: "https://evil.example" },
  "many protocols": { "Sec-WebSocket-Protocol": "a, ".repeat(2_000) + "a" },
  "an empty protocol": { "Sec-WebSocket-Protocol": "," },
  "strange extensions": { "Sec-WebSocket-Extensions": "permessage-deflate; =;;,," },
  "a body": { "Content-Length": "5" },
  "chunks": { "Transfer-Encoding": "chunked" },
  "200 KB of headers": { Cookie: "c".repeat(200_000) },
};
for (const [name, headers] of Object.entries(HEADERS)) {
  attack(`a request with ${name}`, (target) => request(target, { headers }));
}
for (const method of ["POST", "HEAD", "OPTIONS", "CONNECT", "PRI", "get"]) {
  attack(`the method ${method}`, (target) => request(target, { method }));
}
attack(`${BROKEN_REQUESTS} requests without a key`, async (target) => {
  for (let i = 0; i < BROKEN_REQUESTS; i += 10) {
    await Promise.all(Array.from({ length: 10 }, () => {
      return request(target, { headers: { "Sec-WebSocket-Key": undefined } });
    }));
  }
});
attack("a plain request", (target) => {
  return request(target, { headers: { Upgrade: undefined, Connection: "close" } });
});
for (const path of ["/", "/rooms/lobby", "/rooms/%ed%a0%80"]) {
  attack(`a request with a body of 17 MiB at ${path}`, async ({ port }) => {
    const client = new RawClient(port);
    const headers = { Upgrade: undefined, Connection: "close", "Content-Length": String(17 * MIB) };
    client.write(Buffer.from(requestText(port, { method: "POST", path, headers })));
    client.write(new Uint8Array(17 * MIB).fill(0x61));
    await reaction(client.response());
    client.reset();
  });
}
attack("plain requests in a pipeline", async (target) => {
  const client = new RawClient(target.port);
  const text = requestText(target.port, { headers: { Upgrade: undefined, Connection: undefined } });
  client.write(Buffer.from(text.repeat(20)));
  await reaction(client.response());
  client.reset();
});
const NOISE = [
  "\0",
  "\r\n\r\n\r\n",
  "GET\r\n\r\n",
  "GET / HTTP/9.9\r\n\r\n",
  "\x16\x03\x01\x02\0\x01",
];
for (const noise of NOISE) {
  attack(`${JSON.stringify(noise)} instead of a request`, async (target) => {
    const client = new RawClient(target.port);
    client.write(Buffer.from(noise, "latin1"));
    client.socket.end();
    await reaction(client.response());
    client.socket.destroy();
  });
}

// Messages.

const TEXTS: Record<string, string | Uint8Array> = {
  "an empty text": "",
  "a text of 10,001 characters": "x".repeat(10_001),
  "a text of 70,000 bytes": "é".repeat(35_000),
  "a text of 17 MiB": new Uint8Array(17 * MIB).fill(0x61),
  "ill-formed UTF-8": Uint8Array.of(0x61, 0xff),
  "a text that ends inside of a character": Uint8Array.of(0xf0, 0x9f),
  "a surrogate in UTF-8": Uint8Array.of(0xed, 0xa0, 0xbd),
  "controls": "\0\x01\x7f",
};
for (const [name, text] of Object.entries(TEXTS)) {
  attack(name, (target) => send(target, clientFrame(TEXT, text)));
}
for (const length of [0, 3, 70_000, 17 * MIB]) {
  attack(`${length} bytes of binary`, (target) => {
    return send(target, clientFrame(BINARY, new Uint8Array(length)));
  });
}
const JSON_TEXTS = ["null", "[]", "0", '""', "{}", '{"type":"__proto__"}', "{".repeat(5_000)];
attack("JSON of any shape", (target) => {
  return send(target, ...JSON_TEXTS.map((json) => clientFrame(TEXT, json)));
});
/** The fields that examples have, whether or not this one has them. */
const FIELDS = ["type", "room", "text", "name", "id", "message", "to", "user", "meta"];
for (const field of FIELDS) {
  attack(`a lone surrogate in the field "${field}"`, (target) => {
    const frames = ["hello", "join", "say", "leave", "message"].map((type) => {
      const whole = { type, room: "lobby", text: "x", name: "Eve", id: "12345678", [field]: "?" };
      // Written as an escape: on the wire it is ASCII, and only JSON.parse makes a surrogate of it.
      const json = JSON.stringify(whole).replace('"?"', String.raw`"half an emoji: \ud83d"`);
      return clientFrame(TEXT, json);
    });
    return send(target, ...frames);
  });
  attack(`70,000 characters in the field "${field}"`, (target) => {
    const frames = ["hello", "join", "say"].map((type) => {
      const whole = { type, room: "lobby", text: "x", name: "Eve", id: "12345678" };
      return clientFrame(TEXT, JSON.stringify({ ...whole, [field]: "x".repeat(70_000) }));
    });
    return send(target, ...frames);
  });
}
attack("500 texts at once", (target) => {
  return send(target, Buffer.concat(Array.from({ length: 500 }, () => clientFrame(TEXT, "flood"))));
});

// Frames.

const FRAMES: Record<string, Uint8Array> = {
  "a frame that announces 2^62 bytes": clientFrame(TEXT, "x", { length: 2n ** 62n }),
  "a frame that announces 2^63 bytes": clientFrame(TEXT, "x", { length: 2n ** 63n }),
  "a frame that announces 4 GiB": clientFrame(BINARY, "x", { length: 2n ** 32n }),
  "an unmasked frame": clientFrame(TEXT, "hello", { mask: false }),
  "reserved bits": clientFrame(TEXT, "hello", { rsv: 7 }),
  "a reserved opcode": clientFrame(3, "hello"),
  "a reserved control opcode": clientFrame(15, "hello"),
  "a continuation of nothing": clientFrame(0, "hello"),
  "a ping in fragments": clientFrame(PING, "hello", { fin: false }),
  "a ping of 126 bytes": clientFrame(PING, "x".repeat(126)),
  "a close frame of one byte": clientFrame(CLOSE, "x"),
  "the close code 1005": clientFrame(CLOSE, closePayload(1005)),
  "the close code 0": clientFrame(CLOSE, closePayload(0)),
  "an ill-formed reason": clientFrame(CLOSE, closePayload(1000, Uint8Array.of(0xff))),
  "a close frame twice": Buffer.concat([clientFrame(CLOSE), clientFrame(CLOSE)]),
  "a text after the close frame": Buffer.concat([clientFrame(CLOSE), clientFrame(TEXT, "x")]),
  "HTTP after the handshake": Buffer.from("GET / HTTP/1.1\r\n\r\n"),
  "bytes from 0 to 255": Uint8Array.from({ length: 256 }, (_, i) => i),
  "0xff without end": new Uint8Array(10_000).fill(0xff),
};
for (const [name, bytes] of Object.entries(FRAMES)) {
  attack(name, (target) => send(target, bytes));
}
attack("a message in 5,000 fragments", (target) => {
  const fragments = Array.from({ length: 5_000 }, (_, i) => {
    return clientFrame(i === 0 ? TEXT : 0, "x", { fin: false });
  });
  return send(target, Buffer.concat(fragments));
});

// Hanging up.

const STEPS: Record<string, (target: Target) => Promise<RawClient>> = {
  "before the request": (target) => Promise.resolve(new RawClient(target.port)),
  "in the middle of the request": (target) => {
    const client = new RawClient(target.port);
    client.write(Buffer.from(requestText(target.port, { path: target.path }).slice(0, 60)));
    return Promise.resolve(client);
  },
  "before the answer": (target) => {
    const client = new RawClient(target.port);
    client.write(Buffer.from(requestText(target.port, { path: target.path })));
    return Promise.resolve(client);
  },
  "with a text before the answer": (target) => {
    const client = new RawClient(target.port);
    const text = Buffer.from(requestText(target.port, { path: target.path }));
    client.write(Buffer.concat([text, clientFrame(TEXT, "hello")]));
    return Promise.resolve(client);
  },
  "after the handshake": (target) => RawClient.open(target.port, { path: target.path }),
  "in the header of a frame": async (target) => {
    const client = await RawClient.open(target.port, { path: target.path });
    client.write(clientFrame(TEXT, "hello").subarray(0, 3));
    return client;
  },
  "in a frame": async (target) => {
    const client = await RawClient.open(target.port, { path: target.path });
    client.write(clientFrame(TEXT, "hello", { length: 9_000 }));
    return client;
  },
  "after a text": async (target) => {
    const client = await RawClient.open(target.port, { path: target.path });
    client.send(TEXT, "hello");
    return client;
  },
  "after a close frame": async (target) => {
    const client = await RawClient.open(target.port, { path: target.path });
    client.send(CLOSE, closePayload(1000));
    return client;
  },
};
for (const [step, begin] of Object.entries(STEPS)) {
  attack(`a reset ${step}`, async (target) => {
    const client = await begin(target);
    await connected(client);
    client.reset();
  });
  attack(`a hang-up ${step}`, async (target) => {
    const client = await begin(target);
    client.socket.end();
    await reaction(client.end());
    client.socket.destroy();
  });
}
attack("fifty clients that are reset at once, in the middle of the handshake", async (target) => {
  const clients = await Promise.all(
    Array.from({ length: 50 }, () => STEPS["before the answer"](target)),
  );
  await Promise.all(clients.map(connected));
  for (const client of clients) client.reset();
});

/** What is written before the connection is up would never leave. */
async function connected({ socket }: RawClient): Promise<void> {
  if (!socket.connecting) return;
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
}
