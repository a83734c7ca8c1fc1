import { FrameError, readRoom, SESSION_MAX_FRAME_BYTES } from "../codec/mod.ts";
import type { PublishReport } from "../rooms/mod.ts";
import { checkBroadcast } from "./_check_broadcast.ts";
import { ENVELOPE_BYTES, open, seal, SENDER_BYTES } from "./_envelope.ts";
import { Interest } from "./_interest.ts";
import { describe, platformRandom, platformTimers, wholeNumber } from "./_options.ts";
import { Overflow } from "./_overflow.ts";
import { Receivers } from "./_receivers.ts";
import { checkCluster } from "./_cluster.ts";
import { clusterTopic, isTopicOf, roomTopic } from "./_topics.ts";
import type {
  BackplaneTimers,
  BrokerBackplane,
  BrokerOptions,
  BrokerStats,
} from "./broker_backplane.ts";
import { backplaneEvent, type BrokerEventDetails } from "./events.ts";

/** How long the engine may take at shutdown to confirm what it was handed. */
const LEAVE_LIMIT_MS = 2_000;

/**
 * What an engine was handed and has not confirmed. When the connection breaks, a new one takes its
 * place: confirmations that come late are counted off the old one, and change nothing.
 */
export interface Outstanding {
  messages: number;
  bytes: number;
  /** False when the connection has broken, and what it was has been told. */
  current: boolean;
}

/** In which directions an engine is within reach. */
export interface Reach {
  readonly sends: boolean;
  readonly hears: boolean;
}

/** An engine, as {@linkcode Broker} needs it. None of its methods but `publish` may throw. */
export interface Engine {
  /** Largest payload that it carries. */
  readonly maxPayloadBytes: number;
  /** Whether messages can be handed over, and whether they are heard; it says when that changes. */
  readonly reach: Reach;
  /**
   * Hands over a payload, which has been added to `outstanding`, and takes it from there once the
   * engine has it. False if the engine is out of reach, which it may know before it has told.
   */
  publish(topic: string, payload: Uint8Array, outstanding: Outstanding): boolean;
  /** Wants what is published on a topic, from now on and over broken connections. */
  subscribe(topic: string): void;
  /** Does not want it any more. */
  unsubscribe(topic: string): void;
  /** Resolves when all wishes so far are in force or refused; rejects if the client has ended. */
  ready(): Promise<void>;
  /**
   * Ends all subscriptions and lets go of the client. Resolves when the engine knows, or once `limit`
   * has resolved.
   */
  close(limit: Promise<void>): Promise<void>;
}

/** What an engine tells. */
export interface EngineListener {
  onPayload(payload: Uint8Array): void;
  onReach(reach: Reach): void;
  /** Something has been taken from `outstanding`. */
  onConfirmed(): void;
  onRefused(topic: string, cause: unknown): void;
  /** A message that was handed over is lost, as the engine has refused it. */
  onLost(topic: string, cause: unknown): void;
}

/** What NATS and Redis have in common: everything but how bytes get there. */
export class Broker extends EventTarget implements BrokerBackplane {
  readonly openRoom: ((room: string) => void) | undefined;
  readonly closeRoom: ((room: string) => void) | undefined;

  readonly #engine: Engine;
  readonly #cluster: string;
  readonly #byRoom: boolean;
  readonly #maxMessageBytes: number;
  readonly #maxQueuedBytes: number;
  readonly #timers: BackplaneTimers;
  readonly #self: Uint8Array;
  readonly #interest = new Interest();
  readonly #receivers = new Receivers();
  #outstanding: Outstanding = { messages: 0, bytes: 0, current: true };
  #reach: Reach;
  readonly #overflow: Overflow;
  #onSettled: () => void = () => {};
  #stopped = false;
  #shutdown: Promise<void> | undefined;
  #messagesIn = 0;
  #bytesIn = 0;
  #messagesOut = 0;
  #bytesOut = 0;
  #dropped = 0;
  #droppedWhenUp = 0;
  #unconfirmed = 0;
  #malformed = 0;

