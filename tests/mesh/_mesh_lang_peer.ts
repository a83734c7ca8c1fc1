/**
 * A node of the Mesh runtime (the Mesh language runtime), played for tests. Written from the
 * description of the wire alone: it shares no code with `mesh/` or `codec/`, so that a mistake
 * there cannot cancel itself out here. Framing, proofs and parsing are its own, the sockets are
 * `node:tls` and `node:net`.
 *
 * What it does as the Mesh runtime does:
 * - sends no extension, proves with HMAC-SHA256(cookie, challenge), skips bytes after the fields
 *   that it knows;
 * - writes the length of a frame and its payload separately, late if told so;
 * - as acceptor, closes without a word on a name that it already has a session with;
 * - when a second session by the same name gets through: if its own name is the smaller, the first
 *   stays and the second is closed; otherwise the second is used and the first left open, unused;
 * - after the handshake sends PEER_LIST and GLOBAL_SYNC, and dials what it finds in a PEER_LIST;
 * - gives up a frame if more than 100 ms pass inside it, forgets what it has read of it, and so loses
 *   its place in the stream;
 * - lists a session for up to 500 ms after it has ended, and then removes whichever has its name;
 * - may go by a name without a port, which stands for port 9000.
 *
 * It plays no deadlines: no heartbeat of its own (see {@linkcode Session.ping}) and no limit on the
 * time that a handshake takes.
 */

import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";

const NAME = 0x01;
const CHALLENGE = 0x02;
const REPLY = 0x03;
const ACK = 0x04;
const PEER_LIST = 0x12;
const GLOBAL_SYNC = 0x1d;
const ROOM_BROADCAST = 0x1e;
const PING = 0xf0;
const PONG = 0xf1;

const CREATION = 1;
const DEFAULT_PORT = 9000;
const PROOF_BYTES = 32;
const CHALLENGE_BYTES = 32;
const PING_BYTES = 8;
const HANDSHAKE_FRAME_MAX_BYTES = 4096;
const SESSION_FRAME_MAX_BYTES = 16 * 1024 * 1024;

/** The cookie of `_cluster.ts`, which is not imported because it imports everything. */
const DEFAULT_COOKIE = "correct horse battery staple";

/**
 * What a node shows that nobody verifies. Made by `openssl req -x509 -newkey ec -pkeyopt
 * ec_paramgen_curve:P-256 -nodes -keyout - -out - -subj /CN=mesh-node -days 36500`.
 */
