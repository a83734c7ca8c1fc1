import type { Backplane, PublishReport, Receive } from "../backplane/mod.ts";
import { FrameError, SESSION_MAX_FRAME_BYTES } from "../codec/mod.ts";
import type { OnError } from "../backplane/errors.ts";

const NOBODY: PublishReport = { peers: 0, dropped: 0 };
const LOST: PublishReport = { peers: 0, dropped: 1 };

/**
 * Connects one `Rooms` to its backplane, if it has one. A backplane that throws harms nobody else.
 */
export class Outlet implements Disposable {
  readonly backplane: Backplane | undefined;
  readonly #onError: OnError;
  readonly #subscription: Disposable | undefined;

  /** Subscribes. `onError` gets what the backplane throws later. */
  constructor(backplane: Backplane | undefined, receive: Receive, onError: OnError) {
    this.backplane = backplane;
    this.#onError = onError;
    this.#subscription = backplane?.subscribe(receive);
  }

  /** Largest encoded message in bytes. */
  get maxMessageBytes(): number {
    return this.backplane?.maxMessageBytes ?? SESSION_MAX_FRAME_BYTES;
  }

  /** @throws {FrameError} `message-too-long` for a message that the backplane does not carry. */
  check(message: Uint8Array): void {
    const limit = this.maxMessageBytes;
    if (message.length <= limit) return;
    throw new FrameError(
      "message-too-long",
      limit,
      `broadcast has ${message.length} bytes, rooms and lengths included, ` +
        `and the backplane carries at most ${limit}`,
    );
  }

  /**
   * Publishes. Members here may have the message already, so an error is reported and not thrown.
   */
  publish(message: Uint8Array): PublishReport {
    if (this.backplane === undefined) return NOBODY;
    try {
      return this.backplane.publish(message, this.#subscription);
    } catch (error) {
      this.#onError(error);
      return LOST;
    }
  }

  /** A room has its first member. */
  opened(room: string): void {
    try {
      this.backplane?.openRoom?.(room);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** A room has lost its last member. */
  closed(room: string): void {
    try {
      this.backplane?.closeRoom?.(room);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Unsubscribes. */
  [Symbol.dispose](): void {
    this.#subscription?.[Symbol.dispose]();
  }
}
