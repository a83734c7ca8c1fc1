/** A client that says exactly what a test wants, on every runtime. */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

/** A frame from the server. */
export interface Frame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** How a frame to the server differs from a well-formed one. */
export interface FrameForm {
  fin?: boolean;
  rsv?: number;
  /** Default: four bytes that are not zero. */
  mask?: Uint8Array | false;
  /** The length to give, and in how many bits, if not those of the payload. */
  length?: number | bigint;
  lengthBits?: 7 | 16 | 64;
}

const MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

/** Makes a frame of a client, valid or not. */
export function clientFrame(
  opcode: number,
  data: string | Uint8Array = "",
  form: FrameForm = {},
): Buffer {
  const payload = typeof data === "string" ? Buffer.from(data) : Buffer.from(data);
  const { fin = true, rsv = 0, mask = MASK, length = payload.length } = form;
  const { lengthBits = length < 126 ? 7 : length <= 0xffff ? 16 : 64 } = form;
  const header = Buffer.alloc(lengthBits === 7 ? 2 : lengthBits === 16 ? 4 : 10);
  header[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
  header[1] = (mask ? 0x80 : 0) |
    (lengthBits === 7 ? Number(length) : lengthBits === 16 ? 126 : 127);
  if (lengthBits === 16) header.writeUInt16BE(Number(length), 2);
  if (lengthBits === 64) header.writeBigUInt64BE(BigInt(length), 2);
  if (!mask) return Buffer.concat([header, payload]);
  const masked = payload.map((byte, i) => byte ^ mask[i & 3]);
  return Buffer.concat([header, mask, masked]);
}

/** A close frame's payload. */
export function closePayload(code: number, reason: string | Uint8Array = ""): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code), Buffer.from(reason as string)]);
}

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** Headers of a request; undefined leaves one out. */
export type Headers = Record<string, string | undefined>;

export interface RequestForm {
  method?: string;
  path?: string;
  version?: string;
  headers?: Headers;
}

export function requestText(port: number, form: RequestForm = {}): string {
  const { method = "GET", path = "/", version = "HTTP/1.1", headers = {} } = form;
  const all: Headers = {
    "Host": `127.0.0.1:${port}`,
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`]
  );
  return `${method} ${path} ${version}\r\n${lines.join("")}\r\n`;
}

/** The answer to a request. */
export interface Response {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

export class RawClient {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  /** What has come since, and how many bytes are needed before it is worth joining. */
  #chunks: Buffer[] = [];
  #size = 0;
  #needed = 0;
  #changed = Promise.withResolvers<void>();
  /** True when the server has ended its side, or the connection was reset. */
  ended = false;
  closed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#size += chunk.length;
      if (this.#size >= this.#needed) this.#notify();
    });
    this.socket.on("end", () => {
      this.ended = true;
      this.#notify();
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.ended = this.closed = true;
      this.#notify();
    });
  }

  /** Connects, and opens a WebSocket. What `after` has is sent in one piece with the request. */
  static async open(port: number, form: RequestForm = {}, after?: Uint8Array): Promise<RawClient> {
    const client = new RawClient(port);
    client.write(Buffer.concat([Buffer.from(requestText(port, form)), after ?? Buffer.alloc(0)]));
    const { status } = await client.response();
    if (status !== 101) throw new Error(`the server has answered ${status}`);
    return client;
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Sends a frame. */
  send(opcode: number, data: string | Uint8Array = "", form: FrameForm = {}): void {
    this.write(clientFrame(opcode, data, form));
  }

  async response(): Promise<Response> {
    const end = await this.#until(() => {
      const at = this.#received.indexOf("\r\n\r\n");
      return at < 0 ? undefined : at + 4;
    });
    if (end === undefined) throw new Error("the server has not answered");
    const [first, ...lines] = this.#received.subarray(0, end - 4).toString("latin1").split("\r\n");
    this.#received = this.#received.subarray(end);
    const headers = new Map(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }));
    return { status: Number(first.split(" ")[1]), headers };
  }

  /** The next frame; undefined if the server sends no more. */
  async next(): Promise<Frame | undefined> {
    return await this.#until(() => {
      const bytes = this.#received;
      if (bytes.length < 2) return undefined;
      let length = bytes[1] & 0x7f;
      let at = 2;
      if (length === 126 && bytes.length >= 4) length = bytes.readUInt16BE(2), at = 4;
      else if (length === 127 && bytes.length >= 10) {
        length = Number(bytes.readBigUInt64BE(2)), at = 10;
      } else if (length >= 126) return undefined;
      if (bytes.length < at + length) {
        this.#needed = at + length - bytes.length;
        return undefined;
      }
      this.#received = bytes.subarray(at + length);
      return {
        fin: (bytes[0] & 0x80) !== 0,
        rsv: bytes[0] >> 4 & 7,
        opcode: bytes[0] & 0x0f,
        payload: Buffer.from(bytes.subarray(at, at + length)),
      };
    });
  }

  /** The next frame as text: `"1 hello"`, `"8 1002"`; `"end"` if there is none. */
  async heard(): Promise<string> {
    const frame = await this.next();
    if (frame === undefined) return "end";
    const { opcode, payload } = frame;
    if (opcode === 8) return `8 ${payload.length >= 2 ? payload.readUInt16BE(0) : ""}`.trim();
    return `${opcode} ${payload}`;
  }

  /** Resolves when the server has ended its side. */
  async end(): Promise<void> {
    await this.#until(() => undefined);
  }

  /** Ends this side, and resolves when the connection has closed. */
  async hangUp(): Promise<void> {
    this.socket.end();
    // A server that does not end its side is a fault, but must not keep the others from being found.
    const timer = setTimeout(() => this.socket.destroy(), 8_000);
    while (!this.closed) await this.#changed.promise;
    clearTimeout(timer);
  }

  /** Ends at once, by a reset where the runtime can do it. */
  reset(): void {
    if (typeof this.socket.resetAndDestroy === "function") this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  async #until<T>(find: () => T | undefined): Promise<T | undefined> {
    for (;;) {
      this.#received = Buffer.concat([this.#received, ...this.#chunks]);
      this.#chunks = [];
      this.#size = this.#needed = 0;
      const found = find();
      if (found !== undefined || this.ended) return found;
      await this.#changed.promise;
    }
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