const TLS_IDENTITY = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBjN3mfgZKDTHFWGn
xQS0DKRTZbNdT4jHL65TBMW7LwShRANCAARyrOQCKY0KA2H+rxXDwysZHqEIfGdB
IYGV80XlrF7nrWeer7qJtLQlTRzqMIcg+h0e7SAYHnMRjRFpTGEpCq0o
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUfk0u+rwJBsGNlVkwXBZZS+/Dwx4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbWVzaC1ub2RlMCAXDTI2MTEyNDEwMjIzNFoYDzIxMjYxMDMx
MTAyMjM0WjAUMRIwEAYDVQQDDAltZXNoLW5vZGUwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARyrOQCKY0KA2H+rxXDwysZHqEIfGdBIYGV80XlrF7nrWeer7qJtLQl
TRzqMIcg+h0e7SAYHnMRjRFpTGEpCq0oo1MwUTAdBgNVHQ4EFgQUxYPy2yyBAMFF
5xoHeYGtrMgnGeUwHwYDVR0jBBgwFoAUxYPy2yyBAMFF5xoHeYGtrMgnGeUwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAH/XbLgP+5sCFAI47gSWK1
Y98wPXmFqwEU697v7whacgIhAJbRMImFiwO4okjiCMhg9EXI2bmPUvEDkPM4dro3
hp6p
-----END CERTIFICATE-----
`,
};

export interface MeshLangPeerOptions {
  /** The secret, of any length. Default: that of `_cluster.ts`. */
  cookie?: string;
  /** Whether to speak TLS, or plain TCP. Default: true. */
  tls?: boolean;
  /** How long every write waits for its turn to begin, the handshake's too. Default: 0. */
  writeDelayMs?: number;
  /** Whether to dial the names in a PEER_LIST. Default: true. */
  dialsPeerLists?: boolean;
  /** The port to listen on, to come back under the same name. Default: a free one. */
  port?: number;
  /** The name to go by, whatever the port. Default: that of the port. */
  name?: string;
  /** How long a session that has ended is still listed. Default: 0. */
  deadSessionMs?: number;
  /** How long may pass inside a frame of a session. Default: Infinity. */
  frameTimeoutMs?: number;
}

/** A broadcast that arrived. */
export interface Broadcast {
  room: string;
  message: string;
}

/** How the connections that others opened have ended up. */
export interface HandshakeCounts {
  /** A session was registered. */
  accepted: number;
  /** Closed on reading NAME: there was a session by that name. */
  refused: number;
  /** Closed after ACK: a session by that name had come first meanwhile, and stays. */
  surplus: number;
  /** No TLS, a malformed message, a wrong proof, or the other side went away. */
  failed: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff);
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(...u16(value & 0xffff), ...u16(value >>> 16));
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** A name with its length before it. */
function named(name: string): Uint8Array {
  const bytes = encoder.encode(name);
  return concat(u16(bytes.length), bytes);
}

/** Reads one field after the other. Throws if there are fewer bytes than a field takes. */
class Fields {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(payload: Uint8Array, tag: number) {
    this.#bytes = payload;
    const found = this.uint(1);
    if (found !== tag) throw new Error(`expected a message 0x${hex(tag)}, got 0x${hex(found)}`);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(count: number): Uint8Array {
    const left = this.#bytes.length - this.#at;
    if (count > left) throw new Error(`expected ${count} bytes at ${this.#at}, got ${left}`);
    return this.#bytes.subarray(this.#at, this.#at += count);
  }

  /** An unsigned little-endian number. */
  uint(byteCount: number): number {
    return this.take(byteCount).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  text(byteCount: number): string {
    return decoder.decode(this.take(byteCount));
  }
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

function encodeName(name: string): Uint8Array {
  return concat(Uint8Array.of(NAME), named(name), Uint8Array.of(CREATION));
}

function decodeName(payload: Uint8Array): string {
  const fields = new Fields(payload, NAME);
  const name = fields.text(fields.uint(2));
  fields.uint(1);
  return name;
}

function encodeChallenge(name: string, challenge: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(CHALLENGE), named(name), Uint8Array.of(CREATION), challenge);
}

function decodeChallenge(payload: Uint8Array): { name: string; challenge: Uint8Array } {
  const fields = new Fields(payload, CHALLENGE);
  const name = fields.text(fields.uint(2));
  fields.uint(1);
  return { name, challenge: fields.take(CHALLENGE_BYTES) };
}

function encodeReply(proof: Uint8Array, challenge: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(REPLY), proof, challenge);
}

function decodeReply(payload: Uint8Array): { proof: Uint8Array; challenge: Uint8Array } {
  const fields = new Fields(payload, REPLY);
  return { proof: fields.take(PROOF_BYTES), challenge: fields.take(CHALLENGE_BYTES) };
}

function encodeAck(proof: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(ACK), proof);
}

function decodeAck(payload: Uint8Array): Uint8Array {
  return new Fields(payload, ACK).take(PROOF_BYTES);
}

function encodePeerList(names: readonly string[]): Uint8Array {
  return concat(Uint8Array.of(PEER_LIST), u16(names.length), ...names.map(named));
}

function decodePeerList(payload: Uint8Array): string[] {
  const fields = new Fields(payload, PEER_LIST);
  return Array.from({ length: fields.uint(2) }, () => fields.text(fields.uint(2)));
}

function encodeRoomBroadcast(room: string, message: string): Uint8Array {
  const text = encoder.encode(message);
  return concat(Uint8Array.of(ROOM_BROADCAST), named(room), u32(text.length), text);
}

function decodeRoomBroadcast(payload: Uint8Array): Broadcast {
  const fields = new Fields(payload, ROOM_BROADCAST);
  const room = fields.text(fields.uint(2));
  const message = fields.text(fields.uint(4));
  if (!fields.isAtEnd) throw new Error("a ROOM_BROADCAST has bytes after its message");
  return { room, message };
}

function prove(cookie: string, challenge: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac("sha256", cookie).update(challenge).digest());
}

function isProof(proof: Uint8Array, cookie: string, challenge: Uint8Array): boolean {
  return timingSafeEqual(proof, prove(cookie, challenge));
}

function isSmaller(name: string, other: string): boolean {
  return Buffer.compare(Buffer.from(name), Buffer.from(other)) < 0;
}

