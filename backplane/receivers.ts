import { FrameError } from "../codec/mod.ts";
import { checkFunction } from "./checks.ts";

/** Called with each message and the `nodeId` of the node that published it, if known. */
export type Receive = (message: Uint8Array, from?: string) => void;

interface Subscription extends Disposable {
  readonly receive: Receive;
  ended: boolean;
}

/** The subscriptions on one backplane. */
export class Receivers {
  /** Replaced, never modified: receivers may subscribe and unsubscribe during a delivery. */
  #subscriptions: readonly Subscription[] = [];
  readonly #onError: (error: unknown) => void;

  /** Starts without subscriptions. `onError` gets what a receiver throws, except a `FrameError`. */
  constructor(onError: (error: unknown) => void = logError) {
    this.#onError = onError;
  }

  /**
   * Adds a subscription, which lasts until it is disposed.
   *
   * @throws {TypeError} if `receive` is not a function.
   */
  add(receive: Receive): Disposable {
    checkFunction("receive", receive);
    const subscription = {
      receive,
      ended: false,
      [Symbol.dispose]: () => {
        subscription.ended = true;
        this.#subscriptions = this.#subscriptions.filter((each) => each !== subscription);
      },
    };
    this.#subscriptions = [...this.#subscriptions, subscription];
    return subscription;
  }

  /**
   * Hands a message from another node to every subscription. If one of them throws, the others
   * still get the message.
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
    for (const subscription of this.#subscriptions) {
      if (subscription === publisher || subscription.ended) continue;
      try {
        subscription.receive(message, from);
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
