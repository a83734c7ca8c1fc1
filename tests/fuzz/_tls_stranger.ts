/**
 * Both ends of a TLS channel against somebody who says anything, from the first byte on. Whatever it
 * is, the channel must not become secure, and the end must say why by a code, at once: the stream has
 * an end, and nothing else is waited for. Byte 0 of an input is how the stream is cut.
 */

import { concat } from "@std/bytes";
import {
  type Connection,
  type Listener,
  MeshError,
  tlsTransport,
  type Transport,
} from "../../mesh/mod.ts";
import flights from "../testdata/tls/flights.json" with { type: "json" };
import { ScriptedConnection } from "./_scripted_connection.ts";
import { check, checkSame, magnitude, type Target, Violation } from "./_target.ts";

const LIMIT_MS = 10_000;
/** Fatal alert, decode_error. */
const TLS_ANSWER = "15030300020232";
const CODES = ["closed", "peer-speaks-plain", "tls-failed", "untrusted-certificate"];
const CHUNK_BYTES = [Infinity, 1, 5, 100];

type Role = "server" | "client";

const address = { hostname: "127.0.0.1", port: 1 };

/** A listener that makes its certificate once, and takes in what it is given. */
class Door {
  #next: Connection | undefined;
  readonly #listener: Promise<Listener>;

  constructor() {
    this.#listener = tlsTransport(undefined, this.#transport()).listen(address);
  }

  async enter(connection: Connection): Promise<Connection> {
    const listener = await this.#listener;
    this.#next = connection;
    return await listener.accept();
  }

  #transport(): Transport {
    return {
      listen: () =>
        Promise.resolve({
          address,
          accept: () =>
            this.#next ? Promise.resolve(this.#next) : Promise.reject(new Error("nobody")),
          close: () => {},
        }),
      connect: () => Promise.reject(new Error("only for listening")),
    };
  }
}

let door: Door | undefined;

/** Begins TLS over a connection, and resolves when it can be read from. */
async function open(role: Role, inner: Connection): Promise<Connection> {
  if (role === "server") {
    const connection = await (door ??= new Door()).enter(inner);
    try {
      await connection.read(new Uint8Array(1));
    } finally {
      connection.close();
    }
    return connection;
  }
  const over: Transport = {
    listen: () => Promise.reject(new Error("only for dialling")),
    connect: () => Promise.resolve(inner),
  };
  return await tlsTransport(undefined, over).connect(address, {
    signal: new AbortController().signal,
  });
}

async function run(role: Role, input: Uint8Array): Promise<string> {
  const [cut = 0] = input;
  const script = input.subarray(1);
  const inner = new ScriptedConnection(script, {
    chunkBytes: CHUNK_BYTES[cut % CHUNK_BYTES.length],
    isBroken: cut >= 0x80,
  });
  const error = await within(open(role, inner).then(() => undefined, (error) => error));
  check(error instanceof MeshError, () => `ends without a code: ${error?.stack ?? error}`);
  const { code, cause } = error;
  check(CODES.includes(code), code);
  const first = script.subarray(0, CHUNK_BYTES[cut % CHUNK_BYTES.length]);
  const isTls = first.length === 0 ||
    first[0] >= 20 && first[0] <= 23 && (first.length === 1 || first[1] === 3);
  checkSame(code === "peer-speaks-plain", !isTls, "what the stranger speaks");
  if (first.length === 0) checkSame(code, "closed", "nothing");
  const said = concat(inner.written).toHex();
  if (role === "server" && !isTls) checkSame(said, TLS_ANSWER, "the answer");
  if (role === "server" && first.length === 0) checkSame(said, "", "the answer to nothing");
  const reason = cause instanceof Error ? cause.message : "";
  const kind = reason.split(" (SSL")[0].replaceAll(/\d+/g, "");
  return `${code}, ${magnitude(script.length) > 12 ? "long" : "short"}, ${kind}`;
}

/** What `work` resolves to, if it does so in time. */
export async function within<T>(work: Promise<T>, limitMs = LIMIT_MS): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Violation(`hangs for ${limitMs} ms`)), limitMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

const text = (text: string) => new TextEncoder().encode(text);
const stream = (cut: number, bytes: Uint8Array) => Uint8Array.of(cut, ...bytes);

const CLIENT = Uint8Array.fromHex(flights.client);
const SERVER = Uint8Array.fromHex(flights.server);
const SERVER_TLS12 = Uint8Array.fromHex(flights.serverTls12);
const PLAIN = [
  ...["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n", ""].map(text),
  Uint8Array.of(21, 3, 3, 0, 2, 2, 40),
  Uint8Array.of(22, 3, 1, 0xff, 0xff, 1),
  new Uint8Array(8),
];

export const TLS_STRANGER_TARGETS: readonly Target[] = [
  {
    name: "tls_server",
    testSeeds: 1_000,
    hasFreshKeys: true,
    examples: [
      ...PLAIN.map((bytes, i) => stream(i, bytes)),
      ...[0, 1, 2, 3].map((cut) => stream(cut, CLIENT)),
      stream(0x80, CLIENT.subarray(0, 300)),
    ],
    run: (input) => run("server", input),
  },
  {
    name: "tls_client",
    testSeeds: 800,
    hasFreshKeys: true,
    examples: [
      ...PLAIN.map((bytes, i) => stream(i, bytes)),
      ...[0, 2, 3].map((cut) => stream(cut, SERVER)),
      ...[0, 2, 0x83].map((cut) => stream(cut, SERVER_TLS12)),
    ],
    run: (input) => run("client", input),
  },
];
