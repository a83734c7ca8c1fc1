import type { RoomSocket, ServerWebSocket } from "../../mod.ts";
import { SLOW_CODE } from "./_account.ts";

/**
 * A client's connection as a member of rooms. Whoever closes it, a drain or a disconnect, the client is
 * told what it should have heard by then: the reason is its tally. Only a slow client keeps the reason
 * that it was given, because it has missed something.
 */
export class Visitor implements RoomSocket {
  readonly #socket: ServerWebSocket;
  readonly #tally: () => string;
  /** It was closed because it was slow. */
  isSlow = false;

  /** `tally` writes down what the client should have heard by now. */
  constructor(socket: ServerWebSocket, tally: () => string) {
    this.#socket = socket;
    this.#tally = tally;
  }

  /** As the socket's. */
  get readyState(): number {
    return this.#socket.readyState;
  }

  /** As the socket's. */
  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  /** As the socket's. */
  send(data: string | Uint8Array): void {
    this.#socket.send(data);
  }

  /** As the socket's. */
  sendFrame(frame: Uint8Array): void {
    this.#socket.sendFrame(frame);
  }

  /** Closes with the tally as the reason. */
  close(code?: number, reason?: string): void {
    this.isSlow ||= code === SLOW_CODE;
    this.#socket.close(code, this.isSlow ? reason : this.#tally());
  }

  /** As the socket's. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** As the socket's. */
  addEventListener(
    type: "close" | "open",
    listener: () => void,
    options?: { once?: boolean },
  ): void {
    this.#socket.addEventListener(type, listener, options);
  }
}
