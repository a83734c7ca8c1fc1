/**
 * A backplane over Redis or Valkey: for a fleet that has one already.
 *
 * You make two clients, with `ioredis` or one that has the same methods, and they stay yours. One
 * publishes and can be used for other things as well; the other subscribes, and a connection that
 * subscribes can do little else. Two backplanes of one cluster need a subscriber each. Whoever may publish on the cluster's channels is a member of the
 * cluster, and whoever may subscribe reads along; Redis's access control lists say who that is.
 *
 * **Channels.** `roomcast.<cluster>` carries all rooms. With `interest: "room"`, each room has a
 * channel of its own, `roomcast.<cluster>.<encoded name>`, subscribed to while the room has members on
 * this node. With `sharded`, SPUBLISH and SSUBSCRIBE are used (Redis 7, all nodes alike). Payloads are laid out in
 * `_envelope.ts`, names encoded as in `_topics.ts`.
 *
 * **Redis Cluster.** Both clients are of one server, which may be any of a Redis Cluster: PUBLISH
 * reaches all its servers, SPUBLISH those of one shard. The cluster client of ioredis is refused: it
 * sends again by itself what a broken connection has cut off, which is then heard twice, and does not
 * say when its own subscriber was away.
 *
 * **When a message is heard.** With `interest: "cluster"`: from the moment of `join`, once the
 * subscription made at the start is in force. With `"room"`, `join` does not wait, and what is
 * published before Redis has read the subscription is not heard: half a round trip after the join,
 * or one and a half if subscriptions of an earlier turn are still under way. Since publishing takes
 * another connection, even an answer to what this node has published after the join may come too
 * early. `ready()` waits for it.
 *
 * **Delivery** is at most once, from one node in the order of publishing. While Redis is out of
 * reach nothing is kept: each message is reported as dropped, and delivery resumes by itself when
 * the clients have reconnected. What was handed over and not confirmed when the connection broke is
 * counted by the `down` event. Redis cuts off a subscriber that reads too slowly
 * (`client-output-buffer-limit pubsub`: 32 MiB by default, or 8 MiB for a minute), which shows as
 * `down` there. A connection that is dead without a word, as behind a cable that was pulled, is `down`
 * when the client finds out, which for one that only subscribes is a matter of its TCP keep-alive
 * (`keepAlive` of ioredis).
 *
 * **Limits.** A message may have 16 MiB unless `maxMessageBytes` says otherwise; Redis itself takes
 * 512 MiB. `maxQueuedBytes` bounds what is handed to the client without being confirmed; the client
 * itself has no such limit.
 *
 * **Shutdown** ends all subscriptions; while Redis is away that is left to the subscriber, which
 * forgets it if it was made with `enableOfflineQueue: false`.
 *
 * @example
 * ```ts ignore
 * import { Redis } from "npm:ioredis";
 * import { Rooms } from "@roomcast/roomcast";
 * import { redisBackplane } from "@roomcast/roomcast/redis";
 *
 * // Without this, what was sent and not answered would be sent again, and heard twice.
 * const options = { autoResendUnfulfilledCommands: false, keepAlive: 10_000 };
 * const [publisher, subscriber] = [new Redis(options), new Redis(options)];
 * const backplane = redisBackplane({ publisher, subscriber, cluster: "chat" });
 * const rooms = new Rooms({ backplane });
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { checkMethods } from "../backplane/checks.ts";
import type { Broker, BrokerListener, Outstanding, Reach } from "./_broker.ts";
import { BrokerNode } from "./_broker_node.ts";

import { RedisSubscriptions } from "./_redis_subscriptions.ts";
import type { BrokerBackplane, BrokerOptions } from "./broker_backplane.ts";

export type { BrokerBackplane, BrokerOptions, BrokerStats } from "./broker_backplane.ts";
export { type BrokerEventMap, DownEvent, UpEvent } from "./events.ts";

/** What is needed of both clients. */
export interface RedisClient {
  /** `"ready"` while commands are carried out at once, `"end"` when it has been closed for good. */
  readonly status: string;
  /** Must not be true: see the module. */
  readonly isCluster?: boolean;
  /** How it was made, where that can be seen. */
  readonly options?: {
    /** Must be false for the client that publishes. */
    readonly autoResendUnfulfilledCommands?: boolean;
    /** Must be empty: it is put before some names and not before others. */
    readonly keyPrefix?: string;
  };
  /** Has `listener` called when the client is ready, its connection closed, or closed for good. */
  on(event: "ready" | "close" | "end", listener: () => void): unknown;
  /** Calls a listener off. */
  off(event: "ready" | "close" | "end", listener: () => void): unknown;
}

/** What is needed of the client that publishes. */
export interface RedisPublisher extends RedisClient {
  /** PUBLISH. */
  publish(channel: string, message: Buffer): Promise<unknown>;
  /** SPUBLISH. */
  spublish?(channel: string, message: Buffer): Promise<unknown>;
}

