/**
 * A backplane over NATS, for applications that have NATS already, or hundreds of servers.
 *
 * You make the connection, with `@nats-io/transport-node` or any other client of the nats-core
 * family, and it stays yours: authentication, TLS and reconnecting are its options. A client that
 * may publish on the cluster's subjects is a member of the cluster, and a client that may subscribe
 * to them reads everything. NATS's permissions decide which clients may.
 *
 * **Subjects.** `roomcast.<cluster>` carries all rooms. With `interest: "room"`, each room has its
 * own subject, `roomcast.<cluster>.<encoded name>`, and a node subscribes to it while the room has
 * members there. `docs/wire.md` has the layout of payloads and the encoding of names.
 *
 * **When messages arrive.** With `interest: "cluster"`, they arrive from the moment of `join`. With
 * `"room"`, `join` sends the subscription and does not wait for it, so a message that reaches the
 * NATS server earlier does not arrive. A reply to something that this node published after the join
 * does arrive, because the server reads one connection in order. (In a cluster of NATS servers,
 * this holds once interest has spread there.) `ready()` waits for the subscriptions.
 *
 * **Delivery** is at most once, and keeps the order of one sender. While the server is out of
 * reach, nothing is kept: each message is reported as dropped, and delivery resumes when the client
 * has reconnected. `down` counts the messages that were handed over and unconfirmed when the
 * connection broke. `missed` follows `up` if this node could not receive for a while. A NATS server
 * disconnects a node that reads too slowly, which is also reported as `down`.
 *
 * **Options of the connection.** Four of its defaults do not suit a long-running server:
 *
 * - `maxReconnectAttempts: -1`: otherwise the client gives up after ten attempts.
 * - `ignoreAuthErrorAbort: true`: otherwise it gives up if the server refuses its login twice.
 * - `waitOnFirstConnect: true`: otherwise `connect` fails if the NATS server starts later than
 *   yours.
 * - `pingInterval: 10_000`: otherwise it takes minutes to notice that a connection has died
 *   silently.
 *
 * **Permissions.** If the server refuses to subscribe, a `refused` event says so, and the backplane
 * asks again with backoff until the permission is repaired. With `interest: "cluster"` it is not
 * `connected` until then, and `ready()` rejects.
 *
 * **Limits.** A message has at most the server's `max_payload` (1 MiB by default) less 9 bytes for
 * the envelope. `maxQueuedBytes` bounds what has been handed to the client and is unconfirmed,
 * because the client itself has no such limit. A flush, at most one round trip later, confirms it.
 * Likewise, at most ten thousand subscriptions may be unconfirmed; the others wait.
 *
 * A connection made with `noEcho` saves this node its own messages, which it would drop. Two
 * backplanes of one cluster cannot share such a connection.
 *
 * @example
 * ```ts ignore
 * import { connect } from "npm:@nats-io/transport-node";
 * import { Rooms } from "@roomcast/roomcast";
 * import { natsBackplane } from "@roomcast/roomcast/nats";
 *
 * const connection = await connect({
 *   servers: "127.0.0.1:4222",
 *   waitOnFirstConnect: true,
 *   maxReconnectAttempts: -1,
 *   ignoreAuthErrorAbort: true,
 *   pingInterval: 10_000,
 * });
 * const backplane = natsBackplane({ connection, cluster: "chat" });
 * backplane.addEventListener("down", () => console.warn("NATS is out of reach"));
 * const rooms = new Rooms({ backplane });
 * ```
 *
 * @module
 */

import { checkMethods } from "../backplane/checks.ts";
import type { Broker, BrokerListener, Outstanding, Reach } from "./_broker.ts";
import { BrokerNode } from "./_broker_node.ts";
import type { BrokerBackplane, BrokerOptions } from "./broker_backplane.ts";
import { BrokerError } from "./broker_error.ts";

export type {
  Backplane,
  FrameErrorCode,
  MalformedEvent,
  MissedEvent,
  NodeDownEvent,
  OverflowEvent,
  PublishReport,
  RandomBytes,
  RefusedEvent,
  Timers,
  TypedEventTarget,
} from "../backplane/mod.ts";
export type { BrokerBackplane, BrokerOptions, BrokerStats } from "./broker_backplane.ts";
export { BrokerError, type BrokerErrorCode } from "./broker_error.ts";
export { type BrokerEventMap, type BrokerRefusedCode, DownEvent, UpEvent } from "./events.ts";

/** What the backplane needs from a message. */
export interface NatsMessage {
  /** The payload. */
  readonly data: Uint8Array;
}

/** What the backplane needs from a subscription. */
export interface NatsSubscription {
  /** Ends it. */
  unsubscribe(): void;
}

/** What the backplane needs from a status event of the connection. */
export interface NatsStatus {
  /** `disconnect`, `reconnect`, `close` or `error`; others are ignored. */
  readonly type: string;
  /** With `error`: what has gone wrong. */
  readonly error?: unknown;
}

