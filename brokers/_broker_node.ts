import type { PublishReport } from "../backplane/backplane.ts";
import { checkMessage } from "../backplane/check_message.ts";
import { checkFunction, oneOf, wholeNumber } from "../backplane/checks.ts";
import { systemRandom, systemTimers, type Timers } from "../backplane/clock.ts";
import { MalformedEvent, OverflowEvent, RefusedEvent } from "../backplane/events.ts";
import { toHex } from "../backplane/hex.ts";
import { OpenRooms } from "../backplane/open_rooms.ts";
import { Overflow } from "../backplane/overflow.ts";
import { Receivers } from "../backplane/receivers.ts";
import { checkRoomBroadcast, FrameError, readRoom, SESSION_MAX_FRAME_BYTES } from "../codec/mod.ts";
import type { Broker, BrokerListener, Outstanding, Reach } from "./_broker.ts";
import { checkCluster } from "./_cluster.ts";
import { ENVELOPE_BYTES, open, seal, SENDER_BYTES, senderOf } from "./_envelope.ts";
import { clusterTopic, isTopicOf, roomTopic } from "./_topics.ts";
import type { BrokerBackplane, BrokerOptions, BrokerStats } from "./broker_backplane.ts";
import { DownEvent, UpEvent } from "./events.ts";

/** How long the broker may take at shutdown to confirm what it was handed. */
const LEAVE_LIMIT_MS = 2_000;

/** What NATS and Redis have in common: everything but how bytes get there. */
export class BrokerNode extends EventTarget implements BrokerBackplane {
  readonly openRoom: ((room: string) => void) | undefined;
  readonly closeRoom: ((room: string) => void) | undefined;

  readonly #broker: Broker;
  readonly #cluster: string;
  readonly #byRoom: boolean;
  readonly #maxMessageBytes: number;
  readonly #maxQueuedBytes: number;
  readonly #timers: Timers;
  readonly nodeId: string;
  readonly #self: Uint8Array;
  readonly #openRooms = new OpenRooms();
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

