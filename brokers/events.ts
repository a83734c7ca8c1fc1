import type {
  MalformedEvent,
  MissedEvent,
  OverflowEvent,
  RefusedEvent,
} from "../backplane/events.ts";

/** The broker is within reach in both directions, and the subscriptions are in force. */
export class UpEvent extends Event {
  /** Messages that were dropped since the broker was last within reach. */
  readonly dropped: number;

  /** Makes an `up` event. */
  constructor(dropped: number) {
    super("up");
    this.dropped = dropped;
  }
}

/**
 * The broker is out of reach, or has ended the subscription to the cluster's topic. Redis has two
 * connections. Each of them that breaks has its own event, even if it breaks again before `up`.
 */
export class DownEvent extends Event {
  /** False: messages that are published are dropped until `up`. */
  readonly sends: boolean;
  /** False: messages of other nodes are missed until `up`. */
  readonly hears: boolean;
  /**
   * Messages that the broker was handed and had not confirmed. Each of them may have arrived or be
   * lost.
   */
  readonly unconfirmed: number;

  /** Makes a `down` event. */
  constructor(
    { sends, hears, unconfirmed }: { sends: boolean; hears: boolean; unconfirmed: number },
  ) {
    super("down");
    this.sends = sends;
    this.hears = hears;
    this.unconfirmed = unconfirmed;
  }
}

/** What a broker has refused; the `code` of a `refused` event. */
export type BrokerRefusedCode =
  /**
   * To subscribe to a topic, usually because a permission is missing. The backplane asks again with
   * backoff (up to 30 s between two attempts) and on every new connection. A topic is reported
   * once, until it has been granted.
   */
  | "subscribe-refused"
  /** To carry a message. It is lost and counted as dropped. */
  | "publish-refused";

/** The events of a backplane over a broker, by type. */
export interface BrokerEventMap {
  /** The broker is within reach. */
  up: UpEvent;
  /** The broker is out of reach. */
  down: DownEvent;
  /** A payload from the broker could not be decoded, and was dropped. */
  malformed: MalformedEvent;
  /** A message did not fit, because too much is unconfirmed (`maxQueuedBytes`). */
  overflow: OverflowEvent;
  /**
   * Messages of other nodes may not have reached this node. The event follows `up` if this node
   * could not receive for a while. With `interest: "room"` it is also dispatched when a refused
   * subscription has come into force. Nobody knows how many messages there were, nor from which
   * nodes.
   */
  missed: MissedEvent<undefined>;
  /** The broker refused a subscription or a message. The topic is the event's `address`. */
  refused: RefusedEvent<BrokerRefusedCode>;
}
