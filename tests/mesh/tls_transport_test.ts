import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { X509Certificate } from "node:crypto";
import { EventEmitter, once } from "node:events";
import type { Duplex } from "node:stream";
import { createServer, type TLSSocket } from "node:tls";
import {
  type Address,
  type Connection,
  type Listener,
  MeshError,
  type Transport,
} from "../../mod.ts";
import { tcpTransport, tlsTransport } from "../../mesh/mod.ts";
import { makeCertificate } from "../../mesh/certificate.ts";
import { TlsConnection } from "../../mesh/tls_connection.ts";
import { systemRandom } from "../../backplane/clock.ts";
import { type Reaction, serveForged } from "./_forged_tls.ts";

const LOOPBACK: Address = { hostname: "127.0.0.1", port: 0 };
const MIB = 1024 * 1024;

/** Two ends of a connection, and what must be closed in the end. */
class Pair implements Disposable {
  readonly dialler: Connection;
  readonly acceptor: Connection;
  readonly listener: Listener;

  constructor(dialler: Connection, acceptor: Connection, listener: Listener) {
    this.dialler = dialler;
    this.acceptor = acceptor;
    this.listener = listener;
  }

  static async open(dials: Transport, accepts = dials): Promise<Pair> {
    const listener = await accepts.listen(LOOPBACK);
    const accepting = listener.accept();
    const connecting = dials.connect(listener.address, { signal: new AbortController().signal });
    const acceptor = await accepting;
    // The acceptor's part begins when it is read from.
    const greeting = acceptor.read(new Uint8Array(1));
    const dialler = await connecting;
    await dialler.write(Uint8Array.of(0));
    await greeting;
    return new Pair(dialler, acceptor, listener);
  }

  [Symbol.dispose](): void {
    this.dialler.close();
    this.acceptor.close();
    this.listener.close();
  }
}

async function writeAll(connection: Connection, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

async function readAll(
  connection: Connection,
  size: number,
  bufferBytes = 4096,
): Promise<number[]> {
  const found: number[] = [];
  const buffer = new Uint8Array(bufferBytes);
  while (found.length < size) {
    const read = await connection.read(buffer);
    if (read === null) break;
    found.push(...buffer.subarray(0, read));
  }
  return found;
}

/** A transport that counts the bytes that are read from it. */
function counting(inner: Transport): { transport: Transport; count: () => number } {
  let count = 0;
  const counted = (connection: Connection): Connection => ({
    ...connection,
    read: async (buffer) => {
      const size = await connection.read(buffer);
      count += size ?? 0;
      return size;
    },
  });
  const transport: Transport = {
    listen: async (address) => {
      const listener = await inner.listen(address);
      return { ...listener, accept: async () => counted(await listener.accept()) };
    },
    connect: async (address, options) => counted(await inner.connect(address, options)),
  };
  return { transport, count: () => count };
}

/** A stranger's connection to a TLS listener, and what its first read comes to. */
async function knock(
  say: (stranger: Deno.TcpConn) => Promise<unknown>,
): Promise<{ heard: number[]; code: string }> {
  const listener = await tlsTransport().listen(LOOPBACK);
  const accepting = listener.accept();
  using stranger = await Deno.connect(listener.address);
  const connection = await accepting;
  const reading = assertRejects(() => connection.read(new Uint8Array(1)), MeshError);
  await say(stranger);
  const { code } = await reading as MeshError;
  connection.close();
  listener.close();
  const buffer = new Uint8Array(64);
  const size = await stranger.read(buffer).catch(() => null);
  return { heard: [...buffer.subarray(0, size ?? 0)], code };
}

Deno.test("property: bytes cross both ways, in whatever pieces they are written and read", async () => {
  using pair = await Pair.open(tlsTransport());
  const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { maxLength: 8 });
  const bufferBytes = fc.integer({ min: 1, max: 5000 });
  await fc.assert(
    fc.asyncProperty(pieces, pieces, bufferBytes, bufferBytes, async (to, fro, atA, atB) => {
      const send = async (connection: Connection, pieces: Uint8Array[]) => {
        for (const piece of pieces) await writeAll(connection, piece);
      };
      const size = (pieces: Uint8Array[]) => pieces.reduce((sum, { length }) => sum + length, 0);
      const [, , there, back] = await Promise.all([
        send(pair.dialler, to),
        send(pair.acceptor, fro),
        readAll(pair.acceptor, size(to), atB),
        readAll(pair.dialler, size(fro), atA),
      ]);
      assertEquals(there, to.flatMap((piece) => [...piece]));
      assertEquals(back, fro.flatMap((piece) => [...piece]));
    }),
    { numRuns: 100 },
  );
});