/** What the backplane needs from a connection to NATS. nats-core has it. */
export interface NatsConnection {
  /** What the server has announced; undefined while there is no connection. */
  readonly info?: { readonly max_payload: number };
  /** Publishes a message. */
  publish(subject: string, payload: Uint8Array): void;
  /** Subscribes to a subject. */
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: NatsMessage) => void },
  ): NatsSubscription;
  /** Resolves when the server has read everything that was sent before. */
  flush(): Promise<void>;
  /**
   * Status events of the connection. At its end, the backplane calls `stop` of the iterable, if
   * there is one.
   */
  status(): AsyncIterable<NatsStatus>;
  /** True if it has been closed for good. */
  isClosed(): boolean;
}

/** Options of {@linkcode natsBackplane}. */
export interface NatsOptions extends BrokerOptions {
  /** A connection to NATS. It may be used for other things as well. */
  connection: NatsConnection;
}

/**
 * Makes a backplane over NATS. See the module for what it promises.
 *
 * @throws {TypeError} for an option of the wrong shape.
 * @throws {RangeError} for an option out of range.
 *
 * @example
 * ```ts ignore
 * import { connect } from "npm:@nats-io/transport-node";
 * import { natsBackplane } from "@roomcast/roomcast/nats";
 *
 * const connection = await connect({
 *   servers: "127.0.0.1:4222",
 *   waitOnFirstConnect: true,
 *   maxReconnectAttempts: -1,
 *   ignoreAuthErrorAbort: true,
 *   pingInterval: 10_000,
 * });
 * await using backplane = natsBackplane({ connection, cluster: "chat", interest: "room" });
 * await backplane.ready();
 * ```
 */
export function natsBackplane(options: NatsOptions): BrokerBackplane {
  const { connection } = options;
  checkMethods("connection", connection, "publish", "subscribe", "flush", "status", "isClosed");
  return new BrokerNode(options, (listener) => new NatsBroker(connection, listener));
}

/** Assumed until a server has stated its limit: NATS's default. */
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;

/**
 * Most commands to subscribe and unsubscribe that may be unconfirmed. The client would keep any
 * number of them while the server does not read. Rooms that come and go meanwhile wait as a set of
 * names.
 */
const MAX_COMMANDS = 10_000;

class NatsBroker implements Broker {
  readonly #connection: NatsConnection;
  readonly #listener: BrokerListener;
  readonly #status: AsyncIterable<NatsStatus> & { stop?: () => void };
  readonly #subscriptions = new Map<string, NatsSubscription>();
  readonly reach: Reach;
  /** Counts connections that have broken. */
  #breaks = 0;
  /** Resolves when no flush will be answered any more, because the client leaves those pending. */
  readonly #ended = Promise.withResolvers<void>();
  readonly #wanted = new Set<string>();
  /** Commands to subscribe and unsubscribe that no flush has confirmed. */
  #commands = 0;
  /** Topics that wait because too many commands are unconfirmed. */
  readonly #deferred = new Set<string>();
  /** Kept for the time without a connection, when there is no `info`. */
  #maxPayloadBytes = DEFAULT_MAX_PAYLOAD;
  /** Those for which a loop of {@linkcode #confirm} runs. */
  readonly #confirming = new WeakSet<Outstanding>();
  #closed = false;

  constructor(connection: NatsConnection, listener: BrokerListener) {
    this.#connection = connection;
    this.#listener = listener;
    const isConnected = connection.info !== undefined && !connection.isClosed();
    this.reach = { sends: isConnected, hears: false };
    if (isConnected) this.#hear();
    this.#status = connection.status();
    this.#follow();
  }

  get maxPayloadBytes(): number {
    this.#maxPayloadBytes = this.#connection.info?.max_payload ?? this.#maxPayloadBytes;
    return this.#maxPayloadBytes;
  }

