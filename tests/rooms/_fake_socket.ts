import { decodeWebSocketText, OPCODE, readWebSocketHeader } from "../../codec/mod.ts";
import type { RoomSocket } from "../../rooms/mod.ts";

/** A socket that does what a test tells it, and remembers what it was told to do. */
export class FakeSocket implements RoomSocket {
  readyState = 1;
  bufferedAmount = 0;
  /** What `send` throws, if anything. */
  failure: Error | undefined;
  /** Runs at the end of each `send`. */
  onSend: (data: string | Uint8Array) => void = () => {};
  /** If false, `close` gets stuck in closing, as with a client that neither reads nor hangs up. */
  closes = true;
  /** Close codes that `close` refuses, as a socket does that its own process has opened. */
  refusesCode: (code: number) => boolean = () => false;
  readonly heard: (string | Uint8Array)[] = [];
  readonly closeCalls: { code: number | undefined; reason: string | undefined }[] = [];
  listenersAdded = 0;
  #listeners: { type: string; listener: () => void }[] = [];

  send(data: string | Uint8Array): void {
    if (this.failure) throw this.failure;
    this.heard.push(data);
    this.onSend(data);
  }

  close(code?: number, reason?: string): void {
    this.closeCalls.push({ code, reason });
    if (code !== undefined && this.refusesCode(code)) throw new Error("InvalidAccessError");
    this.readyState = 2;
    if (this.closes) this.emitClose();
  }

  addEventListener(type: "close" | "open", listener: () => void): void {
    this.listenersAdded++;
    this.#listeners.push({ type, listener });
  }

  /** The handshake is complete. */
  emitOpen(): void {
    this.readyState = 1;
    this.#emit("open");
  }

  /** The connection is gone: what the platform does when it notices. */
  emitClose(): void {
    this.readyState = 3;
    this.#emit("close");
    this.#listeners = [];
  }

  #emit(type: string): void {
    for (const one of this.#listeners.filter((one) => one.type === type)) one.listener();
  }
}

/** A fake socket that has not opened yet. */
export class ConnectingSocket extends FakeSocket {
  override readyState = 0;
}

/** A fake socket as `ws` has them. */
export class TerminableSocket extends FakeSocket {
  terminated = 0;

  terminate(): void {
    this.terminated++;
    this.emitClose();
  }
}

/** A fake socket that takes frames, and remembers what their clients would hear. */
export class FrameSocket extends FakeSocket {
  readonly frames: Uint8Array[] = [];

  sendFrame(frame: Uint8Array): void {
    if (this.failure) throw this.failure;
    const header = readWebSocketHeader(frame, 0);
    if (header === undefined || !header.fin || header.masked) throw new Error("no such frame");
    const payload = frame.slice(header.size);
    if (payload.length !== header.length) throw new Error("frame has another length");
    const message = header.opcode === OPCODE.TEXT ? decodeWebSocketText(payload) : payload;
    this.frames.push(frame);
    this.heard.push(message);
    this.onSend(message);
  }
}

/** A fake socket that is given frames in a larger memory. */
export class PooledFrameSocket extends FrameSocket {
  readonly pooledFrames: Uint8Array[] = [];

  sendPooledFrame(frame: Uint8Array): void {
    this.pooledFrames.push(frame);
    this.sendFrame(frame);
  }
}
