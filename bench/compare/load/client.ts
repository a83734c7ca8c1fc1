/** One client: a socket with the upgrade done by hand, on which frames are then counted. */

import { clientFrame, PONG_FRAME } from "./client_frame.ts";
import type { Dialect } from "./dialect.ts";
import { FrameCounter } from "./frame_counter.ts";
import { closeSocket, connectTo, findByte, receive, transmit } from "./libc.ts";

const HEAD_END = "\r\n\r\n";
/** The key of RFC 6455, section 1.3: nobody here checks the answer to it. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** Into which all clients read, one after the other. */
const buffer = new Uint8Array(256 * 1024);

/** A client of a contender. */
export class Client {
  readonly node: number;
  readonly socket: number;
  /** Messages so far, those of greeting and joining included. */
  heard = 0;
  /** It is not read from, so that what is sent gathers at the server. */
  paused = false;
  /** The server has hung up. */
  ended = false;
  readonly #dialect: Dialect;
  readonly #frames: FrameCounter;
  /** What the server has answered to the upgrade, while that is not over. */
  #head: string | undefined = "";
  #pongs = 0;
  readonly #unsent: Uint8Array<ArrayBuffer>[] = [];

  /** Connects and asks for the upgrade; {@linkcode isOpen} tells when it is there. */
  constructor(node: number, hostname: string, port: number, dialect: Dialect) {
    this.node = node;
    this.#dialect = dialect;
    const { ping, hasLines } = dialect;
    this.#frames = new FrameCounter({ pingBytes: ping?.bytes, hasLines, findByte });
    this.socket = connectTo(hostname, port);
    const head = [
      `GET ${dialect.path} HTTP/1.1`,
      `Host: ${hostname}:${port}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      `Sec-WebSocket-Key: ${KEY}`,
    ];
    this.send(new TextEncoder().encode(`${head.join("\r\n")}${HEAD_END}`));
  }

  /** The server has closed it, or hung up. */
  get closed(): boolean {
    return this.ended || this.#frames.signals.closed;
  }

  /** Orders may be sent. */
  get isOpen(): boolean {
    return this.#head === undefined && this.heard >= this.#dialect.greetings;
  }

  /** Everything has been sent. */
  get isIdle(): boolean {
    return this.#unsent.length === 0;
  }

  /** Sends whole frames, after those before. */
  send(frames: Uint8Array<ArrayBuffer>): void {
    this.#unsent.push(frames);
    this.flush();
  }

  /** Sends what there was no room for. */
  flush(): void {
    for (let frames; (frames = this.#unsent[0]) !== undefined;) {
      const sent = transmit(this.socket, frames);
      if (sent < frames.length) {
        this.#unsent[0] = frames.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
  }

  /** Reads what is there, and returns how many messages that was. */
  read(): number {
    if (this.paused || this.ended) return 0;
    let messages = 0;
    for (;;) {
      const count = receive(this.socket, buffer);
      if (count === 0) this.ended = true;
      if (count > 0) messages += this.#take(buffer.subarray(0, count));
      if (count < buffer.length) break;
    }
    this.heard += messages;
    return messages;
  }

  /** Counts messages of this length by themselves, from now on. */
  watch(bytes: number): void {
    this.#frames.watchedBytes = bytes + this.#dialect.envelopeBytes;
    this.#frames.watched = 0;
  }

  /** Those that have come. */
  get watched(): number {
    return this.#frames.watched;
  }

  close(): void {
    this.ended = true;
    closeSocket(this.socket);
  }

  #take(bytes: Uint8Array<ArrayBuffer>): number {
    if (this.#head !== undefined) return this.#takeHead(bytes, this.#head);
    const messages = this.#frames.push(bytes);
    for (const { signals } = this.#frames; this.#pongs < signals.pings; this.#pongs++) {
      const { ping } = this.#dialect;
      this.send(ping === undefined ? PONG_FRAME : clientFrame(ping.answer));
    }
    return messages;
  }

  #takeHead(bytes: Uint8Array<ArrayBuffer>, before: string): number {
    // As Latin-1, so that what follows the head can be had back as bytes.
    const text = before + String.fromCharCode(...bytes);
    const end = text.indexOf(HEAD_END);
    this.#head = text;
    if (end < 0) return 0;
    if (!text.startsWith("HTTP/1.1 101")) throw new Error(`no upgrade: ${text.slice(0, end)}`);
    this.#head = undefined;
    if (this.#dialect.hello !== undefined) this.send(clientFrame(this.#dialect.hello));
    const rest = text.slice(end + HEAD_END.length);
    return this.#take(Uint8Array.from(rest, (char) => char.charCodeAt(0)));
  }
}
