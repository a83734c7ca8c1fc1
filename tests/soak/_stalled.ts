import WebSocket from "ws";
import { SLOW_CODE } from "./_account.ts";

/** A client that connects and reads nothing until it wakes. */
export class StalledClient {
  /** The code that it was closed with. */
  readonly ended: Promise<number>;
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => socket.once("close", resolve));
  }

  /** Connects. Rejects if it is refused. */
  static connect(url: string): Promise<StalledClient> {
    const { promise, resolve, reject } = Promise.withResolvers<StalledClient>();
    const socket = new WebSocket(url, { perMessageDeflate: false });
    // Its connection may be cut; later, `close` tells of it.
    socket.on("error", reject);
    socket.once("open", () => {
      socket.pause();
      resolve(new StalledClient(socket));
    });
    return promise;
  }

  /** Reads what there is. True if it was told that it was slow, false if it was cut off. */
  async wake(): Promise<boolean> {
    this.#socket.resume();
    return await this.ended === SLOW_CODE;
  }
}