Deno.test("both ends use the SHA-256 of the acceptor's certificate as binding, and each listener has its own", async () => {
  const pair = await makeCertificate(systemRandom);
  const digest = await crypto.subtle.digest(
    "SHA-256",
    new X509Certificate(pair.cert).raw as BufferSource,
  );
  {
    using fixed = await Pair.open(tlsTransport(), tlsTransport(pair));
    assertEquals(fixed.dialler.binding, new Uint8Array(digest));
    assertEquals(fixed.acceptor.binding, new Uint8Array(digest));
  }
  const transport = tlsTransport();
  using one = await Pair.open(transport);
  using two = await Pair.open(transport);
  assertEquals(one.dialler.binding, one.acceptor.binding);
  assert(one.dialler.binding?.join() !== two.dialler.binding?.join());
});

Deno.test("an end that does not read slows the other down, because little is read ahead", async () => {
  for (const role of ["acceptor", "dialler"] as const) {
    const { transport, count } = counting(tcpTransport);
    const counted = tlsTransport(undefined, transport);
    const other = tlsTransport();
    using pair =
      await (role === "acceptor" ? Pair.open(other, counted) : Pair.open(counted, other));
    const [reader, writer] = role === "acceptor"
      ? [pair.acceptor, pair.dialler]
      : [pair.dialler, pair.acceptor];
    let written = 0;
    const chunk = new Uint8Array(64 * 1024);
    const writing = (async () => {
      for (;;) written += await writer.write(chunk);
    })().catch(() => {});
    await reader.read(new Uint8Array(1));
    // Until the writer stands still: the kernel's buffers are full.
    for (let before = -1; before !== written;) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert(count() < 256 * 1024, `${count()} bytes were read ahead`);
    assert(written < 32 * MIB, `${written} bytes were taken from the writer`);
    // And nothing of it is lost.
    assertEquals((await readAll(reader, 4 * MIB, 256 * 1024)).length >= 4 * MIB, true);
    pair[Symbol.dispose]();
    await writing;
  }
});

Deno.test("one direction can be closed while the other goes on", async () => {
  using pair = await Pair.open(tlsTransport());
  for (const [closer, other] of [[pair.dialler, pair.acceptor], [pair.acceptor, pair.dialler]]) {
    await writeAll(closer, Uint8Array.of(1, 2));
    await closer.closeWrite();
    assertEquals(await readAll(other, 3), [1, 2]);
    assertEquals(await other.read(new Uint8Array(1)), null);
    if (closer === pair.acceptor) break;
    await writeAll(other, Uint8Array.of(3));
    assertEquals(await readAll(closer, 1), [3]);
  }
});

Deno.test("a connection that breaks off ends the stream", async () => {
  for (const role of ["acceptor", "dialler"] as const) {
    const inner: Connection[] = [];
    const keeping: Transport = {
      ...tcpTransport,
      connect: async (address, options) => {
        const connection = await tcpTransport.connect(address, options);
        inner.push(connection);
        return connection;
      },
      listen: async (address) => {
        const listener = await tcpTransport.listen(address);
        return {
          ...listener,
          accept: async () => {
            const connection = await listener.accept();
            inner.push(connection);
            return connection;
          },
        };
      },
    };
    const kept = tlsTransport(undefined, keeping);
    using pair = await (role === "acceptor"
      ? Pair.open(tlsTransport(), kept)
      : Pair.open(kept, tlsTransport()));
    const left = role === "acceptor" ? pair.dialler : pair.acceptor;
    const reading = left.read(new Uint8Array(1)).catch(() =>
      null
    );
    inner[0].close();
    assertEquals(await reading, null);
  }
});

