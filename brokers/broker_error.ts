/** Why a backplane over a broker cannot do what it was asked, for programs. */
export type BrokerErrorCode =
  /** The broker does not let this node subscribe to a topic. `cause` has the broker's error. */
  | "subscribe-refused"
  /** The client has closed its connection for good. */
  | "closed"
  /** The backplane has been shut down. */
  | "shut-down";

/**
 * What `ready()` of a backplane over a broker rejects with.
 *
 * @example
 * ```ts
 * import { type BrokerBackplane, BrokerError } from "@roomcast/roomcast/redis";
 *
 * async function start(backplane: BrokerBackplane): Promise<void> {
 *   try {
 *     await backplane.ready();
 *   } catch (error) {
 *     if (!(error instanceof BrokerError) || error.code !== "subscribe-refused") throw error;
 *     console.warn(`No permission for ${error.topic}. The backplane goes on asking.`);
 *   }
 * }
 * ```
 */
export class BrokerError extends Error {
  /** Why, for programs. */
  readonly code: BrokerErrorCode;
  /** The topic that was refused, with `subscribe-refused`. */
  readonly topic: string | undefined;

  /** Makes an error from its code and a sentence for people. */
  constructor(
    code: BrokerErrorCode,
    message: string,
    { topic, cause }: { topic?: string; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.name = "BrokerError";
    this.code = code;
    this.topic = topic;
  }
}
