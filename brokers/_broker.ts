/**
 * What a broker has been handed and has not confirmed. After the connection breaks, a new object
 * takes its place. Late confirmations only change the old object, which nobody uses any more.
 */
export interface Outstanding {
  messages: number;
  bytes: number;
  /** False once the connection has broken and a `down` event has reported the messages. */
  current: boolean;
}

/** In which directions a broker is within reach. */
export interface Reach {
  /** Messages can be handed over. */
  readonly sends: boolean;
  /**
   * There is a connection, and the broker has granted or refused every wanted subscription on it.
   */
  readonly hears: boolean;
}

/** What {@linkcode BrokerNode} needs. Only `publish`, `ready` and `sends` may throw. */
export interface Broker {
  /** Largest payload that it carries, in bytes. */
  readonly maxPayloadBytes: number;
  /** The state now. Changes are reported to {@linkcode BrokerListener.onReach}. */
  readonly reach: Reach;
  /**
   * Hands over a payload that the caller has added to `outstanding`, and subtracts it there once
   * the broker has confirmed it. Returns false if the broker is out of reach; this may be known
   * before `onReach` has reported it.
   */
  publish(topic: string, payload: Uint8Array, outstanding: Outstanding): boolean;
  /**
   * Subscribes to a topic, now and on every new connection. If the broker has refused the topic,
   * this asks again.
   */
  subscribe(topic: string): void;
  /** Unsubscribes from a topic. */
  unsubscribe(topic: string): void;
  /**
   * Resolves when every subscription that is wanted now is in force or has been refused. Rejects
   * with a `BrokerError` if the client has been closed for good.
   */
  ready(): Promise<void>;
  /**
   * Resolves when messages can be handed over. Rejects with a `BrokerError` if the client has been
   * closed for good.
   */
  sends(): Promise<void>;
  /**
   * Ends all subscriptions and removes all listeners from the client. Resolves when the broker has
   * confirmed it, or when `limit` has resolved.
   */
  close(limit: Promise<void>): Promise<void>;
}

/** What a broker reports. */
export interface BrokerListener {
  onPayload(payload: Uint8Array): void;
  onReach(reach: Reach): void;
  /** Something has been subtracted from an `Outstanding`. */
  onConfirmed(): void;
  /** The broker has refused to subscribe to a wanted topic, or has ended its subscription. */
  onRefused(topic: string, cause: unknown): void;
  /** The broker has refused a message that it was handed, so the message is lost. */
  onLost(topic: string, cause: unknown): void;
}
