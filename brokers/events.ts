import type {
  MalformedEvent,
  MissedEvent,
  OverflowEvent,
  RefusedEvent,
} from "../backplane/events.ts";

/** The broker is within reach, in both directions, and the subscriptions are in force. */
export class UpEvent extends Event {
  /** Messages dropped since it was last so. */
  readonly dropped: number;

  /** Makes an `up` event. */
  constructor(dropped: number) {
    super("up");
    this.dropped = dropped;
  }
}

/**
 * The broker is out of reach. With two connections to a broker (Redis) there is an event for each,
 * and another if one breaks again before `up`.
 */
export class DownEvent extends Event {
  /** False: messages that are published are dropped until `up`. */
  readonly sends: boolean;
  /** False: messages of other nodes are missed until `up`. */
  readonly hears: boolean;
  /**
   * Messages that the broker had been handed and had not confirmed. Each may have arrived or be
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

/** The events of a backplane over a broker, by type. */
export interface BrokerEventMap {
  /** The broker is within reach. */
  up: UpEvent;
  /** The broker is out of reach. */
  down: DownEvent;
  /** What came from the broker could not be decoded, and was dropped. */
  malformed: MalformedEvent;
  /** A message did not fit what the broker has not confirmed yet (`maxQueuedBytes`). */
  overflow: OverflowEvent;
  /** Messages of other nodes may not have reached this node. */
  missed: MissedEvent;
  /**
   * The broker refused to publish on a topic or to subscribe to it, for want of permission for
   * instance. The topic is the event's `address`. A message is lost then, and counted as dropped.
   */
  refused: RefusedEvent;
}
