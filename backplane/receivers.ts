import { FrameError } from "../codec/mod.ts";

/** Called with each message and the `nodeId` of the node that published it, if known. */
export type Receive = (message: Uint8Array, from?: string) => void;

/** The subscriptions on one backplane. */
export class Receivers {
  readonly #receivers = new Map<Disposable, Receive>();
  readonly #onError: (error: unknown) => void;

  /** Starts without subscriptions. `onError` gets what a receiver throws, except a `FrameError`. */
  constructor(onError: (error: unknown) => void = logError) {
    this.#onError = onError;
  }

  /** Adds a subscription, which lasts until it is disposed. */
  add(receive: Receive): Disposable {
    const subscription = { [Symbol.dispose]: () => void this.#receivers.delete(subscription) };
    this.#receivers.set(subscription, receive);
    return subscription;
  }

  /**
   * Hands a message from another node to every subscription. One that throws does not keep the
   * message from the others.
   *
   * @throws {FrameError} what the first subscription that cannot decode the message throws.
   */
  deliver(message: Uint8Array, from?: string): void {
    const error = this.#deliver(message, from);
    if (error !== undefined) throw error;
  }

  /**
   * Hands a message that was published on this node to every subscription except the publisher's.
   * It never throws: the publisher has done nothing wrong if another subscription cannot decode.
   */
  deliverLocally(message: Uint8Array, from?: string, publisher?: Disposable): void {
    const error = this.#deliver(message, from, publisher);
    if (error !== undefined) this.#onError(error);
  }

  #deliver(message: Uint8Array, from?: string, publisher?: Disposable): FrameError | undefined {
    let malformed: FrameError | undefined;
    // A receiver may subscribe or unsubscribe others; a Map's iterator copes with both.
    for (const [subscription, receive] of this.#receivers) {
      if (subscription === publisher) continue;
      try {
        receive(message, from);
      } catch (error) {
        if (error instanceof FrameError) malformed ??= error;
        else this.#onError(error);
      }
    }
    return malformed;
  }
}

function logError(error: unknown): void {
  console.error("roomcast: a subscription to a backplane failed:", error);
}
