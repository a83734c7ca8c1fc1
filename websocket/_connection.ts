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

import { Buffer } from "node:buffer";
import {
  decodeWebSocketClose,
  decodeWebSocketText,
  encodeWebSocketClose,
  encodeWebSocketFrame,
  encodeWebSocketText,
  OPCODE,
} from "../codec/mod.ts";
import { closeFrame } from "./_close_frame.ts";
import { type Compressor, inflate } from "./_compressor.ts";
import { sharedEndings } from "./_endings.ts";
import { FrameReader, type FrameSink } from "./_frame_reader.ts";
import { type Beating, sharedHeartbeat } from "./_heartbeat.ts";
import type { Limits } from "./_limits.ts";
import { Outbox, type OutboxOwner } from "./_outbox.ts";
import { type Reader, sharedReading } from "./_reading.ts";
import { checkServerFrame, payloadBytes } from "./_server_frame.ts";
import { handleStream, readStream, type StreamHandler } from "./_stream_events.ts";
import { Violation } from "./_violation.ts";
import type { ServerWebSocket } from "./server_websocket.ts";
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
  readonly limits: Limits;
  readonly socket: ServerWebSocket;
  /**
   * Tells the socket; must not throw. All connections share it, because there are thousands of
   * them.
   */
  readonly tell: (socket: ServerWebSocket, happening: Happening) => void;
}

/** How long closing may take before the stream is destroyed. */
export const CLOSE_TIMEOUT_MS = 4_000;

/** A client that sends longer chunks than this sends much. */
const SHORT_CHUNK_BYTES = 4096;

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

const NO_STATUS = 1005;
/** What is reported unless there was a close frame, or a reason not to wait for one. */
const ABNORMAL = { code: 1006, reason: "", wasClean: false };

const NOTHING = new Uint8Array();
/** One ping for all sockets, which can share it like any frame. */
const PING = encodeWebSocketFrame(OPCODE.PING, NOTHING);

export class Connection implements FrameSink, StreamHandler, OutboxOwner, Reader, Beating {
  readonly #stream: UpgradeStream;
  readonly #limits: Limits;
  readonly #socket: ServerWebSocket;
  readonly #tellSocket: ConnectionOptions["tell"];
  readonly #outbox: Outbox;
  /** Made when the first bytes arrive, because many clients only listen. */
  #reader: FrameReader | undefined;
  #state: ConnectionState = "open";
  /** Kept beside the state because it is read for each message and socket. */
  #readyState = OPEN;
  #closeSent = false;
  /** True if its stream has been destroyed, or will be in a later turn. */
  #isCutOff = false;
  #end = ABNORMAL;
  /** What was read, and has to wait for a later turn. */
  #unread: Uint8Array | undefined;
  #waitsToRead = false;
  /** True if nothing more comes after what waits to be read. */
  #isLastUnread = false;
  /** The answer to the newest ping, if it waits to be sent. */
  #unanswered: Uint8Array | undefined;
  /** Whether something has arrived since the last beat, and when a beat last noticed that. */
  #isHeard = false;
  #heardAt = sharedHeartbeat.time;
  /** When it was sent a ping, if nothing has arrived since. */
  #pingedAt: number | undefined;
  /** When the stream is destroyed. */
  #deadline: number | undefined;
  slot = 0;

  constructor(stream: UpgradeStream, { limits, socket, tell }: ConnectionOptions) {
    this.#stream = stream;
    this.#limits = limits;
    this.#socket = socket;
    this.#tellSocket = tell;
    this.#outbox = new Outbox(stream, limits, this);
  }

  /** 1 open, 2 closing, 3 closed. */
  get readyState(): number {
    return this.#readyState;
  }

  /** Bytes that have been sent and not taken by the system. */
  get bufferedBytes(): number {
    return this.#outbox.bufferedBytes;
  }

