import { isUtf8 } from "node:buffer";
import { BroadcastView, encodeWebSocketText, OPCODE } from "../codec/mod.ts";
import type { FrameEncoder } from "./_frame_encoder.ts";

/** A message for members. Each of its forms is made when the first member needs it. */
export interface Payload {
  /** For `send` and for listeners: a string, or bytes in memory of their own. */
  readonly data: string | Uint8Array;
  /** A WebSocket frame. A short one may be part of a slab. */
  readonly frame: Uint8Array;
}

/** A message that this node broadcasts. */
export class OutgoingPayload implements Payload {
  readonly #message: string | Uint8Array;
  readonly #frames: FrameEncoder;
  readonly #encoded: Uint8Array | undefined;
  #copy: Uint8Array | undefined;
  #frame: Uint8Array | undefined;

  /** `encoded` is the whole broadcast as it goes to other nodes, if it does. */
  constructor(message: string | Uint8Array, frames: FrameEncoder, encoded?: Uint8Array) {
    this.#message = message;
    this.#frames = frames;
    this.#encoded = encoded;
  }

  get data(): string | Uint8Array {
    const message = this.#message;
    return typeof message === "string" ? message : this.#copy ??= new Uint8Array(message);
  }

  get frame(): Uint8Array {
    return this.#frame ??= this.#makeFrame();
  }

  #makeFrame(): Uint8Array {
    const message = this.#message;
    if (typeof message !== "string") return this.#frames.encode(OPCODE.BINARY, message);
    if (this.#encoded === undefined) return encodeWebSocketText(message);
    // Encoding a text costs more than copying what has been encoded.
    return this.#frames.encode(OPCODE.TEXT, new BroadcastView(this.#encoded).messageBytes());
  }
}

/** A message from another node. Its bytes are lent, so each form is a copy. */
export class IncomingPayload implements Payload {
  readonly #view: BroadcastView;
  readonly #frames: FrameEncoder;
  #data: string | Uint8Array | undefined;
  #frame: Uint8Array | undefined;

  /**
   * Checks the message. `needsData` says that `data` will be needed, which saves a second pass.
   *
   * @throws {FrameError} `invalid-utf8`.
   */
  constructor(view: BroadcastView, frames: FrameEncoder, needsData: boolean) {
    this.#view = view;
    this.#frames = frames;
    if (needsData) this.#data = view.message();
    else view.checkText(isUtf8);
  }

  get data(): string | Uint8Array {
    return this.#data ??= this.#view.message();
  }

  get frame(): Uint8Array {
    return this.#frame ??= this.#frames.encode(
      this.#view.isText ? OPCODE.TEXT : OPCODE.BINARY,
      this.#view.messageBytes(),
    );
  }
}
