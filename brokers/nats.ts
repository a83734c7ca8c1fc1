/**
 * A backplane over NATS: for a fleet that has one already, or has hundreds of servers.
 *
 * You make the connection, with `@nats-io/transport-node` or any other client of the nats-core
 * family, and it stays yours: authentication, TLS and reconnecting are its options. Whoever may
 * publish on the cluster's subjects is a member of the cluster, and whoever may subscribe reads
 * along; NATS's permissions say who that is.
 *
 * **Subjects.** `roomcast.<cluster>` carries all rooms. With `interest: "room"`, each room has a
 * subject of its own, `roomcast.<cluster>.<encoded name>`, subscribed to while the room has members
 * on this node. Payloads are laid out in `_envelope.ts`, names encoded as in `_topics.ts`.
 *
 * **When a message is heard.** With `interest: "cluster"`: from the moment of `join`. With `"room"`,
 * `join` does not wait either, and the subscription is on its way when it returns: what reaches the
 * NATS server before that is not heard. What anybody publishes in answer to something that this node
 * has published after the join is heard, since the server reads one connection in order (in a
 * cluster of NATS servers: once interest has spread there). `ready()` waits for it.
 *
 * **Delivery** is at most once, from one node in the order of publishing. While the server is out of
 * reach nothing is kept: each message is reported as dropped, and delivery resumes by itself when
 * the client has reconnected. That needs a client that does not give up: `maxReconnectAttempts: -1`
 * (the client's default is to stop after ten). What was handed over and not confirmed when the
 * connection broke is counted by the `down` event. A NATS server cuts off a node that reads too
 * slowly, which shows as `down` there as well. A connection that is dead without a word is `down` when
 * the client finds out by its pings (`pingInterval`, two minutes by default).
 *
 * **Limits.** A message may have `max_payload` bytes of the server (1 MiB by default) less 9 for
 * the envelope. `maxQueuedBytes` bounds what is handed to the client without being confirmed, by a
 * flush that follows it at most one round trip later; the client itself has no such limit. Ten
 * thousand subscriptions may be under way in the same sense; more wait for those.
 *
 * A connection made with `noEcho` spares this node being sent its own messages back, which otherwise
 * it drops. It must not be shared then by two backplanes of one cluster.
 *
 * @example
 * ```ts ignore
 * import { connect } from "npm:@nats-io/transport-node";
 * import { Rooms } from "@roomcast/roomcast";
 * import { natsBackplane } from "@roomcast/roomcast/nats";
 *
 * const servers = "127.0.0.1:4222";
 * const connection = await connect({ servers, maxReconnectAttempts: -1, pingInterval: 10_000 });
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

export type { BrokerBackplane, BrokerOptions, BrokerStats } from "./broker_backplane.ts";
export { type BrokerEventMap, DownEvent, UpEvent } from "./events.ts";

/** What is needed of a message. */
export interface NatsMessage {
  /** The payload. */
  readonly data: Uint8Array;
}

/** What is needed of a subscription. */
export interface NatsSubscription {
  /** Ends it. */
  unsubscribe(): void;
}

/** What is needed of an event that tells of the connection. */
export interface NatsStatus {
  /** `disconnect`, `reconnect`, `close`, `error`; others are ignored. */
  readonly type: string;
  /** With `error`: what has happened. */
  readonly error?: unknown;
}

/** What is needed of a connection to NATS: that of nats-core has it. */
export interface NatsConnection {
  /** What the server has said of itself; undefined while there is no connection. */
  readonly info?: { readonly max_payload: number };
  /** Publishes a message. */
  publish(subject: string, payload: Uint8Array): void;
  /** Subscribes to a subject. */
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: NatsMessage) => void },
  ): NatsSubscription;
  /** Resolves when the server has read all that was sent before. */
  flush(): Promise<void>;
  /** What happens to the connection. If the iterable has a method `stop`, it is called in the end. */
  status(): AsyncIterable<NatsStatus>;
  /** True if it has been closed for good. */
  isClosed(): boolean;
}