  constructor(options: BrokerOptions, start: (listener: BrokerListener) => Broker) {
    super();
    const { timers = systemTimers, randomBytes = systemRandom } = options;
    this.#cluster = checkCluster(options.cluster);
    this.#byRoom = oneOf("interest", options.interest, ["cluster", "room"]) === "room";
    this.#maxMessageBytes = wholeNumber(
      "maxMessageBytes",
      options.maxMessageBytes,
      SESSION_MAX_FRAME_BYTES,
    );
    this.#maxQueuedBytes = wholeNumber("maxQueuedBytes", options.maxQueuedBytes, 16 * 1024 * 1024);
    this.#overflow = new Overflow(
      this.#maxQueuedBytes,
      () => this.dispatchEvent(new OverflowEvent(undefined, this.#dropped)),
    );
    checkFunction("randomBytes", randomBytes);
    this.#timers = timers;
    this.#self = randomBytes(SENDER_BYTES);
    this.nodeId = toHex(this.#self);
    this.#broker = start({
      onPayload: (payload) => this.#onPayload(payload),
      onReach: (reach) => this.#onReach(reach),
      onConfirmed: () => this.#confirmed(),
      onRefused: (topic, cause) => this.#onRefused(topic, cause),
      onLost: (topic, cause) => this.#onLost(topic, cause),
    });
    this.#reach = this.#broker.reach;
    if (this.#byRoom) {
      this.openRoom = (room) => this.#openRoom(room);
      this.closeRoom = (room) => this.#closeRoom(room);
    } else {
      this.#broker.subscribe(clusterTopic(this.#cluster));
    }
  }

  get connected(): boolean {
    return this.#reach.sends && this.#reach.hears && !this.#stopped;
  }

  get maxMessageBytes(): number {
    return Math.min(this.#maxMessageBytes, this.#broker.maxPayloadBytes - ENVELOPE_BYTES);
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

  publish(message: Uint8Array, from?: Disposable): PublishReport {
    checkMessage(message, this.maxMessageBytes);
    if (this.#stopped) return { peers: 0, dropped: 0 };
    const report = this.#publish(message);
    this.#receivers.deliverLocally(message, this.nodeId, from);
    return report;
  }

  #publish(message: Uint8Array): PublishReport {
    const topic = this.#topicOf(message);
    // Clients keep what they are given while they are cut off, without a limit, and may or may not
    // send it later. A message that is late by an outage is of no use to a room.
    if (!this.#reach.sends) return this.#drop();
    const size = ENVELOPE_BYTES + message.length;
    const outstanding = this.#outstanding;
    if (outstanding.bytes > 0 && outstanding.bytes + size > this.#maxQueuedBytes) {
      this.#overflow.dropped();
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

  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable {
    return this.#receivers.add(receive);
  }

  async ready(): Promise<void> {
    const checkRunning = () => {
      if (this.#stopped) throw new Error("the backplane has been shut down");
    };
    checkRunning();
    await this.#broker.ready();
    checkRunning();
  }

  shutdown(): Promise<void> {
    this.#shutdown ??= this.#stop();
    return this.#shutdown;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #topicOf(message: Uint8Array): string {
    return this.#byRoom
      ? roomTopic(this.#cluster, readRoom(message, checkRoomBroadcast(message)))
      : clusterTopic(this.#cluster);
  }

  #handOver(topic: string, message: Uint8Array, outstanding: Outstanding): boolean {
    try {
      return this.#broker.publish(topic, seal(this.#self, message), outstanding);
    } catch (cause) {
      // Later, so that a listener that publishes does not do so in the midst of a publish.
      queueMicrotask(() => this.#onRefused(topic, cause));
      return false;
    }
  }

  #openRoom(room: string): void {
    if (this.#stopped || !this.#openRooms.open(room)) return;
    this.#broker.subscribe(roomTopic(this.#cluster, room));
  }

  #closeRoom(room: string): void {
    if (this.#stopped || !this.#openRooms.close(room)) return;
    this.#broker.unsubscribe(roomTopic(this.#cluster, room));
  }

  #onPayload(payload: Uint8Array): void {
    if (this.#stopped) return;
    this.#bytesIn += payload.length;
    try {
      const message = open(payload, this.#self);
      if (message === undefined) return;
      this.#receivers.deliver(message, senderOf(payload));
      this.#messagesIn++;
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#malformed++;
      this.dispatchEvent(new MalformedEvent(undefined, error.code));
    }
  }

  #onReach({ sends, hears }: Reach): void {
    const before = this.#reach;
    this.#reach = { sends, hears };
    const lost = before.sends && !sends ? this.#outstanding.messages : 0;
    if (before.sends && !sends) {
      this.#outstanding.current = false;
      this.#outstanding = { messages: 0, bytes: 0, current: true };
      this.#overflow.drained(0);
      this.#unconfirmed += lost;
    }
    if (before.sends && before.hears) this.#droppedWhenUp = this.#dropped;
    if (this.#stopped) {
      // Nothing of what was handed over will be confirmed any more.
      if (!sends) this.#onSettled();
      return;
    }
    if (before.sends && !sends || before.hears && !hears) {
      this.dispatchEvent(new DownEvent({ sends, hears, unconfirmed: lost }));
    } else if (sends && hears && !(before.sends && before.hears)) {
      this.dispatchEvent(new UpEvent(this.#dropped - this.#droppedWhenUp));
    }
  }

  #onLost(topic: string, cause: unknown): void {
    // Others may use the client as well, for other clusters or other things.
    if (!isTopicOf(this.#cluster, topic)) return;
    this.#dropped++;
    this.#onRefused(topic, cause);
  }

  #onRefused(topic: string, cause: unknown): void {
    if (!this.#stopped) this.dispatchEvent(new RefusedEvent(topic, "refused-by-broker", cause));
  }

  #drop(): PublishReport {
    this.#dropped++;
    return { peers: 0, dropped: 1 };
  }

  #confirmed(): void {
    this.#overflow.drained(this.#outstanding.bytes);
    if (this.#outstanding.messages === 0) this.#onSettled();
  }

  async #stop(): Promise<void> {
    this.#stopped = true;
    const limit = Promise.withResolvers<void>();
    const timer = this.#timers.setTimeout(limit.resolve, LEAVE_LIMIT_MS);
    await Promise.all([
      Promise.race([limit.promise, this.#settled()]),
      this.#broker.close(limit.promise),
    ]);
    this.#timers.clearTimeout(timer);
    this.#unconfirmed += this.#outstanding.messages;
    this.#outstanding = { messages: 0, bytes: 0, current: true };
  }

  /** Resolves when the broker has confirmed everything, or never will. */
  async #settled(): Promise<void> {
    if (!this.#reach.sends || this.#outstanding.messages === 0) return;
    await new Promise<void>((resolve) => this.#onSettled = resolve);
  }
}