Deno.test("close wakes a waiting read, may be repeated, and ends writing", async () => {
  using pair = await Pair.open(tlsTransport());
  const reading = pair.dialler.read(new Uint8Array(1)).catch(() => null);
  pair.dialler.close();
  pair.dialler.close();
  assertEquals(await reading, null);
  await assertRejects(() => pair.dialler.write(Uint8Array.of(1)));
});

Deno.test("a stranger that speaks no TLS gets a TLS alert", async () => {
  for (const beginning of [[42, 0, 0, 0, 1], [0x47, 0x45, 0x54, 0x20], [22, 0, 0, 0], [0]]) {
    const { heard, code } = await knock((stranger) => stranger.write(Uint8Array.from(beginning)));
    assertEquals([heard.slice(0, 2), code], [[21, 3], "peer-speaks-plain"]);
  }
});

Deno.test("a stranger that hangs up, or sends nonsense after a good beginning, does not become a peer", async () => {
  const silent = await knock((stranger) => stranger.closeWrite());
  assertEquals(silent, { heard: [], code: "closed" });
  const nonsense = await knock((stranger) =>
    stranger.write(Uint8Array.of(22, 3, 1, 0, 40, ...crypto.getRandomValues(new Uint8Array(40))))
  );
  assertEquals(nonsense.code, "tls-failed");
});

Deno.test("property: a stranger can end only its own connection, whatever it sends", async () => {
  const listener = await tlsTransport().listen(LOOPBACK);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom([], [22, 3, 1], [22, 3, 1, 0, 5, 1, 0, 0, 1], [21, 3, 3], [23, 3, 3, 0, 1]),
      fc.uint8Array({ maxLength: 600 }),
      async (head, noise) => {
        const accepting = listener.accept();
        using stranger = await Deno.connect(listener.address);
        const connection = await accepting;
        const reading = assertRejects(() => connection.read(new Uint8Array(1)), MeshError);
        await stranger.write(Uint8Array.of(...head, ...noise));
        await stranger.closeWrite();
        await reading;
        connection.close();
      },
    ),
    { numRuns: 300 },
  );
  listener.close();
});

Deno.test("a dialler learns whether a listener speaks no TLS, closes or is silent", async () => {
  const code = async (serve: (peer: Deno.TcpConn) => Promise<unknown>, abortAfterMs?: number) => {
    using listener = Deno.listen(LOOPBACK);
    const abort = new AbortController();
    const connecting = tlsTransport().connect(listener.addr, { signal: abort.signal })
      .then(() => "connected", (error) => error instanceof MeshError ? error.code : String(error));
    using peer = await listener.accept();
    await peer.read(new Uint8Array(1024));
    await serve(peer);
    if (abortAfterMs !== undefined) abort.abort();
    return await connecting;
  };
  assertEquals(await code((peer) => peer.write(new Uint8Array(8))), "peer-speaks-plain");
  assertEquals(await code((peer) => peer.closeWrite()), "closed");
  assertEquals(await code(() => Promise.resolve(), 0), "closed");
});

Deno.test("a certificate without its key is refused, although nobody verifies the certificate", async () => {
  const victim = await makeCertificate(systemRandom);
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const der = victim.key.replace(/-----.*-----|\s/g, "");
  const pkcs8 = Uint8Array.from(atob(der), (char) => char.charCodeAt(0));
  const own = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
  const other = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
  const reactions: Reaction[] = [];
  for (const key of [own, other.privateKey]) {
    using listener = Deno.listen(LOOPBACK);
    const serving = serveForged(listener, victim.cert, key);
    const { signal } = new AbortController();
    await assertRejects(() => tlsTransport().connect(listener.addr, { signal }), MeshError);
    reactions.push(await serving);
  }
  // With the right signature the client would go on, so it is the signature that it minds.
  assertEquals(reactions, ["went on", "refused"]);
});

const read = (file: string) =>
  Deno.readTextFileSync(new URL(`../testdata/tls/${file}`, import.meta.url));