/** Options of {@linkcode natsBackplane}. */
export interface NatsOptions extends BrokerOptions {
  /** A connection to NATS, which others may use as well. */
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
 * const servers = "127.0.0.1:4222";
 * const connection = await connect({ servers, maxReconnectAttempts: -1, pingInterval: 10_000 });
 * await using backplane = natsBackplane({ connection, cluster: "chat", interest: "room" });
 * ```
 */
export function natsBackplane(options: NatsOptions): BrokerBackplane {
  const { connection } = options;
  checkMethods("connection", connection, "publish", "subscribe", "flush", "status", "isClosed");
  return new BrokerNode(options, (listener) => new NatsBroker(connection, listener));
}

/** What a server allows that has not been heard of yet: NATS's own default. */
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;

/**
 * Commands to subscribe and unsubscribe that may be under way. The client keeps any number, should
 * the server not read; rooms that come and go meanwhile wait as a set of names.
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
  /** Resolves when no flush will be answered any more: the client does not fail them by itself. */
  readonly #ended = Promise.withResolvers<void>();
  readonly #wanted = new Set<string>();
  /** Commands to subscribe and unsubscribe that no flush has confirmed. */
  #commands = 0;
  /** Topics whose subscription is not in line, for too many commands were under way. */
  readonly #deferred = new Set<string>();
  /** Outlives a broken connection, during which there is no `info`. */
  #maxPayloadBytes = DEFAULT_MAX_PAYLOAD;
  /** Those whose messages a flush is following. */
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
    // First, so that the flush travels in one write with what is published in this turn.
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
      // What waits now may be sent behind this flush.
      const isAllSent = this.#deferred.size === 0;
      // If the connection breaks, the client sends all subscriptions again before the next flush.
      if (await this.#flush() && isAllSent) return;
    }
    throw new Error("the connection to NATS has been closed");
  }

  async close(limit: Promise<void>): Promise<void> {
    this.#closed = true;
    this.#ended.resolve();
    this.#status.stop?.();
    for (const subscription of this.#subscriptions.values()) subscription.unsubscribe();
    this.#subscriptions.clear();
    if (this.#connection.isClosed()) return;
    // If it breaks, its subscriptions go with it.
    await Promise.race([limit, this.#connection.flush().catch(() => {})]);
  }

  /** True if the server has read all that was sent before. */
  async #flush(): Promise<boolean> {
    const flushed = this.#connection.flush().then(() => true, () => false);
    return await Promise.race([flushed, this.#ended.promise.then(() => false)]);
  }

  /** Brings one subscription in line with what is wanted. */
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
          // The client has ended it. If the room is opened again, that is another attempt.
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

  /** Follows commands by a flush, after which those that had to wait have their turn. */
  async #confirmCommands(): Promise<void> {
    await undefined;
    while (this.#commands > 0) {
      const count = this.#commands;
      try {
        await this.#connection.flush();
      } catch {
        // The connection broke, and with it went what was not sent.
      }
      // Not below one before the others had their turn: they must not start a second of this.
      this.#commands -= count - 1;
      const deferred = [...this.#deferred];
      this.#deferred.clear();
      for (const topic of this.#closed ? [] : deferred) this.#update(topic);
      this.#commands--;
    }
  }

  /** Follows what was published by a flush, and what was published meanwhile by the next. */
  async #confirm(outstanding: Outstanding): Promise<void> {
    if (this.#confirming.has(outstanding)) return;
    this.#confirming.add(outstanding);
    await undefined;
    while (outstanding.messages > 0) {
      const { messages, bytes } = outstanding;
      try {
        await this.#connection.flush();
      } catch {
        // The connection broke: `down` tells how much it was.
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
      // Ended with an error: the connection is closed.
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
    // A subscription that was refused before may be permitted now.
    for (const topic of this.#wanted) this.#update(topic);
    this.#listener.onReach({ sends: true, hears: false });
    this.#hear();
  }

  /** Waits until subscriptions are in force; the client sends them again on a new connection. */
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
