import type { PublishReport } from "../backplane/backplane.ts";
import { checkMessage } from "../backplane/check_message.ts";
import { checkFunction, oneOf, wholeNumber } from "../backplane/checks.ts";
import { systemRandom, systemTimers, type Timers } from "../backplane/clock.ts";
import { printError } from "../backplane/errors.ts";
import { MalformedEvent, MissedEvent, OverflowEvent, RefusedEvent } from "../backplane/events.ts";
import { GuardedEventTarget } from "../backplane/guarded_event_target.ts";
import { toHex } from "../codec/hex.ts";
import { OpenRooms } from "../backplane/open_rooms.ts";
import { Overflow } from "../backplane/overflow.ts";
import { Receivers } from "../backplane/receivers.ts";
import { FrameError, RoomNames, SESSION_MAX_FRAME_BYTES } from "../codec/mod.ts";
import type { Broker, BrokerListener, Outstanding, Reach } from "./_broker.ts";
import { checkCluster } from "./_cluster.ts";
import { copiesByRoom } from "./_copies.ts";
import { ENVELOPE_BYTES, open, seal, SENDER_BYTES, senderOf } from "./_envelope.ts";
import { RefusedTopics } from "./_refused_topics.ts";
import { clusterTopic, isTopicOf, roomTopic } from "./_topics.ts";
import type { BrokerBackplane, BrokerOptions, BrokerStats } from "./broker_backplane.ts";
import { BrokerError } from "./broker_error.ts";
import { type BrokerEventMap, type BrokerRefusedCode, DownEvent, UpEvent } from "./events.ts";

/** How long the broker may take at shutdown to confirm what it was handed. */
const LEAVE_LIMIT_MS = 2_000;

const DEFAULT_MAX_QUEUED_BYTES = 16 * 1024 * 1024;

/** A message with its topic. */
interface Parcel {
  readonly topic: string;
  readonly message: Uint8Array;
}

/** What NATS and Redis have in common: everything except how bytes get there. */
export class BrokerNode extends GuardedEventTarget<BrokerEventMap> implements BrokerBackplane {
  readonly nodeId: string;
  readonly openRoom: ((room: string) => void) | undefined;
  readonly closeRoom: ((room: string) => void) | undefined;

