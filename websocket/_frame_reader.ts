/**
 * Reads the frames of a client from a stream in chunks of any size, and puts fragments together.
 *
 * It is in one of these states:
 *
 * | state | what comes next |
 * | --- | --- |
 * | `header` | the header of a frame |
 * | `message` | payload of a data frame, `#remaining` bytes |
 * | `control` | payload of a close, ping or pong frame, `#remaining` bytes |
 * | `ended` | nothing that matters: a close frame has come, or the protocol was broken |
 *
 * A message in one frame and one chunk is a view of the chunk. Everything else is copied into memory
 * that grows as bytes arrive, so that a client gets no more memory than twice what it has sent, and no
 * chunk is kept for the few bytes of it that matter.
 */

import {
  applyMask,
  decodeWebSocketText,
  FrameError,
  MAX_CONTROL_BYTES,
  MAX_WEBSOCKET_HEADER_BYTES,
  OPCODE,
  readWebSocketHeader,
  Utf8Validator,
  type WebSocketHeader,
} from "../codec/mod.ts";
import { INVALID_DATA, PROTOCOL_ERROR, TOO_BIG, Violation } from "./_violation.ts";

/** Receives what the client has sent. Bytes are valid only during the call. */
export interface FrameSink {
  text(text: string): void;
  binary(bytes: Uint8Array): void;
  /** A whole message, deflated. */
  compressed(opcode: number, bytes: Uint8Array): void;
  ping(payload: Uint8Array): void;
  pong(): void;
  /** The last call. */
  closed(payload: Uint8Array): void;
}

export interface FrameReaderOptions {
  readonly maxMessageBytes: number;
  /** 0: no permessage-deflate was agreed on. */
  readonly kind: number;
}

type State = "header" | "message" | "control" | "ended";

const RSV1 = 4;
const NOTHING = new Uint8Array();

/** Frames between two calls of `isOver`. */
const FRAMES_BETWEEN_LOOKS = 16;

/** The least that is allocated for a message in pieces. */
const FIRST_HELD_BYTES = 256;

export class FrameReader {
  readonly #maxMessageBytes: number;
  readonly #compression: boolean;
  #state: State = "header";
  /** A header that the last chunk cut in two. */
  #cutHeader: Uint8Array | undefined;
  /** Of the current frame: what it is, whether it is the last, its key and how much is missing. */
  #opcode = 0;
  #fin = true;
  #key = 0;
  #length = 0;
  #remaining = 0;
  /** Of the current message: its opcode, or 0 if there is none. */
  #messageOpcode = 0;
  #isCompressed = false;
  #held: Uint8Array = NOTHING;
  #heldSize = 0;
  /** Checks texts in pieces. After a complete text it can check the next one. */
  #utf8: Utf8Validator | undefined;
  /** A control frame that spans chunks. */
  #control: Uint8Array | undefined;

