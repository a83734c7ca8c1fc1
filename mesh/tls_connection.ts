/**
 * One end of a TLS channel, over an existing connection.
 *
 * It uses `node:tls` instead of `Deno.connectTls` and `Deno.listenTls`, because a dialler must see
 * the certificate that the channel uses, and because those leave Nagle's algorithm on: the second
 * of two small writes would wait 40 ms for the peer's delayed acknowledgement.
 *
 * `node:tls` on a socket of its own reads without a limit, even if nobody reads from it (Deno 2.9).
 * So it gets a stream that hands it ciphertext only while somebody waits for plaintext. Then at
 * most two chunks are unread, and a slow node slows its peer down, as on TCP.
 */

import { nextTick } from "node:process";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { MeshError } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import { tlsHalfCloses } from "./platform.ts";
import { looksLikeTls, peerSpeaksPlain, TLS_ANSWER } from "./tls_mismatch.ts";
import type { Address, Connection } from "./transport.ts";
import { Unread } from "./unread.ts";

/**
 * Most bytes that are read from the network at a time. The first read takes less, because a
 * stranger may send nothing more.
 */
const CHUNK_BYTES = 64 * 1024;
const FIRST_CHUNK_BYTES = 512;

/**
 * Most bytes that are encrypted at a time, so that a long message is not in memory twice, and the
 * heartbeat sees that it moves.
 */
const MAX_WRITE_BYTES = 64 * 1024;

/** A piece that fits in one TLS record (RFC 8446, section 5.1) comes out in one chunk. */
const RECORD_BYTES = 16 * 1024;

/** Matches the codes of `node:tls` for a certificate that is not trusted. */
const UNTRUSTED = /CERT|VERIFY|ISSUER|ALTNAME/;

/** How an end of a channel is made. */
export interface TlsEnd {
  /** True for the end that accepted the connection, which waits for the dialler to speak first. */
  readonly isServer: boolean;
  /** Begins TLS on a stream of ciphertext. */
  open(stream: Duplex): TLSSocket;
  /** The channel's {@linkcode Connection.binding}, asked for as soon as it is secure. */
  binding(socket: TLSSocket): Promise<Uint8Array>;
}

/** See the head of the file. */
export class TlsConnection implements Connection {
  readonly remoteAddress: Address;

  readonly #inner: Connection;
  readonly #end: TlsEnd;
  #chunk = new Uint8Array(FIRST_CHUNK_BYTES);
  /** Takes in ciphertext; undefined until the peer is known to speak TLS. */
  #stream: Duplex | undefined;
  #socket: TLSSocket | undefined;
  #isSecure = false;
  #secured: Promise<TLSSocket> | undefined;
  #binding: Uint8Array | undefined;
  /** Plaintext that nobody has read yet. */
  readonly #unread = new Unread();
  /** Wakes code that waits for the handshake or for plaintext. */
  #wake: (() => void) | undefined;
  #greeted: Promise<void> | undefined;
  /** The first bytes from the dialler, kept until the TLS handshake begins. */
  #hello: Uint8Array | undefined;
  /** On a dialled connection: the first bytes of the other side have been checked. */
  #isAnswered = false;
  /** Ciphertext that waits to be written. */
  readonly #sealed: Uint8Array[] = [];
  /** A long piece is being encrypted, and will be written once all of it is ready. */
  #isSealing = false;
  #flushed: Promise<void> = Promise.resolve();
  #joined = new Uint8Array(0);
  #feeding = false;
  #over = false;
  #isClosed = false;
  #failure: unknown;
  /** These functions reject promises that wait for something to be encrypted. */
  readonly #waiting = new Set<(error: unknown) => void>();

  /** Does nothing yet. */
  constructor(inner: Connection, end: TlsEnd) {
    this.remoteAddress = inner.remoteAddress;
    this.#inner = inner;
    this.#end = end;
  }

  get binding(): Uint8Array | undefined {
    return this.#binding;
  }

