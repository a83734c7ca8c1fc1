import { FrameError } from "../codec/mod.ts";

/** Those that have subscribed to a backplane. */
export class Receivers {
  readonly #receivers: ((message: Uint8Array) => void)[] = [];

  /** One more. */
  add(receive: (message: Uint8Array) => void): void {
    this.#receivers.push(receive);
  }

  /**
   * Hands a message to each.
   *
   * @throws {FrameError} if they cannot decode it.
   */
  deliver(message: Uint8Array): void {
    for (const receive of this.#receivers) {
      try {
        receive(message);
      } catch (error) {
        if (error instanceof FrameError) throw error;
        // A fault of the application must not end the client's own reading.
        reportError(error);
      }
    }
  }
}