const CA = [read("ca.pem")];
const OTHER_CA = [read("other_ca.pem")];
/** For 127.0.0.1, and for the host rooms.internal, which is nowhere; both by the first authority. */
const loopback = { cert: read("loopback.pem"), key: read("loopback.key") };
const cluster = { cert: read("cluster.pem"), key: read("cluster.key") };

async function connectCode(dials: Transport, accepts: Transport): Promise<string> {
  const listener = await accepts.listen(LOOPBACK);
  const accepting = listener.accept().then(async (connection) => {
    await connection.read(new Uint8Array(1)).catch(() => {});
    connection.close();
  });
  const { signal } = new AbortController();
  const code = await dials.connect(listener.address, { signal })
    .then((connection) => (connection.close(), "connected"), ({ code }) => code);
  await accepting;
  listener.close();
  return code;
}

Deno.test("an operator's certificates are verified by their authority and for the dialled host", async () => {
  const accepts = tlsTransport(loopback);
  const code = (options: Partial<Parameters<typeof tlsTransport>[0]>, by = accepts) =>
    connectCode(tlsTransport({ ...loopback, ...options }), by);
  assertEquals(await code({ caCerts: CA }), "connected");
  assertEquals(await code({ caCerts: [...OTHER_CA, ...CA] }), "connected");
  assertEquals(await code({ caCerts: OTHER_CA }), "untrusted-certificate");
  assertEquals(await code({}), "untrusted-certificate");
  assertEquals(await code({ caCerts: CA }, tlsTransport(cluster)), "untrusted-certificate");
  assertEquals(await code({ caCerts: CA }, tlsTransport()), "untrusted-certificate");
});

Deno.test("one certificate serves all nodes with serverName, wherever they run", async () => {
  const named = (serverName: string) => tlsTransport({ ...cluster, caCerts: CA, serverName });
  assertEquals(await connectCode(named("rooms.internal"), tlsTransport(cluster)), "connected");
  const other = await connectCode(named("other.internal"), tlsTransport(cluster));
  assertEquals(other, "untrusted-certificate");
});

Deno.test("an invalid certificate and a key of another certificate are refused at once", () => {
  const caCerts = ["no certificate"];
  assertThrows(() => tlsTransport({ ...loopback, caCerts }), RangeError, "tls.caCerts");
  for (
    const options of [{ cert: "", key: "" }, { ...loopback, cert: "x" }, { ...loopback, key: "x" }]
  ) {
    assertThrows(() => tlsTransport(options), RangeError, "in PEM");
  }
  assertThrows(
    () => tlsTransport({ ...loopback, key: cluster.key }),
    RangeError,
    "private key of tls.cert",
  );
});

// X.509 version 1, as openssl makes it without -extfile; Deno does not have its key proven.
const old = { cert: read("version_1.pem"), key: read("version_1.key") };

Deno.test("a certificate of version 1 is refused by the node that has it and by its peer", async () => {
  assertThrows(() => tlsTransport({ ...old, caCerts: CA }), RangeError, "version 3");
  const server = createServer(old);
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const { signal } = new AbortController();
  const trusting = tlsTransport({ ...loopback, caCerts: CA, serverName: "version-1.internal" });
  for (const transport of [tlsTransport(), trusting]) {
    const error = await assertRejects(
      () => transport.connect({ hostname: "127.0.0.1", port }, { signal }),
      MeshError,
    ) as MeshError;
    assertEquals([error.code, /version 3/.test(error.message)], ["untrusted-certificate", true]);
  }
  const closed = once(server, "close");
  server.close();
  await closed;
});

Deno.test("a dial that is cancelled just when TCP has connected ends at once", async () => {
  using silent = Deno.listen(LOOPBACK);
  const abort = new AbortController();
  const late: Transport = {
    ...tcpTransport,
    connect: async (address, options) => {
      const connection = await tcpTransport.connect(address, options);
      abort.abort();
      return connection;
    },
  };
  const dialling = tlsTransport(undefined, late).connect(silent.addr, { signal: abort.signal });
  assertEquals((await assertRejects(() => dialling, MeshError) as MeshError).code, "closed");
  (await silent.accept()).close();
});

