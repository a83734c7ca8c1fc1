import {
  encodeWebSocketClose,
  FrameError,
  isWebSocketCloseCode,
  MAX_CLOSE_REASON_BYTES,
} from "../codec/mod.ts";
import { Connection, type Happening } from "./_connection.ts";
import { describe } from "./_describe.ts";
import { limitsOf } from "./_limits.ts";
import { type Listener, Listeners } from "./_listeners.ts";
import type {
  ServerCloseEvent,
  ServerMessageEvent,
  ServerWebSocketEvent,
  ServerWebSocketEventMap,
  ServerWebSocketHandler,
  ServerWebSocketListener,
  ServerWebSocketListenerOptions,
} from "./events.ts";
import type { AcceptSettings } from "./options.ts";
import type { UpgradeStream } from "./upgrade.ts";

/** RFC 6455's registry: the server cannot go on. */
const INTERNAL_ERROR = 1011;

const NOTHING = new Uint8Array();

/** What `acceptWebSocket` makes a socket from. */
export interface Accepted {
  readonly stream: UpgradeStream;
  readonly head: Uint8Array;
  readonly settings: AcceptSettings;
  readonly protocol: string;
  readonly windowBits: number | undefined;
}

/** Opens a socket. Only this module can, as its constructor is private. */
export let openSocket: (accepted: Accepted) => ServerWebSocket;

/**
 * The server's end of a WebSocket, made by {@linkcode acceptWebSocket}. It is used like the web's
 * `WebSocket`, with these differences:
 *
 * - It is open from the start. `open` still fires, once, a microtask later.
 * - Nothing is read before that microtask: handlers that are set in the same turn, or in `onopen`,
 *   miss nothing. A message that comes while nobody listens is dropped, as everywhere on the web.
 * - `terminate` ends it at once. A client that takes more than about 4 s to close is terminated
 *   too.
 * - `sendFrame` sends one frame to many sockets without a copy for each.
 * - `drain` says that the system has taken what had piled up.
 * - A handler that throws, or whose promise rejects, closes this socket with 1011. Its error goes
 *   to `onError` of the options, and never to the process.
 *
 * What is sent during a turn of the event loop is written when it ends, in one piece for each
 * socket.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { acceptWebSocket } from "@roomcast/roomcast/websocket";
 *
 * const server = createServer((_request, response) => response.writeHead(426).end());
 * server.on("upgrade", (request, stream, head) => {
 *   const socket = acceptWebSocket(request, stream, head);
 *   if (socket === undefined) return; // refused, and answered
 *   socket.onmessage = ({ data }) => socket.send(data);
 * });
 * ```
 */
export class ServerWebSocket {
  /** Called once, a microtask after the socket was accepted. */
  onopen: ServerWebSocketHandler<"open"> | null = null;
  /** Called with each message. */
  onmessage: ServerWebSocketHandler<"message"> | null = null;
  /** Called once, when the connection has ended. */
  onclose: ServerWebSocketHandler<"close"> | null = null;
  /**
   * Called when the system has taken everything that had piled up because the client did not read.
   */
  ondrain: ServerWebSocketHandler<"drain"> | null = null;
  /** The subprotocol that was agreed on, or an empty text. */
  readonly protocol: string;
  /** The address of the client, or of its proxy; undefined if the stream does not tell. */
  readonly remoteAddress: string | undefined;
  readonly #connection: Connection;
  readonly #onError: AcceptSettings["onError"];
  #listeners: Listeners | undefined;
  #isArrayBuffer = true;