  constructor({ maxMessageBytes, kind }: FrameReaderOptions) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#compression = kind !== 0;
  }

  /** True if nothing that comes matters any more. */
  get ended(): boolean {
    return this.#state === "ended";
  }

  /** Bytes of memory for what has arrived in part. */
  get heldBytes(): number {
    return this.#held.length + (this.#control?.length ?? 0);
  }

  /** Stops reading, also in the middle of a `push`. */
  end(): void {
    this.#state = "ended";
    this.#cutHeader = this.#control = this.#utf8 = undefined;
    this.#forgetMessage();
  }

  /**
   * Takes the next chunk, which is unmasked in place, and calls `sink` for what it completes.
   * Returns how many bytes it has taken: all of them, unless `isOver` has returned true after a
   * frame.
   *
   * @throws {Violation} if the client may not send this. Then the reader has ended.
   */
  push(chunk: Uint8Array, sink: FrameSink, isOver?: () => boolean): number {
    let at = 0;
    let frames = 0;
    try {
      while (at < chunk.length && this.#state !== "ended") {
        if (this.#state === "header") at = this.#takeHeader(chunk, at, sink);
        else at = this.#takePayload(chunk, at, sink);
        // A compressed message may take long, however short it is.
        if (isOver === undefined || !this.#compression && ++frames % FRAMES_BETWEEN_LOOKS !== 0) {
          continue;
        }
        if (isOver()) return at;
      }
      return chunk.length;
    } catch (error) {
      this.end();
      throw error instanceof FrameError ? new Violation(closeCodeOf(error), error.message) : error;
    }
  }

  #takeHeader(chunk: Uint8Array, at: number, sink: FrameSink): number {
    const cut = this.#cutHeader;
    if (cut === undefined) {
      const header = readWebSocketHeader(chunk, at);
      if (header === undefined) return this.#cut(chunk.slice(at), chunk);
      this.#begin(header);
      return this.#takePayload(chunk, at + header.size, sink);
    }
    const joined = new Uint8Array(
      Math.min(MAX_WEBSOCKET_HEADER_BYTES, cut.length + chunk.length - at),
    );
    joined.set(cut);
    joined.set(chunk.subarray(at, at + joined.length - cut.length), cut.length);
    const header = readWebSocketHeader(joined, 0);
    if (header === undefined) return this.#cut(joined, chunk);
    this.#cutHeader = undefined;
    this.#begin(header);
    return this.#takePayload(chunk, at + header.size - cut.length, sink);
  }

  /** Keeps the beginning of a header. */
  #cut(bytes: Uint8Array, chunk: Uint8Array): number {
    this.#cutHeader = bytes;
    return chunk.length;
  }

  /** Judges a frame by its header. */
  #begin(header: WebSocketHeader): void {
    const { opcode, fin, length, key, rsv } = header;
    checkFrame(header, this.#messageOpcode, this.#compression);
    this.#opcode = opcode;
    this.#fin = fin;
    this.#key = key;
    this.#length = this.#remaining = length;
    if (isControl(opcode)) {
      this.#state = "control";
      return;
    }
    if (opcode !== OPCODE.CONTINUATION) {
      this.#messageOpcode = opcode;
      this.#isCompressed = rsv === RSV1;
    }
    const size = this.#heldSize + length;
    if (size > this.#maxMessageBytes) {
      throw new Violation(
        TOO_BIG,
        `message has ${fin ? "" : "at least "}${size} bytes, at most ${this.#maxMessageBytes} ` +
          "are accepted",
      );
    }
    this.#state = "message";
  }

  #takePayload(chunk: Uint8Array, at: number, sink: FrameSink): number {
    const end = at + Math.min(this.#remaining, chunk.length - at);
    if (end === at && this.#remaining > 0) return at;
    const isWhole = end - at === this.#length;
    if (this.#state === "control") {
      const payload = this.#takeControl(chunk, at, end, isWhole);
      if (payload !== undefined) this.#finishControl(payload, sink);
    } else if (isWhole && this.#fin && this.#opcode !== OPCODE.CONTINUATION) {
      this.#remaining = 0;
      applyMask(chunk, at, end, this.#key);
      this.#finishMessage(chunk.subarray(at, end), sink);
    } else {
      this.#hold(chunk, at, end);
      if (this.#remaining === 0) {
        this.#state = "header";
        if (this.#fin) this.#finishHeld(sink);
      }
    }
    return end;
  }

  /** Returns the payload of a control frame once all of it is there. */
  #takeControl(
    chunk: Uint8Array,
    at: number,
    end: number,
    isWhole: boolean,
  ): Uint8Array | undefined {
    if (isWhole) {
      applyMask(chunk, at, end, this.#key);
      return chunk.subarray(at, end);
    }
    const payload = this.#control ??= new Uint8Array(this.#length);
    payload.set(chunk.subarray(at, end), this.#length - this.#remaining);
    this.#remaining -= end - at;
    if (this.#remaining > 0) return undefined;
    this.#control = undefined;
    applyMask(payload, 0, payload.length, this.#key);
    return payload;
  }

  #finishControl(payload: Uint8Array, sink: FrameSink): void {
    this.#state = "header";
    if (this.#opcode === OPCODE.PING) {
      sink.ping(payload);
    } else if (this.#opcode === OPCODE.PONG) {
      sink.pong();
    } else {
      this.end();
      sink.closed(payload);
    }
  }

  /** Adds a part to the message, and checks it if it is text. */
  #hold(chunk: Uint8Array, at: number, end: number): void {
    const from = this.#heldSize;
    const to = from + end - at;
    if (to > this.#held.length) {
      const size = Math.max(FIRST_HELD_BYTES, 2 * to);
      const larger = new Uint8Array(Math.min(size, this.#maxMessageBytes));
      larger.set(this.#held.subarray(0, from));
      this.#held = larger;
    }
    this.#held.set(chunk.subarray(at, end), from);
    this.#heldSize = to;
    applyMask(this.#held, from, to, this.#key, this.#length - this.#remaining);
    this.#remaining -= end - at;
    if (this.#messageOpcode !== OPCODE.TEXT || this.#isCompressed) return;
    this.#utf8 ??= new Utf8Validator();
    if (!this.#utf8.push(this.#held, from, to)) throw invalidText();
  }

  #finishHeld(sink: FrameSink): void {
    const message = this.#held.subarray(0, this.#heldSize);
    this.#forgetMessage(this.#messageOpcode);
    this.#finishMessage(message, sink);
  }

  #finishMessage(message: Uint8Array, sink: FrameSink): void {
    const opcode = this.#messageOpcode;
    this.#messageOpcode = 0;
    this.#state = "header";
    if (this.#isCompressed) sink.compressed(opcode, message);
    else if (opcode === OPCODE.TEXT) sink.text(decodeWebSocketText(message));
    else sink.binary(message);
  }

  #forgetMessage(opcode = 0): void {
    this.#messageOpcode = opcode;
    this.#held = NOTHING;
    this.#heldSize = 0;
  }
}

function isControl(opcode: number): boolean {
  return opcode >= OPCODE.CLOSE;
}

function checkFrame(header: WebSocketHeader, messageOpcode: number, compression: boolean): void {
  const { fin, opcode, rsv, masked, length } = header;
  const isContinuation = opcode === OPCODE.CONTINUATION;
  const isData = opcode === OPCODE.TEXT || opcode === OPCODE.BINARY;
  if (rsv !== 0 && !(rsv === RSV1 && isData && compression)) {
    throw broken(`reserved bits ${rsv.toString(2).padStart(3, "0")} are set in a frame`);
  }
  if (!isContinuation && !isData && (opcode < OPCODE.CLOSE || opcode > OPCODE.PONG)) {
    throw broken(`opcode ${opcode} is reserved`);
  }
  if (!masked) throw broken("frame is not masked");
  if (isControl(opcode)) {
    if (!fin) throw broken("control frame is fragmented");
    if (length > MAX_CONTROL_BYTES) {
      throw broken(`control frame has ${length} bytes, at most ${MAX_CONTROL_BYTES} are allowed`);
    }
  } else if (isContinuation && messageOpcode === 0) {
    throw broken("continuation frame without a message to continue");
  } else if (isData && messageOpcode !== 0) {
    throw broken("new message before the last fragment of another");
  }
}

function broken(message: string): Violation {
  return new Violation(PROTOCOL_ERROR, message);
}

function invalidText(): Violation {
  return new Violation(INVALID_DATA, "text is not valid UTF-8");
}

/** The close code for a fault that the codec has found. */
function closeCodeOf({ code }: FrameError): number {
  return code === "invalid-utf8" ? INVALID_DATA : PROTOCOL_ERROR;
}