/** The host and port in `local@host:port` or `host:port`. */
function addressIn(name: string): { host: string; port: number } {
  const address = name.slice(name.lastIndexOf("@") + 1);
  const colon = address.lastIndexOf(":");
  if (colon < 0) return { host: address, port: DEFAULT_PORT };
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(address.slice(colon + 1)) };
}

/** Something that changes, and those who wait until it is as they want it. */
class Changes {
  #next = Promise.withResolvers<void>();

  announce(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await this.#next.promise;
  }
}

/** A socket with frames on it, read on demand and written one after the other. */
class Connection {
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  readonly #writeDelayMs: number;
  readonly #changes = new Changes();
  #chunks: Uint8Array[] = [];
  #size = 0;
  #hasEnded = false;
  #isFrozen = false;
  #failure = "the other side has closed the connection";
  /** The one lock of the connection: whoever writes waits for whoever came before. */
  #lock = Promise.resolve();

  constructor(socket: net.Socket, writeDelayMs: number) {
    this.#socket = socket;
    this.#writeDelayMs = writeDelayMs;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#buffer(chunk));
    socket.on("error", ({ message }: Error) => this.#failure = message);
    // The other half is closed by the socket itself: it does not allow half-open connections.
    for (const event of ["end", "close"]) socket.once(event, () => this.#end());
  }

  /** Waits until the socket that was just made is connected. Throws if it cannot be. */
  async connected(event: "connect" | "secureConnect"): Promise<void> {
    const connected = new Promise((resolve) => this.#socket.once(event, resolve));
    await Promise.race([connected, this.closed]);
    if (this.#socket.destroyed) throw new Error(this.#failure);
  }

  /**
   * The next payload that is not empty. Throws at the end, or if a frame is over the limit. If more
   * than `timeoutMs` pass inside a frame, what has been read of it is forgotten.
   */
  async receive(maxBytes: number, timeoutMs = Infinity): Promise<Uint8Array> {
    for (;;) {
      await this.#changes.until(() => this.#size > 0 || this.#hasEnded);
      const head = await this.#takeInTime(4, timeoutMs);
      if (head === undefined) continue;
      const size = head.reduceRight((value, byte) => value * 256 + byte, 0);
      if (size > maxBytes) throw new Error(`a frame of ${size} bytes is over ${maxBytes}`);
      const payload = size > 0 ? await this.#takeInTime(size, timeoutMs) : undefined;
      if (payload !== undefined) return payload;
    }
  }

  /** Undefined, with what has come thrown away, if the rest takes too long. */
  async #takeInTime(count: number, timeoutMs: number): Promise<Uint8Array | undefined> {
    if (timeoutMs === Infinity || this.#size >= count) return await this.#take(count);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    const isThere = () => this.#size >= count || this.#hasEnded;
    await Promise.race([promise, this.#changes.until(isThere)]);
    clearTimeout(timer);
    // What has arrived by now is in time, even if this process has been too busy to read it.
    if (!isThere()) await new Promise((resolve) => setTimeout(resolve));
    if (isThere()) return await this.#take(count);
    this.#clear();
    return undefined;
  }

  /** Resolves when written, or when the connection is closed. */
  writeFrame(payload: Uint8Array): Promise<void> {
    return this.#inTurn(async () => {
      // Each waits for the one before, or the socket would join them into one TLS record.
      await this.#write(u32(payload.length));
      await this.#write(payload);
    });
  }

  /** Resolves when written, or when the connection is closed. */
  writeBytes(bytes: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#write(bytes));
  }

  /** Neither reads nor writes from now on, and does not notice that the other side closes. */
  freeze(): void {
    this.#isFrozen = true;
    this.#socket.removeAllListeners("data");
    this.#socket.pause();
    this.#clear();
  }

  /** Closes at once: no closing message of TLS, and nothing of what is still to be written. */
  destroy(): void {
    if (!this.#hasEnded) this.#failure = "this side has closed the connection";
    this.#socket.destroy();
    this.#clear();
  }

  #buffer(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    this.#changes.announce();
  }

  #clear(): void {
    this.#chunks = [];
    this.#size = 0;
  }

  #end(): void {
    this.#hasEnded = true;
    this.#changes.announce();
  }

  async #take(count: number): Promise<Uint8Array> {
    await this.#changes.until(() => this.#size >= count || this.#hasEnded);
    if (this.#size < count) throw new Error(this.#failure);
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const chunk = this.#chunks[0];
      const part = chunk.subarray(0, count - at);
      bytes.set(part, at);
      at += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#size -= count;
    return bytes;
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    this.#lock = this.#lock.then(write);
    return this.#lock;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#writeDelayMs > 0) await this.#delay();
    if (this.#isFrozen) await this.closed;
    if (bytes.length === 0 || this.#socket.destroyed) return;
    // Called too, with an error, when the socket is destroyed.
    await new Promise<void>((resolve) => this.#socket.write(bytes, () => resolve()));
  }

  async #delay(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#writeDelayMs);
    await Promise.race([promise, this.closed]);
    clearTimeout(timer);
  }
}

/** A connection after its handshake. */
export class Session {
  /** The name that the other side gave. */
  readonly name: string;
  readonly #connection: Connection;
  readonly #frameTimeoutMs: number;
  readonly #pings = new Map<string, () => void>();

  constructor(name: string, connection: Connection, frameTimeoutMs: number) {
    this.name = name;
    this.#connection = connection;
    this.#frameTimeoutMs = frameTimeoutMs;
  }

  /** Resolves when the connection is closed, by whichever side. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  /** Sends a frame, whatever is in it. Resolves when written, or when the session has ended. */
  send(payload: Uint8Array): Promise<void> {
    return this.#connection.writeFrame(payload);
  }

  /** Sends bytes as they are: half a frame, say. Resolves as {@linkcode Session.send} does. */
  sendBytes(bytes: Uint8Array): Promise<void> {
    return this.#connection.writeBytes(bytes);
  }

  /** Resolves with true at the pong that answers, with false if the session ends before. */
  async ping(): Promise<boolean> {
    const body = new Uint8Array(randomBytes(PING_BYTES));
    const pong = new Promise<boolean>((resolve) => {
      this.#pings.set(body.join(), () => resolve(true));
    });
    void this.send(concat(Uint8Array.of(PING), body));
    return await Promise.race([pong, this.closed.then(() => false)]);
  }

  /** Closes the connection, without a word. */
  close(): void {
    this.#connection.destroy();
  }

  /** Hands over what follows the tag of a pong. For {@linkcode MeshLangPeer} only. */
  gotPong(body: Uint8Array): void {
    this.#pings.get(body.join())?.();
    this.#pings.delete(body.join());
  }

  /** The next message. Throws when there will be none. For {@linkcode MeshLangPeer} only. */
  receive(): Promise<Uint8Array> {
    return this.#connection.receive(SESSION_FRAME_MAX_BYTES, this.#frameTimeoutMs);
  }
}

/** A node of the Mesh runtime. */
export class MeshLangPeer implements AsyncDisposable {
  /** `local@127.0.0.1:port` */
  readonly name: string;
  /** The first byte of every message of every session, in the order of arrival. */
  readonly receivedTags: number[] = [];
  /** The broadcasts of all sessions, in the order of arrival. */
  readonly broadcasts: Broadcast[] = [];
  /** What was wrong with messages that were dropped: there should be nothing here. */
  readonly malformed: string[] = [];
  /** Why names of a PEER_LIST could not be joined. */
  readonly dialFailures: string[] = [];
  readonly handshakes: HandshakeCounts = { accepted: 0, refused: 0, surplus: 0, failed: 0 };

  readonly #options: Required<Omit<MeshLangPeerOptions, "port" | "name">>;
  readonly #port: number;
  readonly #server: net.Server;
  readonly #sessions = new Map<string, Session>();
  readonly #connections = new Set<Connection>();
  /** What is accepted, before TLS: the only hold on one that is still negotiating. */
  readonly #accepted = new Set<net.Socket>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #changes = new Changes();
  #serverClosed?: Promise<unknown>;
  readonly #stopped = Promise.withResolvers<void>();

  private constructor(
    name: string,
    port: number,
    server: net.Server,
    options: Required<Omit<MeshLangPeerOptions, "port" | "name">>,
  ) {
    this.name = name;
    this.#port = port;
    this.#server = server;
    this.#options = options;
    server.on("connection", (socket: net.Socket) => this.#keep(socket));
    server.on(options.tls ? "secureConnection" : "connection", (socket: net.Socket) => {
      this.#run(this.#accept(this.#open(socket)));
    });
    server.on("tlsClientError", (_: Error, socket: net.Socket) => {
      socket.destroy();
      this.#count("failed");
    });
  }

  /** Starts a node that listens on the loopback address. Throws if the port is taken. */
  static async start(local: string, options: MeshLangPeerOptions = {}): Promise<MeshLangPeer> {
    const { cookie = DEFAULT_COOKIE, writeDelayMs = 0, dialsPeerLists = true } = options;
    const { tls: hasTls = true, port = 0, deadSessionMs = 0, frameTimeoutMs = Infinity } = options;
    const server = hasTls ? tls.createServer(TLS_IDENTITY) : net.createServer();
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("expected a TCP port");
    const { name = `${local}@127.0.0.1:${address.port}` } = options;
    return new MeshLangPeer(name, address.port, server, {
      cookie,
      tls: hasTls,
      writeDelayMs,
      dialsPeerLists,
      deadSessionMs,
      frameTimeoutMs,
    });
  }

  /** Where it listens, whatever its name. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get sessionNames(): string[] {
    return [...this.#sessions.keys()];
  }

  /**
   * Joins a node as initiator and resolves when the session is registered.
   *
   * @param name A full name, which the other side must then give, or `host:port`.
   * @throws {Error} If the other side cannot be reached, breaks off, proves nothing, is not the one
   * expected, or if a session by its name has come first and stays.
   */
  async dial(name: string): Promise<void> {
    if (this.#serverClosed !== undefined) throw new Error(`${this.name} has stopped`);
    const { tls: hasTls } = this.#options;
    const address = addressIn(name);
    const socket = hasTls
      ? tls.connect({ ...address, rejectUnauthorized: false })
      : net.connect(address);
    const connection = this.#open(socket);
    try {
      await connection.connected(hasTls ? "secureConnect" : "connect");
      await this.#initiate(connection, name);
    } catch (cause) {
      connection.destroy();
      throw new Error(`${this.name} cannot join ${name}: ${messageOf(cause)}`, { cause });
    }
  }

  /** Waits until there is a registered session with a node. */
  async sessionWith(name: string): Promise<Session> {
    await this.until(() => this.#sessions.has(name));
    return this.#sessions.get(name) ?? await this.sessionWith(name);
  }

  /** Waits until sessions, counters, tags or broadcasts of this peer are as wanted. */
  until(isSo: () => boolean): Promise<void> {
    return this.#changes.until(isSo);
  }

  /** Waits until so many broadcasts have arrived since the start, and gives all that have. */
  async next(count: number): Promise<Broadcast[]> {
    await this.until(() => this.broadcasts.length >= count);
    return this.broadcasts;
  }

  /** Sends a broadcast to every registered session, however long it is. Returns how many. */
  broadcast(room: string, message: string): number {
    const payload = encodeRoomBroadcast(room, message);
    for (const session of this.#sessions.values()) void session.send(payload);
    return this.#sessions.size;
  }

  /** Dies as a killed process does: the kernel closes its sockets, TLS says nothing. */
  async kill(): Promise<void> {
    this.#stopListening();
    for (const connection of this.#connections) connection.destroy();
    for (const socket of this.#accepted) socket.destroy();
    await Promise.all([...this.#connections].map((connection) => connection.closed));
    await this.#serverClosed;
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  /**
   * Dies as a machine without power does: its sockets stay open, but nothing is read, answered or
   * closed any more. The port is free for another peer. The sockets are closed on disposal.
   */
  ghost(): void {
    this.#stopListening();
    for (const connection of this.#connections) connection.freeze();
    this.#sessions.clear();
    this.#changes.announce();
  }

  /** Closes everything, also what {@linkcode MeshLangPeer.ghost} has left open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #stopListening(): void {
    if (this.#serverClosed !== undefined) return;
    this.#stopped.resolve();
    // Closed when its connections are; the port is free before that.
    this.#serverClosed = once(this.#server, "close");
    this.#server.close();
  }

  #keep(socket: net.Socket): void {
    this.#accepted.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#accepted.delete(socket));
  }

  #open(socket: net.Socket): Connection {
    const connection = new Connection(socket, this.#options.writeDelayMs);
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
    // A connection that was negotiating TLS when the node died.
    if (this.#serverClosed !== undefined) connection.freeze();
    return connection;
  }

  /** Keeps hold of work that nobody waits for. */
  #run(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }

  #count(outcome: keyof HandshakeCounts): void {
    this.handshakes[outcome]++;
    this.#changes.announce();
  }

  async #accept(connection: Connection): Promise<void> {
    let outcome: keyof HandshakeCounts = "failed";
    try {
      outcome = await this.#answer(connection);
    } catch {
      // A node says nothing about it to the other side: it breaks off.
    }
    if (outcome !== "accepted") connection.destroy();
    this.#count(outcome);
  }

  async #answer(connection: Connection): Promise<keyof HandshakeCounts> {
    const { cookie } = this.#options;
    const name = decodeName(await connection.receive(HANDSHAKE_FRAME_MAX_BYTES));
    if (name === this.name) throw new Error("the other side gives this node's own name");
    if (this.#sessions.has(name)) return "refused";
    const challenge = new Uint8Array(randomBytes(CHALLENGE_BYTES));
    await connection.writeFrame(encodeChallenge(this.name, challenge));
    const reply = decodeReply(await connection.receive(HANDSHAKE_FRAME_MAX_BYTES));
    if (!isProof(reply.proof, cookie, challenge)) throw new Error("the cookies differ");
    await connection.writeFrame(encodeAck(prove(cookie, reply.challenge)));
    return this.#register(this.#session(name, connection)) ? "accepted" : "surplus";
  }

  async #initiate(connection: Connection, dialled: string): Promise<void> {
    const { cookie } = this.#options;
    await connection.writeFrame(encodeName(this.name));
    const answer = decodeChallenge(await connection.receive(HANDSHAKE_FRAME_MAX_BYTES));
    const { name } = answer;
    if (name === this.name) throw new Error("it gives this node's own name");
    if (dialled.includes("@") && name !== dialled) throw new Error(`its name is ${name}`);
    const challenge = new Uint8Array(randomBytes(CHALLENGE_BYTES));
    await connection.writeFrame(encodeReply(prove(cookie, answer.challenge), challenge));
    const proof = decodeAck(await connection.receive(HANDSHAKE_FRAME_MAX_BYTES));
    if (!isProof(proof, cookie, challenge)) throw new Error("the cookies differ");
    if (!this.#register(this.#session(name, connection))) {
      throw new Error("a session with it has come first, and stays");
    }
  }

  #session(name: string, connection: Connection): Session {
    return new Session(name, connection, this.#options.frameTimeoutMs);
  }

  /** Says whether the session is used from now on. If not, its connection is to be closed. */
  #register(session: Session): boolean {
    // Killed while the last message of the handshake was on its way.
    if (this.#serverClosed !== undefined) throw new Error(`${this.name} has stopped`);
    const others = this.sessionNames.filter((name) => name !== session.name);
    if (this.#sessions.has(session.name) && isSmaller(this.name, session.name)) return false;
    // A session that this replaces is not closed: it is served until the other side closes it.
    this.#sessions.set(session.name, session);
    if (others.length > 0) void session.send(encodePeerList(others));
    void session.send(concat(Uint8Array.of(GLOBAL_SYNC), u32(0)));
    this.#run(this.#serve(session));
    this.#changes.announce();
    return true;
  }

  async #serve(session: Session): Promise<void> {
    try {
      for (;;) this.#handle(session, await session.receive());
    } catch {
      session.close();
    }
    await session.closed;
    const { deadSessionMs } = this.#options;
    if (deadSessionMs > 0) {
      const { promise: cleared, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, deadSessionMs);
      await Promise.race([cleared, this.#stopped.promise]);
      clearTimeout(timer);
      // Whichever has the name by now is removed, and left half open.
      this.#sessions.delete(session.name);
    } else if (this.#sessions.get(session.name) === session) {
      this.#sessions.delete(session.name);
    }
    this.#changes.announce();
  }

  #handle(session: Session, payload: Uint8Array): void {
    this.receivedTags.push(payload[0]);
    try {
      this.#act(session, payload);
    } catch (error) {
      this.malformed.push(messageOf(error));
    }
    this.#changes.announce();
  }

  #act(session: Session, payload: Uint8Array): void {
    switch (payload[0]) {
      case PEER_LIST:
        return this.#dialAll(decodePeerList(payload));
      case ROOM_BROADCAST:
        this.broadcasts.push(decodeRoomBroadcast(payload));
        return;
      case PING: {
        const body = new Fields(payload, PING).take(PING_BYTES);
        void session.send(concat(Uint8Array.of(PONG), body));
        return;
      }
      case PONG:
        return session.gotPong(new Fields(payload, PONG).take(PING_BYTES));
    }
  }

  #dialAll(names: readonly string[]): void {
    if (!this.#options.dialsPeerLists) return;
    for (const name of names) {
      if (name === this.name || this.#sessions.has(name)) continue;
      this.#run(
        this.dial(name).catch((error) => {
          this.dialFailures.push(messageOf(error));
          this.#changes.announce();
        }),
      );
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
