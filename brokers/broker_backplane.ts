import type { Backplane, PublishReport } from "../backplane/backplane.ts";
import type { RandomBytes, Timers } from "../backplane/clock.ts";
import type { TypedEventTarget } from "../backplane/typed_event_target.ts";
import type { BrokerEventMap } from "./events.ts";

/** What has gone through a backplane so far. */
export interface BrokerStats {
  /** Messages from other nodes. */
  readonly messagesIn: number;
  /** Bytes of all payloads from the broker, including this node's own and malformed ones. */
  readonly bytesIn: number;
  /**
   * Messages handed to the broker. With `interest: "room"`, a broadcast to several rooms counts
   * once for each.
   */
  readonly messagesOut: number;
  /** Bytes of their payloads. */
  readonly bytesOut: number;
  /** Bytes handed to the broker that it has not confirmed. */
  readonly queuedBytes: number;
  /** Messages that were not sent: the broker was out of reach, too slow, or refused them. */
  readonly dropped: number;
  /** Messages handed over that were unconfirmed when the connection broke, or at shutdown. */
  readonly unconfirmed: number;
  /** Payloads that could not be decoded. */
  readonly malformed: number;
}

/**
 * A backplane over a broker that stands between the nodes.
 *
 * {@linkcode BrokerEventMap} lists its events. There is no `nodedown`: a broker does not say which
 * nodes are connected to it. What a listener throws goes to `console.error`.
 */
export interface BrokerBackplane
  extends
    TypedEventTarget<BrokerEventMap>,
    Omit<Backplane, "addEventListener" | "removeEventListener">,
    AsyncDisposable {
  /** 16 hexadecimal digits, chosen at random when the backplane is made. */
  readonly nodeId: string;
  /**
   * True while messages can be sent and received: the broker is within reach and the subscriptions
   * are in force. It is true from `up` to `down`.
   *
   * With `interest: "room"`, it says nothing about single rooms: if the subscription of a room is
   * refused, a `refused` event names the topic.
   */
  readonly connected: boolean;
  /** Largest message that {@linkcode publish} takes, in bytes: the broker's limit less 9. */
  readonly maxMessageBytes: number;
  /** What has gone through so far. */
  readonly stats: BrokerStats;
  /**
   * Hands an encoded ROOM_BROADCAST, ROOM_MESSAGE or ROOM_CLOSE to the broker and to the other
   * subscriptions on this node, and returns at once. The nodes behind a broker cannot be counted:
   * `peers` is 1 if the message or a part of it has been handed over, and `dropped` is 1 if the
   * message or a part of it has not. After shutdown both are 0.
   *
   * With `interest: "room"`, a message to several rooms is handed over as one copy for each room.
   * The queue takes all copies or none.
   *
   * @throws {FrameError} what {@linkcode checkMessage} throws, with `message-too-long` above
   * `maxMessageBytes`. With `interest: "room"` also `invalid-utf8` for the name of a room.
   */
  publish(message: Uint8Array, from?: Disposable): PublishReport;
  /**
   * See {@linkcode Backplane.subscribe}. `from` is the sender's `nodeId`. What `receive` throws
   * goes to `console.error`, unless it is a `FrameError`.
   */
  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable;
  /**
   * Resolves when this node can publish and the broker has confirmed its subscriptions: to the
   * cluster, or to every room that is open now. From then on, this node receives what other nodes
   * publish. While the broker is out of reach, this waits. With `interest: "room"`, it does not wait
   * for a room that is refused; by then, a `refused` event has reported that room.
   *
   * @throws {BrokerError} `subscribe-refused` if the broker refuses the subscription to the
   * cluster. The backplane goes on asking, so calling this again later may succeed. `closed` if the
   * client has been closed for good, and `shut-down` after {@linkcode shutdown}; both also reject
   * calls that are waiting.
   */
  ready(): Promise<void>;
  /**
   * Ends all subscriptions, waits up to 2 s until the broker has confirmed what it was handed, and
   * removes its listeners from the client. The client stays open: it is yours. Resolves when
   * nothing of the backplane is left. May be called again.
   */
  shutdown(): Promise<void>;
}

/** Options that the backplanes over a broker have in common. */
export interface BrokerOptions {
  /**
   * Name of the cluster: nodes with the same name reach each other. 1 to 64 ASCII letters, digits,
   * `-` and `_`. It keeps clusters apart, and is not a secret.
   */
  cluster: string;
  /**
   * What this node asks the broker for. `"cluster"` (the default) is one topic for all rooms.
   * `"room"` is a topic for each room with members here, so the broker sends a message only to
   * nodes that have members. **It must be the same on all nodes**: nodes with different interests
   * do not reach each other.
   */
  interest?: "cluster" | "room";
  /** Largest encoded message in bytes. Default: 16 MiB. The broker's own limit may be lower. */
  maxMessageBytes?: number;
  /**
   * Bytes that the broker may have been handed without having confirmed them. A message that does
   * not fit is dropped and counted, but a single message always fits. Default: 16 MiB.
   */
  maxQueuedBytes?: number;
  /** Default: the platform's. */
  timers?: Timers;
  /** Returns random bytes, for the node's id and for backoff. Default: the platform's. */
  randomBytes?: RandomBytes;
}