  publish(topic: string, payload: Uint8Array, outstanding: Outstanding): boolean {
    if (this.#connection.info === undefined) return false;
    // First, so that the flush travels in the same write as what is published in this turn.
    this.#confirm(outstanding);
    this.#connection.publish(topic, payload);
    return true;
  }

  subscribe(topic: string): void {
    this.#wanted.add(topic);
    this.#update(topic);
  }

  unsubscribe(topic: string): void {
    this.#wanted.delete(topic);
    this.#update(topic);
  }

  async ready(): Promise<void> {
    while (!this.#connection.isClosed() && !this.#closed) {
      // What waits now may be sent after this flush.
      const isAllSent = this.#deferred.size === 0;
      // If the connection breaks, the client sends all subscriptions again before the next flush.
      if (await this.#flush() && isAllSent) return;
    }
    throw new BrokerError("closed", "the connection to NATS has been closed");
  }

  /** One connection serves both directions, so `ready` waits for this as well. */
  sends(): Promise<void> {
    return Promise.resolve();
  }

  async close(limit: Promise<void>): Promise<void> {
    this.#closed = true;
    this.#ended.resolve();
    this.#status.stop?.();
    for (const subscription of this.#subscriptions.values()) subscription.unsubscribe();
    this.#subscriptions.clear();
    if (this.#connection.isClosed()) return;
    // If the connection breaks, its subscriptions end with it.
    await Promise.race([limit, this.#connection.flush().catch(() => {})]);
  }

  /** True if the server has read everything that was sent before. */
  async #flush(): Promise<boolean> {
    const flushed = this.#connection.flush().then(() => true, () => false);
    return await Promise.race([flushed, this.#ended.promise.then(() => false)]);
  }

  /** Subscribes or unsubscribes, if that is wanted and has not been done. */
  #update(topic: string): void {
    const subscription = this.#subscriptions.get(topic);
    this.#deferred.delete(topic);
    if (this.#wanted.has(topic) === (subscription !== undefined)) return;
    if (this.#commands >= MAX_COMMANDS) {
      this.#deferred.add(topic);
      return;
    }
    this.#commands++;
    if (this.#commands === 1) this.#confirmCommands();
    if (subscription === undefined) return this.#subscribeNow(topic);
    this.#subscriptions.delete(topic);
    subscription.unsubscribe();
  }

  #subscribeNow(topic: string): void {
    try {
      const subscription = this.#connection.subscribe(topic, {
        callback: (error, message) => {
          if (error === null) return this.#listener.onPayload(message.data);
          // The client has ended the subscription.
          if (this.#subscriptions.get(topic) === subscription) this.#subscriptions.delete(topic);
          if (!this.#closed) this.#listener.onRefused(topic, error);
        },
      });
      this.#subscriptions.set(topic, subscription);
    } catch (cause) {
      // The connection is closed, or is being drained.
      queueMicrotask(() => this.#listener.onRefused(topic, cause));
    }
  }

  /** Sends a flush after the commands. Once it is confirmed, those that wait are sent. */
  async #confirmCommands(): Promise<void> {
    await undefined;
    while (this.#commands > 0) {
      const count = this.#commands;
      try {
        await this.#connection.flush();
      } catch {
        // The connection broke, and what was not sent is gone.
      }
      // It stays at one while those that wait are sent, so they do not start this loop again.
      this.#commands -= count - 1;
      const deferred = [...this.#deferred];
      this.#deferred.clear();
      for (const topic of this.#closed ? [] : deferred) this.#update(topic);
      this.#commands--;
    }
  }

  /** Sends a flush after what was published, and another for what was published meanwhile. */
  async #confirm(outstanding: Outstanding): Promise<void> {
    if (this.#confirming.has(outstanding)) return;
    this.#confirming.add(outstanding);
    await undefined;
    while (outstanding.messages > 0) {
      const { messages, bytes } = outstanding;
      try {
        await this.#connection.flush();
      } catch {
        // The connection broke: `down` counts these messages.
        break;
      }
      outstanding.messages -= messages;
      outstanding.bytes -= bytes;
      this.#listener.onConfirmed();
    }
    this.#confirming.delete(outstanding);
  }

  async #follow(): Promise<void> {
    try {
      for await (const status of this.#status) {
        if (this.#closed) return;
        this.#onStatus(status);
      }
    } catch {
      // It has ended with an error, so the connection is closed.
    }
    this.#ended.resolve();
    if (!this.#closed) this.#breakOff();
  }

  #onStatus({ type, error }: NatsStatus): void {
    if (type === "disconnect" || type === "close") return this.#breakOff();
    if (type === "reconnect") return this.#resume();
    if (type !== "error") return;
    const subject = violatedSubject(error);
    if (subject !== undefined) this.#listener.onLost(subject, error);
  }

  #breakOff(): void {
    this.#breaks++;
    this.#listener.onReach({ sends: false, hears: false });
  }

  #resume(): void {
    // The client has dropped subscriptions that were refused. They may be permitted now.
    for (const topic of this.#wanted) this.#update(topic);
    this.#listener.onReach({ sends: true, hears: false });
    this.#hear();
  }

  /** Waits until the server has read the subscriptions, which the client sends again by itself. */
  async #hear(): Promise<void> {
    const breaks = this.#breaks;
    await undefined;
    const isFlushed = await this.#flush();
    if (!isFlushed || breaks !== this.#breaks || this.#closed) return;
    this.#listener.onReach({ sends: true, hears: true });
  }
}

/** The subject on which a publish was not permitted, if that is what the error says. */
function violatedSubject(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { operation, subject } = error as { operation?: unknown; subject?: unknown };
  return operation === "publish" && typeof subject === "string" ? subject : undefined;
}