  readonly #broker: Broker;
  readonly #cluster: string;
  readonly #byRoom: boolean;
  readonly #maxMessageBytes: number;
  readonly #maxQueuedBytes: number;
  readonly #timers: Timers;
  readonly #self: Uint8Array;
  readonly #openRooms = new OpenRooms();
  readonly #roomNames = new RoomNames();
  readonly #receivers = new Receivers();
  readonly #refused: RefusedTopics;
  readonly #overflow: Overflow;
  #outstanding: Outstanding = { messages: 0, bytes: 0, current: true };
  /** The state that the broker has reported. */
  #brokerReach: Reach;
  /** The state that events have reported. */
  #reach: Reach;
  /** True if messages may have been missed since the last `missed` event. */
  #mayHaveMissed = false;
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
    super(printError);
    const { timers = systemTimers, randomBytes = systemRandom } = options;
    this.#cluster = checkCluster(options.cluster);
    this.#byRoom = oneOf("interest", options.interest, ["cluster", "room"]) === "room";
    this.#maxMessageBytes = wholeNumber(
      "maxMessageBytes",
      options.maxMessageBytes,
      SESSION_MAX_FRAME_BYTES,
    );
    this.#maxQueuedBytes = wholeNumber(
      "maxQueuedBytes",
      options.maxQueuedBytes,
      DEFAULT_MAX_QUEUED_BYTES,
    );
    this.#overflow = new Overflow(
      this.#maxQueuedBytes,
      () => this.dispatchEvent(new OverflowEvent(undefined, this.#dropped)),
    );
    checkFunction("randomBytes", randomBytes);
    this.#timers = timers;
    this.#refused = new RefusedTopics(timers, randomBytes, () => this.#askAgain());
    this.#self = randomBytes(SENDER_BYTES);
    this.nodeId = toHex(this.#self);
    this.#broker = start({
      onPayload: (payload) => this.#onPayload(payload),
      onReach: (reach) => this.#onReach(reach),
      onConfirmed: () => this.#onConfirmed(),
      onRefused: (topic, cause) => this.#onRefused(topic, cause),
      onLost: (topic, cause) => this.#onLost(topic, cause),
    });
    this.#brokerReach = this.#broker.reach;
    this.#reach = this.#brokerReach;
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

  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable {
    return this.#receivers.add(receive);
  }

  async ready(): Promise<void> {
    this.#checkRunning();
    await Promise.all([this.#broker.ready(), this.#broker.sends()]);
    this.#checkRunning();
    const refusal = this.#refused.first;
    // A room that is refused must not keep others waiting: its name may come from a client.
    if (refusal === undefined || this.#byRoom) return;
    const { topic, cause } = refusal;
    const message = `the broker refuses to subscribe this node to ${topic}: ${cause}`;
    throw new BrokerError("subscribe-refused", message, { topic, cause });
  }

  shutdown(): Promise<void> {
    this.#shutdown ??= this.#stop();
    return this.#shutdown;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #checkRunning(): void {
    if (this.#stopped) throw new BrokerError("shut-down", "the backplane has been shut down");
  }

  #publish(message: Uint8Array): PublishReport {
    const parcels = this.#parcels(message);
    // While it is disconnected, a client keeps whatever it is given, without a limit, and may or
    // may not send it later. A message that arrives after an outage is of no use to a room.
    if (!this.#reach.sends) return this.#drop();
    const { bytes } = this.#outstanding;
    const size = parcels.reduce((sum, parcel) => sum + sealedSize(parcel), 0);
    if (bytes > 0 && bytes + size > this.#maxQueuedBytes) {
      this.#overflow.dropped();
      return this.#drop();
    }
    const sent = parcels.filter((parcel) => this.#handOver(parcel)).length;
    if (sent < parcels.length) this.#dropped++;
    return { peers: sent > 0 ? 1 : 0, dropped: sent < parcels.length ? 1 : 0 };
  }

  #parcels(message: Uint8Array): Parcel[] {
    const cluster = this.#cluster;
    if (!this.#byRoom) return [{ topic: clusterTopic(cluster), message }];
    return copiesByRoom(message, this.#roomNames)
      .map(({ room, message }) => ({ topic: roomTopic(cluster, room), message }));
  }

  #handOver(parcel: Parcel): boolean {
    const { topic, message } = parcel;
    const size = sealedSize(parcel);
    const outstanding = this.#outstanding;
    outstanding.messages++;
    outstanding.bytes += size;
    let isSent = false;
    try {
      isSent = this.#broker.publish(topic, seal(this.#self, message), outstanding);
    } catch (cause) {
      // In a microtask, so that a listener cannot publish in the middle of a publish.
      queueMicrotask(() => this.#reportRefused(topic, "publish-refused", cause));
    }
    if (isSent) {
      this.#messagesOut++;
      this.#bytesOut += size;
    } else {
      outstanding.messages--;
      outstanding.bytes -= size;
    }
    return isSent;
  }

  #drop(): PublishReport {
    this.#dropped++;
    return { peers: 0, dropped: 1 };
  }

  #openRoom(room: string): void {
    if (this.#stopped || !this.#openRooms.open(room)) return;
    this.#broker.subscribe(roomTopic(this.#cluster, room));
  }

  #closeRoom(room: string): void {
    if (this.#stopped || !this.#openRooms.close(room)) return;
    const topic = roomTopic(this.#cluster, room);
    this.#refused.delete(topic);
    this.#broker.unsubscribe(topic);
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

  #onReach(reach: Reach): void {
    const before = this.#brokerReach;
    this.#brokerReach = reach;
    // The next connection asks for all subscriptions again, including the refused ones.
    if (before.hears && !reach.hears) this.#refused.beginRound();
    if (!before.hears && reach.hears) this.#refused.endRound();
    this.#update();
  }

  /** Reports what has changed. A node whose only subscription is refused receives nothing. */
  #update(): void {
    const before = this.#reach;
    const { sends } = this.#brokerReach;
    const isDeaf = !this.#byRoom && this.#refused.size > 0;
    const hears = this.#brokerReach.hears && !isDeaf;
    this.#reach = { sends, hears };
    const unconfirmed = before.sends && !sends ? this.#breakOff() : 0;
    if (before.sends && before.hears) this.#droppedWhenUp = this.#dropped;
    if (before.hears && !hears || isDeaf) this.#mayHaveMissed = true;
    if (this.#stopped) {
      // Nothing that was handed over will be confirmed any more.
      if (!sends) this.#onSettled();
      return;
    }
    if (before.sends && !sends || before.hears && !hears) {
      this.dispatchEvent(new DownEvent({ sends, hears, unconfirmed }));
    } else if (sends && hears && !(before.sends && before.hears)) {
      this.dispatchEvent(new UpEvent(this.#dropped - this.#droppedWhenUp));
    }
    if (sends && hears && this.#mayHaveMissed) this.#reportMissed();
  }

  /** Starts a new count for the next connection. Returns how many messages are unconfirmed. */
  #breakOff(): number {
    const { messages } = this.#outstanding;
    this.#outstanding.current = false;
    this.#outstanding = { messages: 0, bytes: 0, current: true };
    this.#overflow.drained(0);
    this.#unconfirmed += messages;
    return messages;
  }

  #reportMissed(): void {
    this.#mayHaveMissed = false;
    this.dispatchEvent(new MissedEvent(undefined));
  }

  #onRefused(topic: string, cause: unknown): void {
    if (this.#stopped) return;
    const isNew = this.#refused.add(topic, cause);
    if (isNew) this.#reportRefused(topic, "subscribe-refused", cause);
    this.#update();
  }

  async #askAgain(): Promise<void> {
    this.#refused.beginRound();
    for (const topic of this.#refused.topics()) this.#broker.subscribe(topic);
    await this.#broker.ready();
    if (this.#stopped || !this.#refused.endRound()) return;
    if (this.#byRoom) this.#mayHaveMissed = true;
    this.#update();
  }

  #onLost(topic: string, cause: unknown): void {
    // Others may use the client as well, for other clusters or other things.
    if (!isTopicOf(this.#cluster, topic)) return;
    this.#dropped++;
    this.#reportRefused(topic, "publish-refused", cause);
  }

  #reportRefused(topic: string, code: BrokerRefusedCode, cause: unknown): void {
    if (!this.#stopped) this.dispatchEvent(new RefusedEvent(topic, code, cause));
  }

  #onConfirmed(): void {
    this.#overflow.drained(this.#outstanding.bytes);
    if (this.#outstanding.messages === 0) this.#onSettled();
  }

  async #stop(): Promise<void> {
    this.#stopped = true;
    this.#refused.stop();
    const limit = Promise.withResolvers<void>();
    const timer = this.#timers.setTimeout(limit.resolve, LEAVE_LIMIT_MS);
    await Promise.all([
      Promise.race([limit.promise, this.#settled()]),
      this.#broker.close(limit.promise),
    ]);
    this.#timers.clearTimeout(timer);
    this.#breakOff();
  }

  /** Resolves when the broker has confirmed everything, or never will. */
  async #settled(): Promise<void> {
    if (!this.#reach.sends || this.#outstanding.messages === 0) return;
    await new Promise<void>((resolve) => this.#onSettled = resolve);
  }
}

function sealedSize({ message }: Parcel): number {
  return ENVELOPE_BYTES + message.length;
}