  constructor(options: BrokerOptions, start: (listener: EngineListener) => Engine) {
    super();
    const { interest = "cluster", timers = platformTimers, randomBytes = platformRandom } = options;
    this.#cluster = checkCluster(options.cluster);
    if (interest !== "cluster" && interest !== "room") {
      throw new RangeError(`interest must be "cluster" or "room", got ${JSON.stringify(interest)}`);
    }
    this.#byRoom = interest === "room";
    this.#maxMessageBytes = wholeNumber(
      "maxMessageBytes",
      options.maxMessageBytes,
      SESSION_MAX_FRAME_BYTES,
    );
    this.#maxQueuedBytes = wholeNumber("maxQueuedBytes", options.maxQueuedBytes, 16 * 1024 * 1024);
    this.#overflow = new Overflow(
      this.#maxQueuedBytes,
      () => this.#emit("overflow", { dropped: this.#dropped }),
    );
    if (typeof randomBytes !== "function") {
      throw new TypeError(`randomBytes must be a function, got ${describe(randomBytes)}`);
    }
    this.#timers = timers;
    this.#self = randomBytes(SENDER_BYTES);
    this.#engine = start({
      onPayload: (payload) => this.#onPayload(payload),
      onReach: (reach) => this.#onReach(reach),
      onConfirmed: () => this.#confirmed(),
      onRefused: (topic, cause) => this.#onRefused(topic, cause),
      onLost: (topic, cause) => this.#onLost(topic, cause),
    });
    this.#reach = this.#engine.reach;
    if (this.#byRoom) {
      this.openRoom = (room) => this.#openRoom(room);
      this.closeRoom = (room) => this.#closeRoom(room);
    } else {
      this.#engine.subscribe(clusterTopic(this.#cluster));
    }
  }

  get connected(): boolean {
    return this.#reach.sends && this.#reach.hears && !this.#stopped;
  }

  get maxMessageBytes(): number {
    return Math.min(this.#maxMessageBytes, this.#engine.maxPayloadBytes - ENVELOPE_BYTES);
  }

  get stats(): BrokerStats {
    return {
      messagesIn: this.#messagesIn,
      bytesIn: this.#bytesIn,
      messagesOut: this.#messagesOut,
      bytesOut: this.#bytesOut,
      queuedBytes: this.#outstanding.bytes,
      dropped: this.#dropped,
      unconfirmed: this.#unconfirmed,
      malformed: this.#malformed,
    };
  }

  publish(message: Uint8Array): PublishReport {
    const topic = this.#topicOf(message);
    if (this.#stopped) return { peers: 0, dropped: 0 };
    // Clients keep what they are given while they are cut off, without a limit, and may or may not
    // send it later. A message that is late by an outage is of no use to a room.
    if (!this.#reach.sends) return this.#drop();
    const size = ENVELOPE_BYTES + message.length;
    const outstanding = this.#outstanding;
    if (outstanding.bytes > 0 && outstanding.bytes + size > this.#maxQueuedBytes) {
      this.#overflow.happened();
      return this.#drop();
    }
    outstanding.messages++;
    outstanding.bytes += size;
    if (!this.#handOver(topic, message, outstanding)) {
      outstanding.messages--;
      outstanding.bytes -= size;
      return this.#drop();
    }
    this.#messagesOut++;
    this.#bytesOut += size;
    return { peers: 1, dropped: 0 };
  }

  subscribe(receive: (message: Uint8Array) => void): void {
    this.#receivers.add(receive);
  }

  async ready(): Promise<void> {
    const checkRunning = () => {
      if (this.#stopped) throw new Error("the backplane has been shut down");
    };
    checkRunning();
    await this.#engine.ready();
    checkRunning();
  }

  shutdown(): Promise<void> {
    this.#shutdown ??= this.#stop();
    return this.#shutdown;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #emit<Type extends keyof BrokerEventDetails>(type: Type, detail: BrokerEventDetails[Type]): void {
    this.dispatchEvent(backplaneEvent(type, detail));
  }

  #topicOf(message: Uint8Array): string {
    const roomEnd = checkBroadcast(message, this.maxMessageBytes);
    return this.#byRoom
      ? roomTopic(this.#cluster, readRoom(message, roomEnd))
      : clusterTopic(this.#cluster);
  }

  #handOver(topic: string, message: Uint8Array, outstanding: Outstanding): boolean {
    try {
      return this.#engine.publish(topic, seal(this.#self, message), outstanding);
    } catch (cause) {
      // Later, so that a listener that publishes does not do so in the midst of a publish.
      queueMicrotask(() => this.#onRefused(topic, cause));
      return false;
    }
  }

  #openRoom(room: string): void {
    if (this.#stopped || !this.#interest.open(room)) return;
    this.#engine.subscribe(roomTopic(this.#cluster, room));
  }

  #closeRoom(room: string): void {
    if (this.#stopped || !this.#interest.close(room)) return;
    this.#engine.unsubscribe(roomTopic(this.#cluster, room));
  }

  #onPayload(payload: Uint8Array): void {
    if (this.#stopped) return;
    this.#bytesIn += payload.length;
    try {
      const message = open(payload, this.#self);
      if (message === undefined) return;
      this.#receivers.deliver(message);
      this.#messagesIn++;
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#malformed++;
      this.#emit("malformed", { code: error.code });
    }
  }

  #onReach({ sends, hears }: Reach): void {
    const before = this.#reach;
    this.#reach = { sends, hears };
    const lost = before.sends && !sends ? this.#outstanding.messages : 0;
    if (before.sends && !sends) {
      this.#outstanding.current = false;
      this.#outstanding = { messages: 0, bytes: 0, current: true };
      this.#overflow.update(0);
      this.#unconfirmed += lost;
    }
    if (before.sends && before.hears) this.#droppedWhenUp = this.#dropped;
    if (this.#stopped) {
      // Nothing of what was handed over will be confirmed any more.
      if (!sends) this.#onSettled();
      return;
    }
    if (before.sends && !sends || before.hears && !hears) {
      this.#emit("down", { sends, hears, unconfirmed: lost });
    } else if (sends && hears && !(before.sends && before.hears)) {
      this.#emit("up", { dropped: this.#dropped - this.#droppedWhenUp });
    }
  }

  #onLost(topic: string, cause: unknown): void {
    // Others may use the client as well, for other clusters or other things.
    if (!isTopicOf(this.#cluster, topic)) return;
    this.#dropped++;
    this.#onRefused(topic, cause);
  }

  #onRefused(topic: string, cause: unknown): void {
    if (!this.#stopped) this.#emit("refused", { topic, cause });
  }

  #drop(): PublishReport {
    this.#dropped++;
    return { peers: 0, dropped: 1 };
  }

  #confirmed(): void {
    this.#overflow.update(this.#outstanding.bytes);
    if (this.#outstanding.messages === 0) this.#onSettled();
  }

  async #stop(): Promise<void> {
    this.#stopped = true;
    const limit = Promise.withResolvers<void>();
    const timer = this.#timers.setTimeout(limit.resolve, LEAVE_LIMIT_MS);
    await Promise.all([
      Promise.race([limit.promise, this.#settled()]),
      this.#engine.close(limit.promise),
    ]);
    this.#timers.clearTimeout(timer);
    this.#unconfirmed += this.#outstanding.messages;
    this.#outstanding = { messages: 0, bytes: 0, current: true };
  }

  /** Resolves when the engine has confirmed everything, or never will. */
  async #settled(): Promise<void> {
    if (!this.#reach.sends || this.#outstanding.messages === 0) return;
    await new Promise<void>((resolve) => this.#onSettled = resolve);
  }
}
