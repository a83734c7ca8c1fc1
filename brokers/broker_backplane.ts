import type { Backplane, PublishReport } from "../backplane/backplane.ts";
import type { RandomBytes, Timers } from "../backplane/clock.ts";
import type { TypedEventTarget } from "../backplane/typed_event_target.ts";
import type { BrokerEventMap } from "./events.ts";

/** What has gone through a backplane so far. */
export interface BrokerStats {
  /** Messages of other nodes. */
  readonly messagesIn: number;
  /** Bytes of all payloads that the broker has brought, this node's own and malformed ones included. */
  readonly bytesIn: number;
  /** Messages handed to the broker. */
  readonly messagesOut: number;
  /** Bytes of their payloads. */
  readonly bytesOut: number;
  /** Bytes handed to the broker that it has not confirmed. */
  readonly queuedBytes: number;
  /** Messages that were not sent: the broker was out of reach, too slow, or refused them. */
  readonly dropped: number;
  /** Messages that were handed over and not confirmed when the connection broke, or at shutdown. */
  readonly unconfirmed: number;
  /** Payloads that could not be decoded. */
  readonly malformed: number;
}

/**
 * A backplane over a broker that stands between the nodes.
 *
 * {@linkcode BrokerEventMap} lists its events.
 */
export interface BrokerBackplane
  extends
    TypedEventTarget<BrokerEventMap>,
    Omit<Backplane, "addEventListener" | "removeEventListener">,
    AsyncDisposable {
  /** 16 hexadecimal digits, chosen at random when the backplane was made. */
  readonly nodeId: string;
  /** True while the broker is within reach and the subscriptions are in force: from `up` to `down`. */
  readonly connected: boolean;
  /** Largest message that {@linkcode publish} takes, in bytes: the broker's limit, less the envelope. */
  readonly maxMessageBytes: number;
  /** What has gone through so far. */
  readonly stats: BrokerStats;
  /**
   * Hands an encoded ROOM_BROADCAST to the broker, and returns at once. The nodes behind a broker
   * cannot be counted: `peers` is 1 if it has been handed over, and `dropped` is 1 if it has not.
   * After shutdown both are 0.
   *
   * @throws {FrameError} `wrong-tag`, `truncated`, `trailing-bytes`, `invalid-utf8` if it is no room
   * broadcast, `message-too-long` above `maxMessageBytes`.
   */
  publish(message: Uint8Array, from?: Disposable): PublishReport;
  /** See {@linkcode Backplane.subscribe}. Other errors than `FrameError` go to `console.error`. */
  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable;
  /**
   * Resolves when the broker has taken note of every room that is open now: what another node
   * publishes from here on is heard, unless a `refused` event has said otherwise. While the broker is
   * out of reach it waits.
   *
   * @throws {Error} if the client has been closed for good or the backplane shut down, or is while
   * this waits.
   */
  ready(): Promise<void>;
  /**
   * Ends all subscriptions, waits up to 2 s until the broker has confirmed what it was handed, and
   * lets go of the client, which stays open: it is yours. Resolves when nothing of the backplane is
   * left. May be called again.
   */
  shutdown(): Promise<void>;
}

/** Options that the backplanes over a broker have in common. */
export interface BrokerOptions {
  /**
   * Name of the cluster: nodes of one name hear each other. 1 to 64 ASCII letters, digits, `-` and
   * `_`. It keeps clusters apart, and is no secret.
   */
  cluster: string;
  /**
   * What this node asks the broker for: `"cluster"` (the default), one topic for all rooms; or
   * `"room"`, a topic for each room that has members here, so that the broker routes a message only
   * to nodes with members. **The same on all nodes**: those of one kind do not hear the other.
   */
  interest?: "cluster" | "room";
  /** Largest message, in bytes of the encoded broadcast, where the broker's own limit is not lower. */
  maxMessageBytes?: number;
  /**
   * Bytes that the broker may have been handed without having confirmed them; what does not fit is
   * dropped and counted. A single message always fits. Default: 16 MiB.
   */
  maxQueuedBytes?: number;
  /** Default: the platform's. */
  timers?: Timers;
  /** Gives random bytes, from which the node's identity is made. Default: the platform's. */
  randomBytes?: RandomBytes;
}
