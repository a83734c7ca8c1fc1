/** Why a backplane over a broker cannot do what it was asked, for programs. */
export type BrokerErrorCode =
  /** The broker does not let this node subscribe to a topic. `cause` has the broker's error. */
  | "subscribe-refused"
  /** The client has closed its connection for good. */
  | "closed"
  /** The backplane has been shut down. */
  | "shut-down";

/** What `ready()` of a backplane over a broker rejects with. */
export class BrokerError extends Error {
  override readonly name = "BrokerError";
  /** Why, for programs. */
  readonly code: BrokerErrorCode;
  /** The topic that was refused, with `subscribe-refused`. */
  readonly topic: string | undefined;

  /** Makes an error. */
  constructor(
    code: BrokerErrorCode,
    message: string,
    { topic, cause }: { topic?: string; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.code = code;
    this.topic = topic;
  }
}