  private constructor({ stream, head, settings, protocol, windowBits }: Accepted) {
    this.protocol = protocol;
    this.remoteAddress = stream.remoteAddress;
    this.#onError = settings.onError;
    this.#connection = new Connection(stream, {
      limits: limitsOf(settings, windowBits),
      socket: this,
      tell: ServerWebSocket.#tell,
    });
    this.#connection.start(head);
  }

  static {
    openSocket = (accepted) => new ServerWebSocket(accepted);
  }

  /** 1 open, 2 closing, 3 closed. */
  get readyState(): number {
    return this.#connection.readyState;
  }

  /**
   * Bytes that were sent, with the headers of their frames, and that the system has not taken yet.
   * Up to 64 KiB of them may only be waiting for the turn to end, or 128 KiB while a busy process
   * needs several turns to write to all sockets.
   */
  get bufferedAmount(): number {
    return this.#connection.bufferedBytes;
  }

  /**
   * How binary messages arrive: as `"arraybuffer"` (the default) or `"uint8array"`.
   *
   * @throws {RangeError} when set to anything else.
   */
  get binaryType(): "arraybuffer" | "uint8array" {
    return this.#isArrayBuffer ? "arraybuffer" : "uint8array";
  }

  set binaryType(type: "arraybuffer" | "uint8array") {
    if (type !== "arraybuffer" && type !== "uint8array") {
      throw new RangeError(`binaryType must be "arraybuffer" or "uint8array", got ${String(type)}`);
    }
    this.#isArrayBuffer = type === "arraybuffer";
  }

  /**
   * Sends a text, or a binary message. Bytes are copied before this returns. A lone surrogate becomes
   * U+FFFD. On a socket that is not open any more it does nothing.
   *
   * There is no limit to what may wait for a client that does not read: look at `bufferedAmount`, or
   * leave it to `Rooms`.
   *
   * @throws {TypeError} for data of another type.
   */
  send(data: string | ArrayBufferLike | ArrayBufferView): void {
    if (typeof data === "string") this.#connection.sendText(data);
    else this.#connection.sendBinary(bytesOf(data));
  }

  /**
   * Sends a frame that goes to other sockets as well: all of them keep the same memory, which
   * nobody may modify any more. `encodeWebSocketText` and `encodeWebSocketFrame` of the codec make
   * such frames. A socket with compression sends a compressed copy, which is made once for all.
   *
   * @throws {TypeError} if it is not a `Uint8Array`.
   * @throws {RangeError} if it is not one complete, unmasked and uncompressed frame with a message,
   * a ping or a pong.
   *
   * @example
   * ```ts
   * import { encodeWebSocketText } from "@roomcast/roomcast/codec";
   * import type { ServerWebSocket } from "@roomcast/roomcast/websocket";
   *
   * function tellAll(sockets: Iterable<ServerWebSocket>, text: string): void {
   *   const frame = encodeWebSocketText(text);
   *   for (const socket of sockets) socket.sendFrame(frame);
   * }
   * ```
   */
  sendFrame(frame: Uint8Array): void {
    this.#connection.sendShared(frame);
  }

  /**
   * The same as `sendFrame`. `Rooms` gives frames that are part of a larger memory only to sockets with
   * this method. A stalled socket keeps at most some 16 KiB alive that `bufferedAmount` does not count.
   *
   * @throws {TypeError} see `sendFrame`.
   * @throws {RangeError} see `sendFrame`.
   */
  sendPooledFrame(frame: Uint8Array): void {
    this.#connection.sendShared(frame);
  }

  /**
   * Begins to close. Without a code the close frame has none. What was sent before still arrives. A
   * client that has not closed some 4 s later is terminated.
   *
   * @throws {TypeError} if the code is not a number, or the reason not a string.
   * @throws {RangeError} unless the code is 1000 to 1003, 1007 to 1014 or 3000 to 4999, or if the
   * reason is longer than 123 bytes of UTF-8, or is given without a code.
   */
  close(code?: number, reason?: string): void {
    this.#connection.close(closePayload(code, reason));
  }

  /** Ends the connection at once. What has not been taken by the system is lost. */
  terminate(): void {
    this.#connection.terminate();
  }

  /**
   * Calls `listener` with each event of this type. Adding it again does nothing.
   *
   * @throws {TypeError} if it is neither a function nor an object with `handleEvent`.
   */
  addEventListener<Type extends keyof ServerWebSocketEventMap>(
    type: Type,
    listener: ServerWebSocketListener<Type> | null,
    options?: boolean | ServerWebSocketListenerOptions,
  ): void {
    if (listener === null) return;
    if (typeof listener !== "function" && typeof listener?.handleEvent !== "function") {
      throw new TypeError(`listener must be a function or an object, got ${describe(listener)}`);
    }
    const { once = false, signal } = typeof options === "object" ? options : {};
    this.#listeners ??= new Listeners();
    this.#listeners.add(type, listener, once, signal);
  }

  /** Removes a listener. */
  removeEventListener<Type extends keyof ServerWebSocketEventMap>(
    type: Type,
    listener: ServerWebSocketListener<Type> | null,
    _options?: boolean | ServerWebSocketListenerOptions,
  ): void {
    if (listener !== null) this.#listeners?.remove(type, listener);
  }

  static #tell(socket: ServerWebSocket, happening: Happening): void {
    socket.#hear(happening);
  }

  #hear(happening: Happening): void {
    switch (happening.type) {
      case "message": {
        const { data } = happening;
        const event: ServerMessageEvent = {
          type: "message",
          target: this,
          data: typeof data === "string" ? data : this.#own(data),
        };
        this.#dispatch(event, this.onmessage);
        break;
      }
      case "close": {
        const { code, reason, wasClean } = happening;
        const event: ServerCloseEvent = { type: "close", target: this, code, reason, wasClean };
        this.#dispatch(event, this.onclose);
        this.#listeners?.clear();
        break;
      }
      case "open":
        this.#dispatch({ type: "open", target: this }, this.onopen);
        break;
      case "drain":
        this.#dispatch({ type: "drain", target: this }, this.ondrain);
        break;
      case "error":
        this.#failed(happening.error);
        break;
    }
  }

  /** Bytes as the application gets them: a copy, because they are part of a larger buffer. */
  #own(bytes: Uint8Array): ArrayBuffer | Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(bytes);
    return this.#isArrayBuffer ? copy.buffer : copy;
  }

  #dispatch<Event extends ServerWebSocketEvent>(
    event: Event,
    handler: ((event: Event) => unknown) | null,
  ): void {
    if (typeof handler === "function") this.#call(handler, event);
    this.#listeners?.each(event.type, (listener) => this.#call(listener, event));
  }

  #call(listener: Listener, event: ServerWebSocketEvent): void {
    try {
      const result: unknown = typeof listener === "function"
        ? listener.call(this, event as never)
        : listener.handleEvent(event as never);
      if (isThenable(result)) result.then(undefined, (error) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** A handler has failed, so it may not have done its work for this client. */
  #failed(error: unknown): void {
    this.#connection.close(encodeWebSocketClose(INTERNAL_ERROR, "internal error"));
    try {
      const result: unknown = this.#onError === undefined
        ? report(error)
        : this.#onError(error, this);
      if (isThenable(result)) result.then(undefined, report);
    } catch (errorOfHandler) {
      report(errorOfHandler);
    }
  }
}

function report(error: unknown): void {
  console.error("A handler of a WebSocket has failed:", error);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value &&
    typeof value.then === "function";
}

function bytesOf(data: unknown): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  if (
    data instanceof ArrayBuffer ||
    typeof SharedArrayBuffer !== "undefined" && data instanceof SharedArrayBuffer
  ) return new Uint8Array(data);
  throw new TypeError(
    `data must be a string, an ArrayBuffer or a view of one, got ${describe(data)}`,
  );
}

function closePayload(code: unknown, reason: unknown = ""): Uint8Array {
  if (typeof reason !== "string") {
    throw new TypeError(`reason must be a string, got ${describe(reason)}`);
  }
  if (code === undefined) {
    if (reason === "") return NOTHING;
    throw new RangeError("reason must not stand without a code");
  }
  if (typeof code !== "number") {
    throw new TypeError(`code must be a number, got ${describe(code)}`);
  }
  if (!isWebSocketCloseCode(code)) {
    throw new RangeError(`code must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, got ${code}`);
  }
  try {
    return encodeWebSocketClose(code, reason);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    throw new RangeError(
      `reason must have at most ${MAX_CLOSE_REASON_BYTES} bytes of UTF-8: ${error.message}`,
    );
  }
}