/** What is needed of the client that subscribes. */
export interface RedisSubscriber extends RedisClient {
  /** SUBSCRIBE. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** UNSUBSCRIBE. */
  unsubscribe(...channels: string[]): Promise<unknown>;
  /** SSUBSCRIBE. */
  ssubscribe?(...channels: string[]): Promise<unknown>;
  /** SUNSUBSCRIBE. */
  sunsubscribe?(...channels: string[]): Promise<unknown>;
  /** Has `listener` called when the client is ready, its connection closed, or closed for good. */
  on(event: "ready" | "close" | "end", listener: () => void): unknown;
  /** Has `listener` called with every message, as bytes. */
  on(
    event: "messageBuffer" | "smessageBuffer",
    listener: (channel: Uint8Array, message: Uint8Array) => void,
  ): unknown;
  /** Calls a listener off. */
  off(event: "ready" | "close" | "end", listener: () => void): unknown;
  /** Calls a listener off. */
  off(
    event: "messageBuffer" | "smessageBuffer",
    listener: (channel: Uint8Array, message: Uint8Array) => void,
  ): unknown;
}

/** Options of {@linkcode redisBackplane}. */
export interface RedisOptions extends BrokerOptions {
  /**
   * The client that publishes, made with `autoResendUnfulfilledCommands: false`. Others may use it
   * as well.
   */
  publisher: RedisPublisher;
  /** Another client, that subscribes. It may have other subscriptions, which are left alone. */
  subscriber: RedisSubscriber;
  /** SPUBLISH and SSUBSCRIBE instead of PUBLISH and SUBSCRIBE. Default: false. */
  sharded?: boolean;
}

/**
 * Makes a backplane over Redis. See the module for what it promises.
 *
 * @throws {TypeError} for an option of the wrong shape, for a `publisher` that would send again what
 * was not answered, for a client of a Redis Cluster, for `sharded` with clients that do not offer it.
 * @throws {RangeError} for an option out of range.
 *
 * @example
 * ```ts ignore
 * import { Redis } from "npm:ioredis";
 * import { redisBackplane } from "@roomcast/roomcast/redis";
 *
 * const options = { autoResendUnfulfilledCommands: false, keepAlive: 10_000 };
 * const [publisher, subscriber] = [new Redis(options), new Redis(options)];
 * await using backplane = redisBackplane({ publisher, subscriber, cluster: "chat" });
 * ```
 */
export function redisBackplane(options: RedisOptions): BrokerBackplane {
  checkClients(options);
  return new BrokerNode(options, (listener) => new RedisBroker(options, listener));
}

function checkClients({ publisher, subscriber, sharded = false }: RedisOptions): void {
  if (typeof sharded !== "boolean") {
    throw new TypeError(`sharded must be true or false, got ${typeof sharded}`);
  }
  checkMethods(
    "publisher",
    publisher,
    sharded ? "spublish" : "publish",
    "on",
    "off",
  );
  const commands = sharded
    ? ["ssubscribe", "sunsubscribe"] as const
    : ["subscribe", "unsubscribe"] as const;
  checkMethods("subscriber", subscriber, ...commands, "on", "off");
  if (publisher === subscriber as unknown) {
    throw new TypeError(
      "publisher and subscriber must be two clients: one that subscribes can do little else",
    );
  }
  if (publisher.options?.autoResendUnfulfilledCommands === true) {
    throw new TypeError(
      "publisher must be made with autoResendUnfulfilledCommands: false, " +
        "or messages that cross a broken connection would be heard twice",
    );
  }
  for (const [option, client] of Object.entries({ publisher, subscriber })) {
    if (client.options?.keyPrefix) throw new TypeError(`${option} must be made without keyPrefix`);
    if (client.status === "wait") {
      throw new TypeError(`${option} must have begun to connect: it was made with lazyConnect`);
    }
    if (client.isCluster) {
      throw new TypeError(
        `${option} must be a client of one server, which may be any of a Redis Cluster, ` +
          "and not a cluster client",
      );
    }
  }
}

class RedisBroker implements Broker {
  /** Redis's own limit is far beyond what `Rooms` would send. */
  readonly maxPayloadBytes = 512 * 1024 * 1024;
  readonly #publisher: RedisPublisher;
  readonly #subscriber: RedisSubscriber;
  readonly #sharded: boolean;
  readonly #listener: BrokerListener;
  readonly #subscriptions: RedisSubscriptions;
  readonly #messageEvent: "messageBuffer" | "smessageBuffer";
  readonly #decoder = new TextDecoder();
  readonly #onChange = () => this.#listener.onReach(this.reach);
  /** False also while the subscriptions of a new connection are not in force. */
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
    for (const event of ["ready", "close"] as const) publisher.on(event, this.#onChange);
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
      // Of a connection that has broken, `down` tells how much it was.
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

  async close(limit: Promise<void>): Promise<void> {
    for (const event of ["ready", "close"] as const) this.#publisher.off(event, this.#onChange);
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
    // At the start, what is wanted for the whole cluster comes after this.
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
