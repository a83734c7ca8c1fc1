import { BrokerError } from "./broker_error.ts";

/** Most channels in one command. It bounds the length of a command, not the number of channels. */
const BATCH = 500;

/** The commands that subscribe. */
export interface SubscribeCommands {
  /** False: a command may name only one channel. */
  readonly several: boolean;
  subscribe(channels: string[]): Promise<unknown>;
  unsubscribe(channels: string[]): Promise<unknown>;
}

/**
 * Brings the subscriptions of one connection in line with what is wanted.
 *
 * At most one round of commands is under way. What changes meanwhile waits as a set of names, so
 * nothing piles up when rooms come and go faster than the broker answers. On a new connection, it
 * asks for everything again, whatever became of the commands on the old one: clients may resend
 * them, fail them, or never settle them.
 */
export class RedisSubscriptions {
  readonly #commands: SubscribeCommands;
  readonly #onRefused: (channel: string, cause: unknown) => void;
  readonly #wanted = new Set<string>();
  /** Channels that the broker has confirmed on this connection. */
  readonly #inForce = new Set<string>();
  /**
   * Channels that the client was told to subscribe to, until it has confirmed that it has
   * unsubscribed. A client may subscribe to them again by itself on a new connection.
   */
  readonly #told = new Set<string>();
  /** Channels that may differ from `#wanted`. */
  #changed = new Set<string>();
  /** Counts connections; undefined while there is none. */
  #connection: number | undefined;
  #connections = 0;
  #running = false;
  /** Calls of `ready` that wait, and how many channels must be settled first. */
  #waiting: { remaining: number; readonly promise: PromiseWithResolvers<void> }[] = [];
  #ended = false;
  #leaving = false;
  /** Channels in the round that is under way. */
  #underWay = 0;

  constructor(
    commands: SubscribeCommands,
    onRefused: (channel: string, cause: unknown) => void,
  ) {
    this.#commands = commands;
    this.#onRefused = onRefused;
  }

  /** True if this backplane wants the messages of a channel. */
  wants(channel: string): boolean {
    return this.#wanted.has(channel);
  }

  /** Wants a channel. If it has been refused, asks for it again. */
  add(channel: string): void {
    this.#wanted.add(channel);
    this.#change(channel);
  }

  /** Stops wanting a channel. */
  delete(channel: string): void {
    this.#wanted.delete(channel);
    this.#change(channel);
  }

  /** There is a new connection, without subscriptions. */
  connected(): void {
    this.#connection = ++this.#connections;
    this.#ended = false;
    this.#running = false;
    this.#inForce.clear();
    this.#changed = new Set([...this.#told, ...this.#wanted]);
    this.#underWay = 0;
    for (const waiting of this.#waiting) waiting.remaining = this.#changed.size;
    this.#count(0);
    this.#run();
  }

  /** The connection has ended. */
  disconnected(): void {
    this.#connection = undefined;
    if (this.#leaving) this.#forget();
  }

  /** There will be no other connection, unless somebody tells the client to connect after all. */
  ended(): void {
    this.#ended = true;
    for (const { promise } of this.#waiting) promise.reject(noConnection());
    this.#waiting = [];
  }

  /**
   * Resolves when every channel that is wanted now is in force or refused. It does not wait for
   * what changes later, because a busy server would never be ready.
   *
   * @throws {BrokerError} `closed`.
   */
  async ready(): Promise<void> {
    if (this.#ended) throw noConnection();
    const remaining = this.#underWay + this.#changed.size;
    if (this.#connection !== undefined && remaining === 0) return;
    const promise = Promise.withResolvers<void>();
    this.#waiting.push({ remaining, promise });
    await promise.promise;
  }

  /**
   * Stops wanting everything. Resolves when the broker has confirmed it. Without a connection, the
   * client is told to forget the channels instead.
   */
  async leave(): Promise<void> {
    this.#leaving = true;
    for (const channel of [...this.#wanted]) this.delete(channel);
    if (this.#connection === undefined) return this.#forget();
    await this.ready();
  }

  /**
   * Tells a disconnected client to forget its channels, because it might subscribe to them again.
   */
  #forget(): void {
    const channels = [...this.#told];
    for (let at = 0; at < channels.length; at += BATCH) {
      // It fails on clients that keep no commands while they are disconnected.
      this.#commands.unsubscribe(channels.slice(at, at + BATCH)).catch(() => {});
    }
    this.#count(Infinity);
  }

  /** Counts channels that have been settled. */
  #count(channels: number): void {
    this.#waiting = this.#waiting.filter((waiting) => {
      waiting.remaining -= channels;
      if (waiting.remaining > 0) return true;
      waiting.promise.resolve();
      return false;
    });
  }

  #change(channel: string): void {
    // Without a connection there is nothing to note: the next one asks for everything.
    if (this.#connection === undefined) return;
    this.#changed.add(channel);
    if (!this.#running) this.#run();
  }

  async #run(): Promise<void> {
    const connection = this.#connection;
    this.#running = true;
    // Waits for what else changes in this turn.
    await undefined;
    while (connection === this.#connection && this.#changed.size > 0) {
      const batch = this.#take();
      this.#underWay = batch.length;
      await Promise.all([
        this.#send(connection, "subscribe", batch.filter((c) => this.#lacks(c))),
        this.#send(connection, "unsubscribe", batch.filter((c) => this.#exceeds(c))),
      ]);
      if (connection !== this.#connection) return;
      this.#underWay = 0;
      this.#count(batch.length);
    }
    if (connection === this.#connection) this.#running = false;
  }

  #take(): string[] {
    const batch: string[] = [];
    for (const channel of this.#changed) {
      if (batch.length === BATCH) break;
      batch.push(channel);
      this.#changed.delete(channel);
    }
    return batch;
  }

  #lacks(channel: string): boolean {
    return this.#wanted.has(channel) && !this.#inForce.has(channel);
  }

  #exceeds(channel: string): boolean {
    return !this.#wanted.has(channel) && this.#told.has(channel);
  }

  async #send(
    connection: number | undefined,
    command: "subscribe" | "unsubscribe",
    channels: string[],
  ): Promise<void> {
    if (channels.length === 0) return;
    const oneByOne = () =>
      Promise.all(channels.map((channel) => this.#send(connection, command, [channel])));
    if (!this.#commands.several && channels.length > 1) return void await oneByOne();
    if (command === "subscribe") channels.forEach((channel) => this.#told.add(channel));
    try {
      await this.#commands[command](channels);
    } catch (cause) {
      // The connection has broken, so its commands have failed.
      if (connection !== this.#connection) return;
      if (command === "subscribe") {
        // Redis refuses the whole command for one channel that is not permitted.
        if (channels.length > 1) return void await oneByOne();
        return this.#onRefused(channels[0], cause);
      }
      // Valkey refuses to end a subscription that it does not know. If one remains all the same,
      // its messages are ignored.
    }
    if (connection !== this.#connection) return;
    for (const channel of channels) {
      if (command === "subscribe") {
        this.#inForce.add(channel);
      } else {
        this.#inForce.delete(channel);
        this.#told.delete(channel);
      }
    }
  }
}

/** The client has ended, so it will never answer. */
export function noConnection(): BrokerError {
  return new BrokerError("closed", "the connection to Redis has been closed");
}
