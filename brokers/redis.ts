/**
 * A backplane over Redis or Valkey, for applications that have one already.
 *
 * You make two clients with `ioredis`, and they stay yours. One publishes, and may be used for
 * other things as well. The other subscribes, and must be used by this backplane only. A client
 * that may publish on the cluster's channels is a member of the cluster, and a client that may
 * subscribe to them reads everything. Redis's access control lists decide which clients may.
 *
 * **Channels.** `roomcast.<cluster>` carries all rooms. With `interest: "room"`, each room has its
 * own channel, `roomcast.<cluster>.<encoded name>`, and a node subscribes to it while the room has
 * members there. With `sharded`, the backplane uses SPUBLISH and SSUBSCRIBE (Redis 7; all nodes
 * must agree). `docs/wire.md` has the layout of payloads and the encoding of names.
 *
 * **Redis Cluster.** Connect both clients to one server, which may be any server of a Redis
 * Cluster: PUBLISH reaches all its servers, SPUBLISH those of one shard. The cluster client of
 * ioredis is refused. It resends by itself what a broken connection has cut off, so messages would
 * arrive twice, and it does not report when its own subscriber was disconnected.
 *
 * **When messages arrive.** With `interest: "cluster"`, they arrive from the moment of `join`, once
 * the subscription made at the start is in force. With `"room"`, `join` does not wait for the
 * subscription, so a message that is published before Redis has read it does not arrive. The
 * subscription takes half a round trip, or one and a half if subscriptions of an earlier turn are
 * still under way. Publishing uses another connection, so even a reply to what this node published
 * after the join may come too early. `ready()` waits for the subscriptions.
 *
 * **Delivery** is at most once, and keeps the order of one sender. While Redis is out of reach,
 * nothing is kept: each message is reported as dropped, and delivery resumes when the clients have
 * reconnected. `down` counts the messages that were handed over and unconfirmed when the connection
 * broke. `missed` follows `up` if this node could not receive for a while. Redis disconnects a
 * subscriber that reads too slowly (`client-output-buffer-limit pubsub`: 32 MiB by default, or 8
 * MiB for a minute), which is also reported as `down`. A connection that dies silently, for example
 * because a cable was pulled, is reported once the client notices. For the subscriber, that takes
 * TCP keep-alive (`keepAlive` of ioredis).
 *
 * **Permissions.** If Redis refuses to subscribe, a `refused` event says so, and the backplane asks
 * again with backoff until the permission is repaired. With `interest: "cluster"` it is not
 * `connected` until then, and `ready()` rejects.
 *
 * **What the client does by itself.** `autoResendUnfulfilledCommands` must be false for the
 * publisher, otherwise messages would arrive twice. The backplane sets `autoResubscribe` of the
 * subscriber to false, because it subscribes again by itself. If ioredis did so and Redis refused,
 * that would be an unhandled rejection, which ends the process. Without a listener for `error`,
 * ioredis prints a stack trace for every attempt to connect.
 *
 * **Limits.** A message has at most 16 MiB unless `maxMessageBytes` says otherwise; Redis itself
 * takes 512 MiB. `maxQueuedBytes` bounds what has been handed to the client and is unconfirmed,
 * because the client itself has no such limit.
 *
 * **Shutdown** ends all subscriptions. While Redis is out of reach, there are none to end.
 *
 * @example
 * ```ts ignore
 * import { Redis } from "npm:ioredis";
 * import { Rooms } from "@roomcast/roomcast";
 * import { redisBackplane } from "@roomcast/roomcast/redis";
 *
 * const options = {
 *   host: "127.0.0.1",
 *   autoResendUnfulfilledCommands: false, // or messages would arrive twice
 *   autoResubscribe: false, // the backplane does it
 *   keepAlive: 10_000, // notices dead connections
 * };
 * const [publisher, subscriber] = [new Redis(options), new Redis(options)];
 * for (const client of [publisher, subscriber]) {
 *   client.on("error", (error) => console.warn("Redis:", error.message));
 * }
 * const backplane = redisBackplane({ publisher, subscriber, cluster: "chat" });
 * const rooms = new Rooms({ backplane });
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { checkBoolean, checkMethods, describe } from "../backplane/checks.ts";
import type { Broker, BrokerListener, Outstanding, Reach } from "./_broker.ts";
import { BrokerNode } from "./_broker_node.ts";
import { noConnection, RedisSubscriptions } from "./_redis_subscriptions.ts";
import type { BrokerBackplane, BrokerOptions } from "./broker_backplane.ts";

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

/** What the backplane needs from both clients. `ioredis` has it. */
export interface RedisClient {
  /** `"ready"` while commands are sent at once, `"end"` after it has been closed for good. */
  readonly status: string;
  /** Must not be true: see the module. */
  readonly isCluster?: boolean;
  /** How the client was made, where that can be seen. */
  readonly options?: {
    /** Must be false for the client that publishes. */
    readonly autoResendUnfulfilledCommands?: boolean;
    /** The backplane sets it to false for the client that subscribes. */
    autoResubscribe?: boolean;
    /** Must be empty: the client would put it before some channels and not before others. */
    readonly keyPrefix?: string;
  };
  /**
   * Calls `listener` when the client is ready, when its connection closes, or when it is closed for
   * good.
   */
  on(event: "ready" | "close" | "end", listener: () => void): unknown;
  /** Removes a listener. */
  off(event: "ready" | "close" | "end", listener: () => void): unknown;
}

