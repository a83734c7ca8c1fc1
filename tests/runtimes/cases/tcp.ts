/** What the mesh relies on in a transport. */

import assert from "node:assert/strict";
import type { Connection, Listener, Transport } from "../../../mesh/mod.ts";
import { tcpTransport, tlsTransport } from "../../../mesh/mod.ts";
import type { Cases } from "../../websocket/cases/_cases.ts";

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };
const MEBIBYTE = 1024 * 1024;

const never = new AbortController().signal;

/** A connection's two ends: of who dials, and of who accepts. */
interface Pair {
  readonly listener: Listener;
  readonly near: Connection;
  readonly far: Connection;
}

/** Runs `body` with a connection. Nothing is left open. */
async function connected(transport: Transport, body: (pair: Pair) => Promise<void>): Promise<void> {
  const listener = await transport.listen(LOOPBACK);
  const accepted = listener.accept();
  // A TLS handshake goes on only while both ends read, so the first byte is said in advance.
  const greeted = accepted.then((far) => far.read(new Uint8Array(1)));
  const near = await transport.connect(listener.address, { signal: never });
  const far = await accepted;
  try {
    await near.write(Uint8Array.of(0));
    await greeted;
    await body({ listener, near, far });
  } finally {
    near.close();
    far.close();
    listener.close();
  }
}

async function writeAll(connection: Connection, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

async function readToEnd(connection: Connection): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const buffer = new Uint8Array(100_000);
  for (;;) {
    const size = await connection.read(buffer);
    if (size === null) break;
    assert.ok(size > 0);
    pieces.push(buffer.slice(0, size));
  }
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Bytes that tell where each of them belongs. */
function pattern(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = i ^ i >> 8 ^ i >> 16;
  return bytes;
}

/** What has to hold for a transport. */
export function transportCases(kind: string, transport: Transport): Cases {
  return {
    [`${kind}: megabytes arrive both ways, and each way ends by itself`]: () =>
      connected(transport, async ({ near, far }) => {
        const [there, back] = [pattern(3 * MEBIBYTE), pattern(2 * MEBIBYTE).reverse()];
        const received = readToEnd(far);
        await writeAll(near, there);
        await near.closeWrite();
        assert.deepEqual(await received, there);
        const answer = readToEnd(near);
        await writeAll(far, back);
        await far.closeWrite();
        assert.deepEqual(await answer, back);
      }),

    [`${kind}: bytes may be reused once they have been written`]: () =>
      connected(transport, async ({ near, far }) => {
        const received = readToEnd(far);
        const lent = new Uint8Array(1000);
        for (let i = 0; i < 100; i++) {
          lent.fill(i);
          await writeAll(near, lent);
        }
        await near.closeWrite();
        const bytes = await received;
        assert.equal(bytes.length, 100_000);
        assert.ok(bytes.every((byte, at) => byte === Math.floor(at / 1000)));
      }),

    [`${kind}: a reader that stops slows the writer down`]: () =>
      connected(transport, async ({ near, far }) => {
        const piece = new Uint8Array(64 * 1024);
        let written = 0;
        let isStalled = false;
        const writing = (async () => {
          // Far more than what the system's own buffers take.
          while (written < 256 * MEBIBYTE) written += await near.write(piece);
        })().catch(() => {});
        for (let before = -1; !isStalled;) {
          before = written;
          await new Promise((resolve) => setTimeout(resolve, 300));
          isStalled = written === before;
        }
        assert.ok(written < 256 * MEBIBYTE, `${written} bytes went to somebody who did not read`);
        const atRest = written;
        const buffer = new Uint8Array(MEBIBYTE);
        // Some of it has to be read before more is written.
        while (written < atRest + MEBIBYTE) assert.notEqual(await far.read(buffer), null);
        far.close();
        await writing;
      }),

    [`${kind}: closing ends a read and a write that wait, here and there`]: () =>
      connected(transport, async ({ near, far }) => {
        const end = (work: Promise<unknown>) => work.then((value) => value, () => "rejected");
        const reading = end(far.read(new Uint8Array(8)));
        const piece = new Uint8Array(64 * 1024);
        let isClosed = false;
        const writing = end((async () => {
          while (!isClosed) await far.write(piece);
          await far.write(piece);
        })());
        await new Promise((resolve) => setTimeout(resolve, 50));
        isClosed = true;
        far.close();
        far.close();
        assert.ok([null, "rejected"].includes(await reading as null));
        assert.equal(await writing, "rejected");
        // The other side hears of it, whether or not it has read what there was.
        const rest = end((async () => {
          while (await near.read(new Uint8Array(MEBIBYTE)) !== null);
          return null;
        })());
        assert.ok([null, "rejected"].includes(await rest as null));
        near.close();
        await assert.rejects((async () => {
          for (let i = 0; i < 1000; i++) await near.write(piece);
        })());
      }),

    [`${kind}: a port that is taken has the code EADDRINUSE`]: async () => {
      const listener = await transport.listen(LOOPBACK);
      try {
        await assert.rejects(
          () => transport.listen(listener.address),
          (error: Error & { code?: unknown }) => error.code === "EADDRINUSE",
        );
      } finally {
        listener.close();
      }
    },

    [`${kind}: closing a listener frees its port, and ends an accept that waits`]: async () => {
      const listener = await transport.listen(LOOPBACK);
      const accepting = listener.accept();
      listener.close();
      listener.close();
      await assert.rejects(accepting);
      const again = await transport.listen(listener.address);
      assert.deepEqual(again.address, listener.address);
      again.close();
    },

    [`${kind}: a connection outlives its listener`]: () =>
      connected(transport, async ({ listener, near, far }) => {
        listener.close();
        await writeAll(near, pattern(1000));
        await near.closeWrite();
        assert.deepEqual(await readToEnd(far), pattern(1000));
      }),

    [`${kind}: a dial to nobody says why it fails`]: async () => {
      const listener = await transport.listen(LOOPBACK);
      const { port } = listener.address;
      listener.close();
      for (const hostname of ["127.0.0.1", "localhost"]) {
        await assert.rejects(
          () => transport.connect({ hostname, port }, { signal: never }),
          (error: Error) => /refused/i.test(error.message),
        );
      }
    },

    [`${kind}: a dial that is called off rejects, before and during it`]: async () => {
      const reason = new Error("called off");
      const listener = await transport.listen(LOOPBACK);
      const dial = (signal: AbortSignal) => transport.connect(listener.address, { signal });
      await assert.rejects(() => dial(AbortSignal.abort(reason)));
      const during = new AbortController();
      const dialling = dial(during.signal);
      during.abort(reason);
      await assert.rejects(dialling);
      listener.close();
    },
  };
}

export const TCP: Cases = {
  ...transportCases("TCP", tcpTransport),
  ...transportCases("TLS", tlsTransport()),
};