  /**
   * Makes the channel secure, as reading and writing do by themselves.
   *
   * @throws {MeshError} `peer-speaks-plain`, `untrusted-certificate`, `tls-failed`, `closed`.
   */
  secured(): Promise<TLSSocket> {
    this.#secured ??= this.#shakeHands();
    return this.#secured;
  }

  /**
   * See {@linkcode Connection.greeted}.
   *
   * @throws {MeshError} `peer-speaks-plain`, `closed`.
   */
  greeted(): Promise<void> {
    this.#greeted ??= this.#hear();
    return this.#greeted;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    await this.secured();
    while (this.#unread.size === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#over) return null;
      await this.#arrival();
    }
    return this.#unread.take(buffer);
  }

  async write(bytes: Uint8Array): Promise<number> {
    const socket = await this.secured();
    const piece = bytes.subarray(0, MAX_WRITE_BYTES);
    this.#isSealing = piece.length > RECORD_BYTES;
    try {
      await this.#unlessClosed((done) => socket.write(piece, done));
    } finally {
      this.#isSealing = false;
    }
    await this.#flush();
    return piece.length;
  }

  async closeWrite(): Promise<void> {
    const socket = await this.secured();
    if (tlsHalfCloses) await new Promise<void>((resolve) => socket.end(resolve));
    await this.#flush();
    if (!tlsHalfCloses) await this.#inner.closeWrite();
  }

  close(): void {
    this.#finish();
    this.#interrupt();
    this.#inner.close();
    this.#socket?.destroy();
    this.#stream?.destroy();
  }

  ref(): void {
    this.#inner.ref?.();
  }

  unref(): void {
    this.#inner.unref?.();
  }