  get shortestMs(): number {
    return Math.min(this.#limits.pingIntervalMs, this.#limits.pongTimeoutMs, CLOSE_TIMEOUT_MS);
  }

  /** Takes the stream over. It is not read until a microtask later, when the socket has its handlers. */
  start(head: Uint8Array): void {
    handleStream(this.#stream, this);
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
   * @throws {TypeError} and {RangeError}, see {@linkcode checkServerFrame}.
   */
  sendShared(frame: Uint8Array): void {
    if (this.#state !== "open") return;
    const { compressor, thresholdBytes } = this.#limits;
    // It is checked when it is first seen, not for each of the sockets that share it.
    if (compressor === undefined) return this.#outbox.addShared(frame, checkServerFrame);
    this.#outbox.add(compressor.twinOf(frame, thresholdBytes));
  }

  /** Begins to close. */
  close(payload: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#become("closing");
    this.#sendClose(payload);
  }

  /** Ends it at once. */
  terminate(): void {
    if (this.#state === "closed") return;
    this.#cutOff();
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
    const message = inflate(bytes, this.#limits.maxMessageBytes);
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
    // It is enough that something has arrived.
  }

  closed(payload: Uint8Array): void {
    const { code = NO_STATUS, reason } = decodeWebSocketClose(payload);
    this.#end = { code, reason, wasClean: true };
    if (!this.#closeSent) this.#sendClose(payload);
    this.#endSending();
  }

  // What else happens.

  /** Takes what the stream has read. */
  received(chunk: Uint8Array): void {
    this.#isHeard = true;
    if (this.#state === "ending" || this.#state === "closed") return;
    if (this.#unread !== undefined || sharedReading.isOver) return this.#keep(chunk, false);
    if (chunk.length > SHORT_CHUNK_BYTES && sharedReading.isBehind) return this.#keep(chunk, true);
    this.#read(chunk, sharedReading.begin());
  }

  /** Goes on with what was kept, in a later turn. */
  readOn(isOver: () => boolean): void {
    this.#waitsToRead = false;
    const chunk = this.#unread;
    if (chunk === undefined || this.#state === "ending" || this.#state === "closed") return;
    // Answers pile up. Reading continues when the system has taken them.
    if (this.#outbox.paused) return;
    this.#unread = undefined;
    this.#read(chunk, isOver);
    if (this.#unread !== undefined) return;
    this.#outbox.releaseReading();
    if (this.#isLastUnread) this.streamEnded();
  }

  #read(chunk: Uint8Array, isOver: () => boolean): void {
    try {
      this.#reader ??= new FrameReader(this.#limits);
      const isEnough = () => this.#outbox.paused || isOver();
      const taken = this.#reader.push(chunk, this, isEnough);
      if (taken < chunk.length) this.#keep(chunk.subarray(taken), true);
    } catch (error) {
      if (error instanceof Violation) return this.#fail(error);
      // For example, a text is longer than a string can be. That does not concern other clients.
      this.#tell({ type: "error", error });
    }
  }

  /** Keeps what cannot be read in this turn. At most one more chunk comes from the stream. */
  #keep(chunk: Uint8Array, isGreedy: boolean): void {
    if (this.#unread === undefined) {
      this.#unread = chunk;
      this.#outbox.holdReading();
    } else {
      this.#unread = Buffer.concat([this.#unread, chunk]);
    }
    this.#waitToRead(isGreedy);
  }

  #waitToRead(isGreedy: boolean): void {
    if (!this.#waitsToRead) sharedReading.wait(this, isGreedy);
    this.#waitsToRead = true;
  }

  /** The stream has room again. */
  streamDrained(): void {
    this.#outbox.streamDrained();
  }

  /** The system has taken everything that waited. */
  drained(): void {
    // A client that has taken what waited is alive, even if nothing has been read from it since.
    this.#isHeard = true;
    if (this.#unanswered !== undefined && !this.#closeSent) this.#outbox.add(this.#unanswered);
    this.#unanswered = undefined;
    if (this.#unread !== undefined) this.#waitToRead(true);
    if (this.#state === "open") this.#tell({ type: "drain" });
  }

  /**
   * The client sends no more. Bytes that wait are read first: Deno reports the end of a stream even
   * while it is paused.
   */
  streamEnded(): void {
    if (this.#state === "ending" || this.#state === "closed") return;
    if (this.#unread === undefined) this.#giveUp();
    else this.#isLastUnread = true;
  }

  /** Nothing comes or goes any more. */
  streamClosed(): void {
    if (this.#state === "closed") return;
    this.#become("closed");
    sharedHeartbeat.delete(this);
    this.#reader = this.#unread = this.#unanswered = undefined;
    this.#outbox.clear();
    this.#tell({ type: "close", ...this.#end });
  }

  beat(time: number): void {
    if (this.#isCutOff) return;
    if (this.#deadline !== undefined) {
      if (time >= this.#deadline) this.#giveUp();
    } else if (this.#isHeard) {
      this.#isHeard = false;
      this.#heardAt = time;
      this.#pingedAt = undefined;
    } else if (this.#pingedAt !== undefined) {
      if (time - this.#pingedAt >= this.#limits.pongTimeoutMs) this.#giveUp();
    } else if (time - this.#heardAt >= this.#limits.pingIntervalMs) {
      this.#pingedAt = time;
      this.#outbox.add(PING);
    }
  }

  /** Ends it in a turn of the event loop that has time for it, because many may be due at once. */
  #giveUp(): void {
    if (this.#isCutOff) return;
    this.#cutOff();
    sharedEndings.add(this.#stream);
  }

  /** Ends everything except the stream. */
  #cutOff(): void {
    this.#isCutOff = true;
    this.#become("ending");
    this.#reader?.end();
    this.#outbox.clear();
  }

  #begin(head: Uint8Array): void {
    if (this.#state === "open") this.#tell({ type: "open" });
    if (head.length > 0) this.received(head);
    readStream(this.#stream);
  }

  /** Closes because the client has broken the protocol or a limit. */
  #fail({ code, message }: Violation): void {
    if (this.#state === "closed") return;
    this.#end = { code, reason: message, wasClean: false };
    if (!this.#closeSent) this.#sendClose(encodeWebSocketClose(code, message));
    this.#endSending();
  }

  #sendClose(payload: Uint8Array): void {
    this.#closeSent = true;
    this.#outbox.add(closeFrame(payload));
    this.#deadline ??= sharedHeartbeat.time + CLOSE_TIMEOUT_MS;
  }

  #endSending(): void {
    this.#become("ending");
    this.#outbox.end();
  }

  #become(state: ConnectionState): void {
    this.#state = state;
    this.#readyState = state === "closed" ? CLOSED : CLOSING;
  }

  #tell(happening: Happening): void {
    this.#tellSocket(this.#socket, happening);
  }

  #send(frame: Uint8Array): void {
    this.#outbox.add(this.#compressorFor(frame)?.compress(frame) ?? frame);
  }

  /** The compressor for this frame, if compression was agreed on and is worth it. */
  #compressorFor(frame: Uint8Array): Compressor | undefined {
    const { compressor, thresholdBytes } = this.#limits;
    return compressor !== undefined && payloadBytes(frame) >= thresholdBytes
      ? compressor
      : undefined;
  }
}
