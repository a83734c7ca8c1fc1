/** Names of channels in one command: a bound on its length, and none on their number. */
const BATCH = 500;

/** The commands that subscribe. */
export interface SubscribeCommands {
  /** False: only one channel may go into a command. */
  readonly several: boolean;
  subscribe(channels: string[]): Promise<unknown>;
  unsubscribe(channels: string[]): Promise<unknown>;
}

/**
 * Brings the subscriptions of one connection in line with what is wanted.
 *
 * At most one round of commands is under way, and what changes meanwhile waits as a set of names, so
 * that rooms that come and go faster than the broker answers pile nothing up. A new connection
 * begins anew, whatever has become of the commands of the old one: clients may resend them, fail
 * them, or never speak of them again.
 */
export class RedisSubscriptions {
  readonly #commands: SubscribeCommands;
  readonly #onRefused: (channel: string, cause: unknown) => void;
  readonly #wanted = new Set<string>();
  /** What the broker has confirmed on this connection. */
  readonly #inForce = new Set<string>();
  /**
   * What the client was told to subscribe to and has not confirmed to have unsubscribed: clients may
   * subscribe again to it by themselves on a new connection.
   */
  readonly #told = new Set<string>();
  /** Channels that may not be in line with `#wanted`. */
  #changed = new Set<string>();
  /** Counts connections; undefined while there is none. */
  #connection: number | undefined;
  #connections = 0;
  #running = false;
  /** Those who wait for `ready`, and how many channels are to be brought in line first. */
  #waiting: { remaining: number; readonly promise: PromiseWithResolvers<void> }[] = [];
  #ended = false;
  #leaving = false;
  /** Channels of the round that is under way. */
  #underWay = 0;

  constructor(
    commands: SubscribeCommands,
    onRefused: (channel: string, cause: unknown) => void,
  ) {
    this.#commands = commands;
    this.#onRefused = onRefused;
  }

  /** True if messages of this channel are for us. */
  wants(channel: string): boolean {
    return this.#wanted.has(channel);
  }

  add(channel: string): void {
    this.#wanted.add(channel);
    this.#change(channel);
  }

  delete(channel: string): void {
    this.#wanted.delete(channel);
    this.#change(channel);
  }

  /** There is a connection, and it knows of nothing. */
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

  /** There is none any more. */
  disconnected(): void {
    this.#connection = undefined;
    if (this.#leaving) this.#forget();
  }

  /** There will not be another, unless the client is told to connect after all. */
  ended(): void {
    this.#ended = true;
    for (const { promise } of this.#waiting) promise.reject(noConnection());
    this.#waiting = [];
  }

  /**
   * Resolves when all that is wanted now is in line, or has been refused. It does not wait for what
   * changes later: a server that is busy would never be ready.
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
   * Wants nothing any more. Resolves when the broker knows; or when the client does, which is to tell
   * it on the next connection.
   */
  async leave(): Promise<void> {
    this.#leaving = true;
    for (const channel of [...this.#wanted]) this.delete(channel);
    if (this.#connection === undefined) return this.#forget();
    await this.ready();
  }

  /** Has a client that is cut off forget what it was told: it would subscribe again by itself. */
  #forget(): void {
    const channels = [...this.#told];
    for (let at = 0; at < channels.length; at += BATCH) {
      // Some clients keep no commands while they are cut off.
      this.#commands.unsubscribe(channels.slice(at, at + BATCH)).catch(() => {});
    }
    this.#count(Infinity);
  }

  /** So many channels have been brought in line. */
  #count(channels: number): void {
    this.#waiting = this.#waiting.filter((waiting) => {
      waiting.remaining -= channels;
      if (waiting.remaining > 0) return true;
      waiting.promise.resolve();
      return false;
    });
  }

  #change(channel: string): void {
    // Without a connection nothing is noted: on the next, all must be brought in line.
    if (this.#connection === undefined) return;
    this.#changed.add(channel);
    if (!this.#running) this.#run();
  }

  async #run(): Promise<void> {
    const connection = this.#connection;
    this.#running = true;
    // What else changes in this turn goes with it.
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
      // Of a connection that has broken nothing else was to be expected.
      if (connection !== this.#connection) return;
      if (command === "subscribe") {
        // One that is not permitted takes all others of its command with it.
        if (channels.length > 1) return void await oneByOne();
        return this.#onRefused(channels[0], cause);
      }
      // Valkey refuses to end what it does not know of. Should a subscription be left all the same,
      // what it brings is not wanted, and ignored.
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

function noConnection(): Error {
  return new Error("the connection to Redis has been closed");
}
