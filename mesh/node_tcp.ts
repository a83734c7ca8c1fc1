/**
 * TCP by `node:net`, for Node.js and Bun.
 *
 * A socket of `node:net` reads ahead by itself. Here it does so only up to a limit, so that a slow
 * node slows its peer down, and a stranger cannot fill its memory.
 */

import { connect, createServer, type Server, type Socket } from "node:net";
import type { Address, Connection, Listener, Transport } from "./transport.ts";
import { Unread } from "./unread.ts";

/** Reading pauses when this much waits to be read. One chunk more may be on its way. */
const MAX_UNREAD_BYTES = 64 * 1024;

/**
 * Most bytes that are handed to the socket at a time, so that the heartbeat sees a long message
 * move.
 */
const MAX_WRITE_BYTES = 64 * 1024;

/** Connections that nobody has accepted yet. The mesh accepts at once, so there is hardly ever one. */
const MAX_WAITING = 512;

/** TCP by `node:net`. */
export const nodeTcp: Transport = {
  listen({ hostname, port }) {
    return new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, noDelay: true });
      server.once("error", reject);
      // Exclusive, because workers of `node:cluster` would otherwise share one port without
      // knowing.
      server.listen({ host: hostname, port, exclusive: true }, () => {
        server.off("error", reject);
        resolve(new NodeListener(server));
      });
    });
  },

  connect({ hostname, port }, { signal }) {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const socket = connect({ host: hostname, port, allowHalfOpen: true, noDelay: true });
      const cancel = () => {
        socket.destroy();
        reject(signal.reason);
      };
      signal.addEventListener("abort", cancel, { once: true });
      socket.once("connect", () => {
        signal.removeEventListener("abort", cancel);
        // Cancelled in the same turn.
        if (!signal.aborted) resolve(new NodeConnection(socket));
      });
      // It stays, so that a later error always has a listener.
      socket.on("error", (error) => {
        signal.removeEventListener("abort", cancel);
        reject(firstOf(error));
      });
    });
  },
};

/** The error of the first address, if a host name has several and none can be reached. */
function firstOf(error: Error): Error {
  // Node.js gives this one no message.
  return error instanceof AggregateError && error.errors[0] instanceof Error
    ? error.errors[0]
    : error;
}

class NodeListener implements Listener {
  readonly address: Address;
  readonly #server: Server;
  readonly #waiting: NodeConnection[] = [];
  #failure: Error | undefined;
  #isClosed = false;
  #changed = Promise.withResolvers<void>();

  constructor(server: Server) {
    this.#server = server;
    this.address = addressOf(server);
    server.on("connection", (socket) => {
      // It has ended before it could be accepted.
      if (socket.remoteAddress === undefined || this.#waiting.length >= MAX_WAITING) {
        socket.on("error", () => {});
        socket.destroy();
        return;
      }
      this.#waiting.push(new NodeConnection(socket));
      this.#wake();
    });
    server.on("error", (error) => {
      this.#failure = error;
      this.#wake();
    });
  }

  async accept(): Promise<Connection> {
    while (!this.#isClosed) {
      const connection = this.#waiting.shift();
      if (connection !== undefined) return connection;
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure !== undefined) throw failure;
      await this.#changed.promise;
    }
    throw new Error("the listener is closed");
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#server.close();
    for (const connection of this.#waiting.splice(0)) connection.close();
    this.#wake();
  }

  ref(): void {
    this.#server.ref();
  }

  unref(): void {
    this.#server.unref();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function addressOf(server: Server): Address {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP listener");
  return { hostname: address.address, port: address.port };
}

class NodeConnection implements Connection {
  readonly remoteAddress: Address;
  readonly #socket: Socket;
  readonly #unread = new Unread();
  #hasEnded = false;
  #isClosed = false;
  #failure: Error | undefined;
  /** Wakes a read that waits. */
  #wake: (() => void) | undefined;

  /** `socket` must be connected. It reads nothing before the first {@linkcode read}. */
  constructor(socket: Socket) {
    this.#socket = socket;
    const { remoteAddress = "", remotePort = 0 } = socket;
    this.remoteAddress = { hostname: remoteAddress, port: remotePort };
    socket.pause();
    socket.on("data", (chunk: Uint8Array) => {
      this.#unread.push(chunk);
      if (this.#unread.size >= MAX_UNREAD_BYTES) socket.pause();
      this.#wake?.();
    });
    socket.on("end", () => {
      this.#hasEnded = true;
      this.#wake?.();
    });
    socket.on("error", (error) => {
      this.#failure ??= error;
      this.#wake?.();
    });
    socket.on("close", () => {
      this.#isClosed = true;
      this.#wake?.();
    });
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#unread.size === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#hasEnded) return null;
      if (this.#isClosed) throw new Error("the connection is closed");
      const changed = new Promise<void>((resolve) => this.#wake = resolve);
      this.#socket.resume();
      await changed;
      this.#wake = undefined;
    }
    return this.#unread.take(buffer);
  }

  write(bytes: Uint8Array): Promise<number> {
    const piece = bytes.subarray(0, MAX_WRITE_BYTES);
    return new Promise((resolve, reject) => {
      this.#socket.write(piece, (error) => error ? reject(error) : resolve(piece.length));
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.end((error?: Error | null) => error ? reject(error) : resolve());
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#unread.clear();
    this.#socket.destroy();
    this.#wake?.();
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }
}