Deno.test("a Deno that shows the wrong certificate for a resumed session is refused, and a later one is not", async () => {
  const actual = Deno.version;
  const pretend = (deno: string) =>
    Object.defineProperty(Deno, "version", { value: { ...actual, deno } });
  const { signal } = new AbortController();
  try {
    for (const version of ["1.46.3", "2.8.9", "2.9.5", "2.9.5+a1b2c3"]) {
      pretend(version);
      await assertRejects(() => tlsTransport().listen(LOOPBACK), Error, version);
      await assertRejects(() => tlsTransport().connect(LOOPBACK, { signal }), Error, version);
    }
    for (const version of ["2.9.6", "2.9.7-rc.1", "2.10.0", "3.0.0"]) {
      pretend(version);
      (await tlsTransport().listen(LOOPBACK)).close();
    }
  } finally {
    Object.defineProperty(Deno, "version", { value: actual });
  }
});

Deno.test("TLS does not begin on a connection that was closed in the turn of its first bytes", async () => {
  for (const isServer of [true, false]) {
    const bytes = Promise.withResolvers<number>();
    let opened = 0;
    const connection = new TlsConnection({
      remoteAddress: { hostname: "10.0.0.9", port: 1 },
      read: (buffer) => {
        buffer[0] = 22;
        return bytes.promise;
      },
      write: (bytes) => Promise.resolve(bytes.length),
      closeWrite: () => Promise.resolve(),
      close: () => {},
    }, {
      isServer,
      open: () => {
        opened++;
        throw new Error("opened after all");
      },
      binding: () => Promise.resolve(new Uint8Array(32)),
    });
    if (!isServer) connection.close();
    const reading = assertRejects(() => connection.read(new Uint8Array(1)), MeshError);
    bytes.resolve(1);
    connection.close();
    await reading;
    assertEquals(opened, 0);
  }
});

Deno.test("bytes that are written at once, up to 64 KiB, go to the network in one piece", async () => {
  const pieces: number[] = [];
  const counting: Transport = {
    listen: (address) => tcpTransport.listen(address),
    connect: async (address, options) => {
      const connection = await tcpTransport.connect(address, options);
      const write = connection.write.bind(connection);
      connection.write = (bytes) => {
        pieces.push(bytes.length);
        return write(bytes);
      };
      return connection;
    },
  };
  using pair = await Pair.open(tlsTransport(undefined, counting));
  pieces.length = 0;
  for (const size of [1, 20_000, 48 * 1024, 64 * 1024]) {
    const reading = readAll(pair.acceptor, size);
    assertEquals(await pair.dialler.write(new Uint8Array(size)), size);
    assertEquals((await reading).length, size);
  }
  assertEquals(pieces.length, 4);
});

Deno.test("a piece of one TLS record is written at once, and a longer one when all of it is encrypted", async () => {
  const written: number[] = [];
  const inner: Connection = {
    remoteAddress: LOOPBACK,
    read: () => new Promise(() => {}),
    write: (bytes) => {
      written.push(bytes.length);
      return Promise.resolve(bytes.length);
    },
    closeWrite: () => Promise.resolve(),
    close: () => {},
  };
  let encryptRest = () => {};
  const open = (stream: Duplex) => {
    const socket = Object.assign(new EventEmitter(), {
      write(piece: Uint8Array, done: () => void) {
        stream.write(piece.subarray(1));
        encryptRest = () => stream.write(piece.subarray(0, 1), done);
      },
      destroy: () => {},
    });
    queueMicrotask(() => socket.emit("secureConnect"));
    return socket as unknown as TLSSocket;
  };
  const binding = () => Promise.resolve(new Uint8Array(32));
  const connection = new TlsConnection(inner, { isServer: false, open, binding });

  for (const size of [16 * 1024, 16 * 1024 + 1]) {
    const writing = connection.write(new Uint8Array(size));
    await new Promise((resolve) => setTimeout(resolve));
    written.push(0); // so far without the last byte
    encryptRest();
    await writing;
  }
  assertEquals(written, [16 * 1024 - 1, 0, 1, 0, 16 * 1024 + 1]);
  connection.close();
});
