/**
 * One connection: the protocol between a stream and a socket's events.
 *
 * | state | what has happened | what comes next |
 * | --- | --- | --- |
 * | `open` | the handshake | messages, in both directions |
 * | `closing` | a close frame was sent | the client's close frame; its messages are ignored |
 * | `ending` | close frames went both ways, or the client broke the protocol | the stream's end |
 * | `closed` | the stream has closed | nothing |
 *
 * `closing` and `ending` have a deadline, after which the stream is destroyed.
 */

import {
  decodeWebSocketClose,
  decodeWebSocketText,
  encodeWebSocketClose,
  encodeWebSocketFrame,
  encodeWebSocketText,
  OPCODE,
} from "../codec/mod.ts";
import { type Compressor, compressorFor, inflate } from "./_compressor.ts";
import { FrameReader, type FrameSink } from "./_frame_reader.ts";
import { type Beating, sharedHeartbeat } from "./_heartbeat.ts";
import { Outbox } from "./_outbox.ts";
import { checkServerFrame, payloadBytes } from "./_server_frame.ts";
import { Violation } from "./_violation.ts";
import type { AcceptSettings } from "./options.ts";
import type { UpgradeStream } from "./upgrade.ts";

export type ConnectionState = "open" | "closing" | "ending" | "closed";

/** What a connection tells its socket. */
export type Happening =
  | { readonly type: "open" }
  | { readonly type: "message"; readonly data: string | Uint8Array }
  | { readonly type: "drain" }
  | { readonly type: "error"; readonly error: unknown }
  | {
    readonly type: "close";
    readonly code: number;
    readonly reason: string;
    readonly wasClean: boolean;
  };

export interface ConnectionOptions {
  readonly settings: AcceptSettings;
  /** The window that permessage-deflate was agreed on with; undefined: no compression. */
  readonly windowBits: number | undefined;
  /** Must not throw. */
  readonly tell: (happening: Happening) => void;
}

/** How long closing may take before the stream is destroyed. */
export const CLOSE_TIMEOUT_MS = 4_000;

const NO_STATUS = 1005;
const ABNORMAL = 1006;

const NOTHING = new Uint8Array();
/** One ping for all sockets: they can share it as any frame. */
const PING = encodeWebSocketFrame(OPCODE.PING, NOTHING);

/** Finds the connection of a stream, so that all streams have the same listeners. */
const CONNECTION: unique symbol = Symbol("connection");

type ConnectedStream = UpgradeStream & { [CONNECTION]?: Connection };

export class Connection implements FrameSink, Beating {
  readonly #stream: ConnectedStream;
  readonly #tell: (happening: Happening) => void;
  readonly #outbox: Outbox;
  readonly #reader: FrameReader;
  readonly #compressor: Compressor | undefined;
  readonly #thresholdBytes: number;
  readonly #maxMessageBytes: number;
  readonly #pingIntervalMs: number;
  readonly #pongTimeoutMs: number;
  #state: ConnectionState = "open";
  #closeSent = false;
  #closeCode = ABNORMAL;
  #closeReason = "";
  #wasClean = false;
  /** The newest ping that waits for its answer. */
  #unanswered: Uint8Array | undefined;
  /** When the client was last heard, and when it was sent a ping since; by the shared heartbeat. */
  #heardAt = 0;
  #pingedAt: number | undefined;
  /** When the stream is destroyed. */
  #deadline: number | undefined;
  slot = 0;

