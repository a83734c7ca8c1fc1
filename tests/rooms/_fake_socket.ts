import type { RoomSocket } from "../../mod.ts";

/** A socket that does what a test tells it, and remembers what it was told to do. */
export class FakeSocket implements RoomSocket {
  readyState = 1;
  bufferedAmount = 0;
  /** What `send` throws, if anything. */
  failure: Error | undefined;
  /** Runs at the end of each `send`. */
  onSend: (data: string) => void = () => {};
  /** If false, `close` gets stuck in closing, as with a client that neither reads nor hangs up. */
  closes = true;
  readonly heard: string[] = [];
  readonly closeCalls: { code: number | undefined; reason: string | undefined }[] = [];
  listenersAdded = 0;
  #listeners: (() => void)[] = [];

  send(data: string): void {
    if (this.failure) throw this.failure;
    this.heard.push(data);
    this.onSend(data);
  }

  close(code?: number, reason?: string): void {
    this.closeCalls.push({ code, reason });
    this.readyState = 2;
    if (this.closes) this.emitClose();
  }

  addEventListener(_type: "close", listener: () => void): void {
    this.listenersAdded++;
    this.#listeners.push(listener);
  }

  /** The connection is gone: what the platform does when it notices. */
  emitClose(): void {
    this.readyState = 3;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}

/** A fake socket as `ws` has them. */
export class TerminableSocket extends FakeSocket {
  terminated = 0;

  terminate(): void {
    this.terminated++;
    this.emitClose();
  }
}