/** What the backplane needs from the client that publishes. */
export interface RedisPublisher extends RedisClient {
  /** PUBLISH. Bytes are given as a `Buffer` of Node.js, because ioredis takes nothing else. */
  publish(channel: string, message: string | Uint8Array): Promise<unknown>;
  /** SPUBLISH, with a `Buffer` as well. */
  spublish?(channel: string, message: string | Uint8Array): Promise<unknown>;
}

/** What the backplane needs from the client that subscribes. */
export interface RedisSubscriber extends RedisClient {
  /** SUBSCRIBE. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** UNSUBSCRIBE. */
  unsubscribe(...channels: string[]): Promise<unknown>;
  /** SSUBSCRIBE. */
  ssubscribe?(...channels: string[]): Promise<unknown>;
  /** SUNSUBSCRIBE. */
  sunsubscribe?(...channels: string[]): Promise<unknown>;
  /**
   * Calls `listener` when the client is ready, when its connection closes, or when it is closed for
   * good.
   */
  on(event: "ready" | "close" | "end", listener: () => void): unknown;
  /** Calls `listener` with every message, as bytes. */
  on(
    event: "messageBuffer" | "smessageBuffer",
    listener: (channel: Uint8Array, message: Uint8Array) => void,
  ): unknown;
  /** Removes a listener. */
  off(event: "ready" | "close" | "end", listener: () => void): unknown;
  /** Removes a listener. */
  off(
    event: "messageBuffer" | "smessageBuffer",
    listener: (channel: Uint8Array, message: Uint8Array) => void,
  ): unknown;
}

/** Options of {@linkcode redisBackplane}. */
export interface RedisOptions extends BrokerOptions {
  /**
   * The client that publishes, made with `autoResendUnfulfilledCommands: false`. It may be used for
   * other things as well.
   */
  publisher: RedisPublisher;
  /**
   * Another client, which subscribes. Its `autoResubscribe` is set to false, so it does not restore
   * other subscriptions after a broken connection: keep it for backplanes. Backplanes of different
   * clusters may share one.
   */
  subscriber: RedisSubscriber;
  /** SPUBLISH and SSUBSCRIBE instead of PUBLISH and SUBSCRIBE. Default: false. */
  sharded?: boolean;
}