  constructor(stream: UpgradeStream, { settings, windowBits, tell }: ConnectionOptions) {
    const { maxMessageBytes, maxBufferedBytes, thresholdBytes = 0 } = settings;
    this.#stream = stream;
    this.#tell = tell;
    this.#outbox = new Outbox(stream, {
      maxBufferedBytes,
      kind: windowBits ?? 0,
      onDrain: () => this.#drained(),
    });
    const compression = windowBits !== undefined;
    this.#compressor = compression ? compressorFor(windowBits) : undefined;
    this.#reader = new FrameReader({ maxMessageBytes, compression });
    this.#thresholdBytes = thresholdBytes;
    this.#maxMessageBytes = maxMessageBytes;
    this.#pingIntervalMs = settings.pingIntervalMs;
    this.#pongTimeoutMs = settings.pongTimeoutMs;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Bytes that have been sent and not taken by the system. */
  get bufferedBytes(): number {
    return this.#state === "closed" ? 0 : this.#outbox.bufferedBytes;
  }

  get shortestMs(): number {
    return Math.min(this.#pingIntervalMs, this.#pongTimeoutMs, CLOSE_TIMEOUT_MS);
  }

  /** Takes the stream over. It is not read until a microtask later, when the socket has its handlers. */
  start(head: Uint8Array): void {
    const stream = this.#stream;
    stream[CONNECTION] = this;
    stream.on("close", onClose);
    stream.on("end", onEnd);
    stream.on("drain", onDrain);
    this.#heardAt = sharedHeartbeat.time;
    sharedHeartbeat.add(this);
    queueMicrotask(() => this.#begin(head));
  }

  sendText(text: string): void {
    if (this.#state === "open") this.#send(encodeWebSocketText(text));
  }

  sendBinary(bytes: Uint8Array): void {
    if (this.#state === "open") this.#send(encodeWebSocketFrame(OPCODE.BINARY, bytes));
  }

  /**
   * Sends a frame that other sockets send as well.
   *
   * @throws {RangeError} see {@linkcode checkServerFrame}.
   */
  sendShared(frame: Uint8Array): void {
    if (this.#state !== "open") return;
    const compressor = this.#compressorFor(frame);
    if (compressor === undefined) this.#outbox.addShared(frame, checkServerFrame);
    else this.#outbox.add(compressor.twinOf(frame));
  }

  /** Begins to close. */
  close(payload: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#sendClose(payload);
  }

  /** Ends it at once. */
  terminate(): void {
    if (this.#state === "closed") return;
    this.#state = "ending";
    this.#reader.end();
    this.#outbox.clear();
    this.#stream.destroy();
  }

  // What the client has sent.

  text(text: string): void {
    if (this.#state === "open") this.#tell({ type: "message", data: text });
  }

  binary(bytes: Uint8Array): void {
    if (this.#state === "open") this.#tell({ type: "message", data: bytes });
  }

  compressed(opcode: number, bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    const message = inflate(bytes, this.#maxMessageBytes);
    if (opcode === OPCODE.TEXT) this.text(decodeWebSocketText(message));
    else this.binary(message);
  }

  ping(payload: Uint8Array): void {
    if (this.#closeSent) return;
    const pong = encodeWebSocketFrame(OPCODE.PONG, payload);
    // A client that does not read its answers does not need all of them (RFC 6455, section 5.5.3).
    if (this.#outbox.blocked) this.#unanswered = pong;
    else this.#outbox.add(pong);
  }

  pong(): void {
    // That something has come is enough.
  }

  closed(payload: Uint8Array): void {
    const { code = NO_STATUS, reason } = decodeWebSocketClose(payload);
    this.#closeCode = code;
    this.#closeReason = reason;
    this.#wasClean = true;
    if (!this.#closeSent) this.#sendClose(payload);
    this.#end();
  }

  // What else happens.

  /** Takes what the stream has read. */
  received(chunk: Uint8Array): void {
    this.#heardAt = sharedHeartbeat.time;
    this.#pingedAt = undefined;
    if (this.#reader.ended) return;
    try {
      this.#reader.push(chunk, this);
    } catch (error) {
      if (error instanceof Violation) return this.#fail(error);
      // Such as a text that is longer than a string can be: of no concern to other clients.
      this.#tell({ type: "error", error });
    }
  }

  /** The stream has room again. */
  streamDrained(): void {
    this.#outbox.drained();
  }

  /** The client sends no more. */
  streamEnded(): void {
    if (this.#state !== "ending") this.terminate();
  }

  /** Nothing comes or goes any more. */
  streamClosed(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    sharedHeartbeat.delete(this);
    this.#reader.end();
    this.#outbox.clear();
    this.#unanswered = undefined;
    this.#tell({
      type: "close",
      code: this.#closeCode,
      reason: this.#closeReason,
      wasClean: this.#wasClean,
    });
  }

  beat(time: number): void {
    if (this.#deadline !== undefined) {
      if (time >= this.#deadline) this.terminate();
    } else if (this.#pingedAt !== undefined) {
      if (time - this.#pingedAt >= this.#pongTimeoutMs) this.terminate();
    } else if (time - this.#heardAt >= this.#pingIntervalMs) {
      this.#pingedAt = time;
      this.#outbox.add(PING);
    }
  }

  #begin(head: Uint8Array): void {
    if (this.#state === "open") this.#tell({ type: "open" });
    if (head.length > 0) this.received(head);
    this.#stream.on("data", onData);
  }

  #drained(): void {
    // A client that has taken what waited is alive, even if it had not been read since.
    this.#heardAt = sharedHeartbeat.time;
    this.#pingedAt = undefined;
    if (this.#unanswered !== undefined && !this.#closeSent) this.#outbox.add(this.#unanswered);
    this.#unanswered = undefined;
    if (this.#state === "open") this.#tell({ type: "drain" });
  }

  /** Closes because the client has broken the protocol or a limit. */
  #fail({ code, message }: Violation): void {
    if (this.#state === "closed") return;
    this.#closeCode = code;
    this.#closeReason = message;
    if (!this.#closeSent) this.#sendClose(encodeWebSocketClose(code, message));
    this.#end();
  }

  #sendClose(payload: Uint8Array): void {
    this.#closeSent = true;
    this.#outbox.add(encodeWebSocketFrame(OPCODE.CLOSE, payload));
    this.#deadline ??= sharedHeartbeat.time + CLOSE_TIMEOUT_MS;
  }

  #end(): void {
    this.#state = "ending";
    this.#outbox.end();
  }

  #send(frame: Uint8Array): void {
    this.#outbox.add(this.#compressorFor(frame)?.compress(frame) ?? frame);
  }

  /** What compresses this frame, if that is agreed on and worth it. */
  #compressorFor(frame: Uint8Array): Compressor | undefined {
    return this.#compressor !== undefined && payloadBytes(frame) >= this.#thresholdBytes
      ? this.#compressor
      : undefined;
  }
}

// The same for all streams, which saves some closures for each.

function onData(this: ConnectedStream, chunk: Uint8Array): void {
  this[CONNECTION]?.received(chunk);
}

function onDrain(this: ConnectedStream): void {
  this[CONNECTION]?.streamDrained();
}

function onEnd(this: ConnectedStream): void {
  this[CONNECTION]?.streamEnded();
}

function onClose(this: ConnectedStream): void {
  this[CONNECTION]?.streamClosed();
}
