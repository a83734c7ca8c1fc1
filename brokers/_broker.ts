/**
 * What a broker was handed and has not confirmed. When the connection breaks, a new one takes its
 * place: confirmations that come late are counted off the old one, and change nothing.
 */
export interface Outstanding {
  messages: number;
  bytes: number;
  /** False when the connection has broken, and what it was has been told. */
  current: boolean;
}

/** In which directions a broker is within reach. */
export interface Reach {
  readonly sends: boolean;
  readonly hears: boolean;
}

/** A broker, as {@linkcode BrokerNode} needs it. None of its methods but `publish` may throw. */
export interface Broker {
  /** Largest payload that it carries. */
  readonly maxPayloadBytes: number;
  /** Whether messages can be handed over, and whether they are heard; it says when that changes. */
  readonly reach: Reach;
  /**
   * Hands over a payload, which has been added to `outstanding`, and takes it from there once the
   * broker has it. False if the broker is out of reach, which it may know before it has told.
   */
  publish(topic: string, payload: Uint8Array, outstanding: Outstanding): boolean;
  /** Wants what is published on a topic, from now on and over broken connections. */
  subscribe(topic: string): void;
  /** Does not want it any more. */
  unsubscribe(topic: string): void;
  /** Resolves when all wishes so far are in force or refused; rejects if the client has ended. */
  ready(): Promise<void>;
  /**
   * Ends all subscriptions and lets go of the client. Resolves when the broker knows, or once `limit`
   * has resolved.
   */
  close(limit: Promise<void>): Promise<void>;
}

/** What a broker tells. */
export interface BrokerListener {
  onPayload(payload: Uint8Array): void;
  onReach(reach: Reach): void;
  /** Something has been taken from `outstanding`. */
  onConfirmed(): void;
  onRefused(topic: string, cause: unknown): void;
  /** A message that was handed over is lost, as the broker has refused it. */
  onLost(topic: string, cause: unknown): void;
}