/**
 * Makes a backplane over Redis. See the module for what it promises.
 *
 * @throws {TypeError} for an option of the wrong shape, for a client that is not from ioredis, for
 * a `publisher` that would resend messages, for a client of a Redis Cluster, and for `sharded` with
 * clients that do not support it.
 * @throws {RangeError} for an option out of range.
 *
 * @example
 * ```ts ignore
 * import { Redis } from "npm:ioredis";
 * import { redisBackplane } from "@roomcast/roomcast/redis";
 *
 * const options = { autoResendUnfulfilledCommands: false, autoResubscribe: false };
 * const [publisher, subscriber] = [new Redis(options), new Redis(options)];
 * for (const client of [publisher, subscriber]) client.on("error", console.warn);
 * await using backplane = redisBackplane({ publisher, subscriber, cluster: "chat" });
 * await backplane.ready();
 * ```
 */
export function redisBackplane(options: RedisOptions): BrokerBackplane {
  checkClients(options);
  return new BrokerNode(options, (listener) => {
    leaveSubscribingToUs(options.subscriber);
    return new RedisBroker(options, listener);
  });
}

function checkClients(options: RedisOptions): void {
  const { publisher, subscriber } = options;
  const sharded = checkBoolean("sharded", options.sharded);
  for (const [option, client] of Object.entries({ publisher, subscriber })) {
    checkMethods(option, client, "on", "off");
    checkClient(option, client);
  }
  const commands = sharded
    ? ["ssubscribe", "sunsubscribe"] as const
    : ["subscribe", "unsubscribe"] as const;
  checkMethods("publisher", publisher, sharded ? "spublish" : "publish");
  checkMethods("subscriber", subscriber, ...commands);
  if (publisher === subscriber as unknown) {
    throw new TypeError(
      "publisher and subscriber must be two clients: one that subscribes can do little else",
    );
  }
  if (publisher.options?.autoResendUnfulfilledCommands === true) {
    throw new TypeError(
      "publisher must be made with autoResendUnfulfilledCommands: false, " +
        "otherwise messages that cross a broken connection would arrive twice",
    );
  }
}

function checkClient(option: string, client: RedisClient): void {
  if (client.isCluster) {
    throw new TypeError(
      `${option} must be a client of one server, which may be any server of a Redis Cluster, ` +
        "and not a cluster client",
    );
  }
  if (typeof client.status !== "string") {
    // node-redis has other events, and other ways to pass bytes: every message would be lost.
    throw new TypeError(
      `${option} must be a client of ioredis, got one whose status is ${
        describe(client.status)
      }; ` +
        "node-redis (the package redis) is not supported",
    );
  }
  if (client.options?.keyPrefix) throw new TypeError(`${option} must be made without keyPrefix`);
  if (client.status === "wait") {
    throw new TypeError(`${option} must have begun to connect, but was made with lazyConnect`);
  }
}

/**
 * On a new connection, ioredis subscribes to everything again by itself. Nobody handles those
 * promises, so a permission that was withdrawn would end the process.
 */
function leaveSubscribingToUs({ options }: RedisSubscriber): void {
  if (options?.autoResubscribe === true) options.autoResubscribe = false;
}

