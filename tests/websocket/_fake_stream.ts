/** A stream whose other end does as a test says. */

import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import { sharedEndings } from "../../websocket/_endings.ts";
import { sharedFlush } from "../../websocket/_flush.ts";
import { sharedReading } from "../../websocket/_reading.ts";
import { type AcceptOptions, acceptWebSocket } from "../../websocket/mod.ts";
import type { ServerWebSocket, UpgradeRequest, UpgradeStream } from "../../websocket/mod.ts";

type Listener = (this: UpgradeStream, ...args: never[]) => void;

const HIGH_WATER_MARK = 64 * 1024;

export class FakeStream implements UpgradeStream {
  destroyed = false;
  remoteAddress = "192.0.2.1";
  /** Everything that was written, as it was given. */
  writes: Uint8Array[] = [];
  /** Bytes that the system still takes. */
  room = Infinity;
  paused = false;
  ended = false;
  writableLength = 0;
  writableNeedDrain = false;
  /** How often it has been corked. */
  corks = 0;
  readonly #listeners = new Map<string, Listener[]>();

  write(data: Uint8Array | string): boolean {
    if (this.ended || this.destroyed) throw new Error("written after the end");
    const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    this.writes.push(bytes);
    this.writableLength += bytes.length;
    if (this.writableLength >= HIGH_WATER_MARK) this.writableNeedDrain = true;
    this.#take();
    return !this.writableNeedDrain;
  }

  end(data?: Uint8Array | string): void {
    if (data !== undefined) this.write(data);
    this.ended = true;
  }

  cork(): void {
    this.corks++;
  }

  uncork(): void {}

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    queueMicrotask(() => this.emit("close"));
  }

  on(event: string, listener: (...args: never[]) => void): void {
    const listeners = this.#listeners.get(event) ?? [];
    this.#listeners.set(event, [...listeners, listener]);
  }

  emit(event: string, ...args: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      listener.apply(this, args as never[]);
    }
  }

  /** Lets the system take so many bytes more, and tells as a real stream does. */
  take(bytes = Infinity): void {
    this.room += bytes;
    this.#take();
    if (this.writableLength > 0 || !this.writableNeedDrain) return;
    this.writableNeedDrain = false;
    this.emit("drain");
  }

  /** The client has sent this. */
  receive(bytes: Uint8Array): void {
    this.emit("data", Buffer.from(bytes));
  }

  /** All bytes that were written. */
  get written(): Buffer {
    return Buffer.concat(this.writes);
  }

  #take(): void {
    const taken = Math.min(this.room, this.writableLength);
    this.writableLength -= taken;
    this.room -= taken;
  }
}

const REQUEST: UpgradeRequest = {
  method: "GET",
  httpVersion: "1.1",
  headers: {
    host: "chat.example",
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  },
};

/** A socket over a fake stream, from which the answer to the request has been taken. */
export function accept(
  options: AcceptOptions = {},
  headers: UpgradeRequest["headers"] = {},
): { stream: FakeStream; socket: ServerWebSocket } {
  const stream = new FakeStream();
  const request = { ...REQUEST, headers: { ...REQUEST.headers, ...headers } };
  const socket = acceptWebSocket(request, stream, new Uint8Array(), options);
  if (socket === undefined) throw new Error(`refused: ${stream.written}`);
  stream.writes = [];
  return { stream, socket };
}

/**
 * Resolves when everything that this turn began has been read, written and ended. On a busy machine,
 * the shared limits of a turn may leave some of it to the next.
 */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  while ([sharedReading, sharedFlush, sharedEndings].some(({ waiting }) => waiting > 0)) {
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** Ends sockets, so that nothing is left of a test. */
export async function endAll(...sockets: ServerWebSocket[]): Promise<void> {
  for (const socket of sockets) socket.terminate();
  await turn();
}