  #open(): void {
    const finish = (error?: unknown) => this.#finish(error);
    const stream = this.#stream = new Duplex({
      read: () => {}, // #feed knows when.
      write: (chunk, _encoding, done) => {
        this.#sealed.push(chunk);
        // A long piece comes in several chunks. A pause between their writes would cut a frame in two.
        if (!this.#isSealing) this.#flush().catch(finish);
        done();
      },
      // No final: TLS ends each direction by itself, and close() ends the connection below.
    });
    stream.on("error", finish);
    const socket = this.#socket = this.#end.open(stream);
    socket.on("data", (bytes: Uint8Array) => {
      this.#unread.push(bytes);
      this.#wake?.();
    });
    for (const event of ["end", "error", "close"]) socket.on(event, finish);
    socket.on("close", () => this.#interrupt());
    socket.once(this.#end.isServer ? "secure" : "secureConnect", () => {
      this.#isSecure = true;
      this.#wake?.();
    });
    this.#chunk = new Uint8Array(CHUNK_BYTES);
  }

  async #shakeHands(): Promise<TLSSocket> {
    if (this.#end.isServer) await this.greeted();
    // It may have been closed meanwhile. A socket that is opened now would never be destroyed.
    if (this.#over) throw this.#handshakeError();
    this.#open();
    if (this.#hello !== undefined) {
      // The socket starts in the next tick. If it were given invalid bytes before then, it would
      // throw an error where nobody can catch it (Deno 2.9).
      await new Promise<void>((resolve) => nextTick(resolve));
      this.#stream?.push(this.#hello);
      this.#hello = undefined;
    }
    while (!this.#isSecure || this.#socket === undefined) {
      if (this.#over) throw this.#handshakeError();
      await this.#arrival();
    }
    try {
      this.#binding = await this.#end.binding(this.#socket);
    } catch (error) {
      // The certificate cannot be read, or the socket has just closed.
      this.#finish(error);
      throw this.#handshakeError();
    }
    return this.#socket;
  }

  /** Waits until something has changed, and reads from the network meanwhile. */
  async #arrival(): Promise<void> {
    const woken = new Promise<void>((resolve) => this.#wake = resolve);
    void this.#feed();
    await woken;
    this.#wake = undefined;
  }

  /** Hands ciphertext to TLS for as long as somebody waits for the result. */
  async #feed(): Promise<void> {
    if (this.#feeding) return;
    this.#feeding = true;
    try {
      while (this.#wake !== undefined && this.#unread.size === 0 && !this.#over) {
        const size = await this.#inner.read(this.#chunk);
        const bytes = size === null ? null : this.#chunk.slice(0, size);
        if (!this.#end.isServer && !this.#isAnswered) this.#checkAnswer(bytes);
        this.#stream?.push(bytes);
        if (bytes === null) break;
      }
    } catch (error) {
      this.#finish(error);
    }
    this.#feeding = false;
  }

  /** Waits for the first bytes from the dialler, and tells it if they are not TLS. */
  async #hear(): Promise<void> {
    try {
      const size = await this.#inner.read(this.#chunk);
      const bytes = this.#chunk.slice(0, size ?? 0);
      if (size === null) {
        this.#finish();
      } else if (looksLikeTls(bytes)) {
        this.#hello = bytes;
      } else if (!this.#over) {
        // Ending the connection matters more than telling the dialler.
        await this.#writeInner(TLS_ANSWER).catch(() => {});
        this.#finish(peerSpeaksPlain(this.remoteAddress));
      }
    } catch (error) {
      this.#finish(error);
    }
    if (this.#over) throw this.#handshakeError();
  }

  #checkAnswer(bytes: Uint8Array | null): void {
    this.#isAnswered = true;
    if (bytes === null) this.#finish();
    else if (!looksLikeTls(bytes)) throw peerSpeaksPlain(this.remoteAddress);
  }

  /**
   * Waits until `start` is done. Rejects if the connection is closed: on Bun, `start` does not
   * learn of that.
   */
  #unlessClosed(start: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(closedError());
      this.#waiting.add(reject);
      start((error) => {
        this.#waiting.delete(reject);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Rejects promises that wait for something to be encrypted. */
  #interrupt(): void {
    this.#isClosed = true;
    for (const reject of this.#waiting) reject(this.#failure ?? closedError());
    this.#waiting.clear();
  }

  /** Writes the ciphertext that waits, in one piece. */
  #flush(): Promise<void> {
    this.#flushed = this.#flushed.then(async () => {
      const chunks = this.#sealed.splice(0);
      if (chunks.length === 1) await this.#writeInner(chunks[0]);
      else if (chunks.length > 1) await this.#writeInner(this.#join(chunks));
    });
    return this.#flushed;
  }

  /** Joins the chunks. The next call uses the memory again. */
  #join(chunks: readonly Uint8Array[]): Uint8Array {
    const size = chunks.reduce((sum, { length }) => sum + length, 0);
    if (this.#joined.length < size) this.#joined = new Uint8Array(size);
    let at = 0;
    for (const chunk of chunks) {
      this.#joined.set(chunk, at);
      at += chunk.length;
    }
    return this.#joined.subarray(0, size);
  }

  async #writeInner(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#inner.write(bytes.subarray(at));
  }

  #finish(error?: unknown): void {
    if (!this.#over) this.#failure = error instanceof Error ? error : undefined;
    this.#over = true;
    this.#wake?.();
  }

  #handshakeError(): unknown {
    const cause = this.#failure;
    if (cause instanceof MeshError) return cause;
    const peer = formatAddress(this.remoteAddress);
    const { code = "", message } = cause as NodeJS.ErrnoException ?? {};
    if (cause === undefined || code === "ECONNRESET") {
      return new MeshError("closed", peer, `${peer} closed the connection in the TLS handshake`, {
        cause,
      });
    }
    return UNTRUSTED.test(code)
      ? new MeshError(
        "untrusted-certificate",
        peer,
        `the certificate of ${peer} is not accepted: ${message}`,
        { cause },
      )
      : new MeshError("tls-failed", peer, `no TLS with ${peer}: ${message}`, { cause });
  }
}

function closedError(): Error {
  return new Error("the connection is closed");
}