class RedisBroker implements Broker {
  /** Redis's own limit, far above what `Rooms` sends. */
  readonly maxPayloadBytes = 512 * 1024 * 1024;
  readonly #publisher: RedisPublisher;
  readonly #subscriber: RedisSubscriber;
  readonly #sharded: boolean;
  readonly #listener: BrokerListener;
  readonly #subscriptions: RedisSubscriptions;
  readonly #messageEvent: "messageBuffer" | "smessageBuffer";
  readonly #decoder = new TextDecoder();
  #changed = Promise.withResolvers<void>();
  #closed = false;
  readonly #onChange = () => {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    this.#listener.onReach(this.reach);
  };
  /** False until Redis has answered the subscriptions of a new connection. */
  #hears = false;
  readonly #onReady = () => {
    this.#subscriptions.connected();
    this.#resume();
  };
  readonly #onClose = () => {
    this.#hears = false;
    this.#subscriptions.disconnected();
    this.#onChange();
  };
  readonly #onEnd = () => this.#subscriptions.ended();
  readonly #onMessage = (channel: Uint8Array, message: Uint8Array) => {
    if (this.#subscriptions.wants(this.#decoder.decode(channel))) this.#listener.onPayload(message);
  };

  constructor({ publisher, subscriber, sharded = false }: RedisOptions, listener: BrokerListener) {
    this.#publisher = publisher;
    this.#subscriber = subscriber;
    this.#sharded = sharded;
    this.#listener = listener;
    this.#messageEvent = sharded ? "smessageBuffer" : "messageBuffer";
    this.#subscriptions = new RedisSubscriptions({
      // In a Redis Cluster one command can only name channels of one slot.
      several: !sharded,
      subscribe: (channels) => this.#command("subscribe", channels),
      unsubscribe: (channels) => this.#command("unsubscribe", channels),
    }, (channel, cause) => listener.onRefused(channel, cause));
    for (const event of ["ready", "close", "end"] as const) publisher.on(event, this.#onChange);
    subscriber.on("ready", this.#onReady);
    subscriber.on("close", this.#onClose);
    subscriber.on("end", this.#onEnd);
    subscriber.on(this.#messageEvent, this.#onMessage);
    if (subscriber.status === "ready") this.#onReady();
    if (subscriber.status === "end") this.#subscriptions.ended();
  }

  get reach(): Reach {
    return {
      sends: this.#publisher.status === "ready",
      hears: this.#hears,
    };
  }

  publish(topic: string, payload: Uint8Array, outstanding: Outstanding): boolean {
    if (this.#publisher.status !== "ready") return false;
    const { byteLength } = payload;
    const message = Buffer.from(payload.buffer, payload.byteOffset, byteLength);
    const settle = () => {
      outstanding.messages--;
      outstanding.bytes -= byteLength;
      this.#listener.onConfirmed();
    };
    const answer = this.#sharded
      ? this.#publisher.spublish?.(topic, message)
      : this.#publisher.publish(topic, message);
    answer?.then(settle, (cause) => {
      // If the connection has broken, `down` counts these messages.
      if (!outstanding.current || this.#publisher.status !== "ready") return;
      settle();
      this.#listener.onLost(topic, cause);
    });
    return true;
  }

  subscribe(topic: string): void {
    this.#subscriptions.add(topic);
  }

  unsubscribe(topic: string): void {
    this.#subscriptions.delete(topic);
  }

  ready(): Promise<void> {
    return this.#subscriptions.ready();
  }

  async sends(): Promise<void> {
    while (this.#publisher.status !== "ready" && !this.#closed) {
      if (this.#publisher.status === "end") throw noConnection();
      await this.#changed.promise;
    }
  }

  async close(limit: Promise<void>): Promise<void> {
    this.#closed = true;
    this.#changed.resolve();
    for (const event of ["ready", "close", "end"] as const) {
      this.#publisher.off(event, this.#onChange);
    }
    this.#subscriber.off("ready", this.#onReady);
    this.#subscriber.off(this.#messageEvent, this.#onMessage);
    try {
      await Promise.race([limit, this.#subscriptions.leave()]);
    } catch {
      // The client has ended, and its subscriptions with it.
    }
    this.#subscriber.off("close", this.#onClose);
    this.#subscriber.off("end", this.#onEnd);
  }

  async #resume(): Promise<void> {
    // At the start, the subscription to the cluster's topic follows in this turn.
    await undefined;
    try {
      await this.#subscriptions.ready();
    } catch {
      // The client has ended.
      return;
    }
    this.#hears = true;
    this.#onChange();
  }

  async #command(command: "subscribe" | "unsubscribe", channels: string[]): Promise<void> {
    const subscriber = this.#subscriber;
    if (!this.#sharded) await subscriber[command](...channels);
    else await subscriber[command === "subscribe" ? "ssubscribe" : "sunsubscribe"]?.(...channels);
  }
}
