/** Names of channels in one command: a bound on its length, and none on their number. */
const BATCH = 500;

/** The commands that subscribe, and whether several channels may go into one. */
export interface SubscribeCommands {
  subscribe(channels: string[]): Promise<unknown>;
  unsubscribe(channels: string[]): Promise<unknown>;
}

/**
 * Brings the subscriptions of one connection in line with what is wanted.
 *
 * At most one round of commands is under way, and what changes meanwhile waits as a set of names, so
 * that rooms that come and go faster than the engine answers pile nothing up. A new connection
 * begins anew, whatever has become of the commands of the old one: clients may resend them, fail
 * them, or never speak of them again.
 */
export class RedisSubscriptions {
  readonly #commands: SubscribeCommands;
  readonly #onRefused: (channel: string, cause: unknown) => void;
  readonly #wanted = new Set<string>();
  /** What this connection has subscribed to. */
  #known = new Set<string>();
  /** Channels of which `#wanted` and `#known` may disagree. */
  #changed = new Set<string>();
  /** Counts connections; undefined while there is none. */
  #connection: number | undefined;
  #connections = 0;
  #running = false;
  #idle: PromiseWithResolvers<void> | undefined;

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

  clear(): void {
    for (const channel of [...this.#wanted]) this.delete(channel);
  }

  /** There is a connection, and it knows of nothing. */
  connected(): void {
    this.#connection = ++this.#connections;
    this.#running = false;
    // The client itself may have subscribed again to what it knew before, wanted or not: what is not
    // wanted any more stays known, so that it is unsubscribed.
    for (const channel of this.#wanted) this.#known.delete(channel);
    this.#changed = new Set([...this.#known, ...this.#wanted]);
    this.#run();
  }

  /** There is none any more. */
  disconnected(): void {
    this.#connection = undefined;
  }

  /** Resolves when all is in line, as of now or later. */
  async ready(): Promise<void> {
    if (this.#isIdle()) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  #isIdle(): boolean {
    return this.#connection !== undefined && !this.#running && this.#changed.size === 0;
  }

  #change(channel: string): void {
    this.#changed.add(channel);
    if (this.#connection !== undefined && !this.#running) this.#run();
  }

  async #run(): Promise<void> {
    const connection = this.#connection;
    this.#running = true;
    // What else changes in this turn goes with it.
    await undefined;
    while (connection === this.#connection && this.#changed.size > 0) {
      const batch = this.#take();
      await Promise.all([
        this.#send(connection, "subscribe", batch.filter((c) => this.#lacks(c))),
        this.#send(connection, "unsubscribe", batch.filter((c) => this.#exceeds(c))),
      ]);
    }
    if (connection !== this.#connection) return;
    this.#running = false;
    this.#idle?.resolve();
    this.#idle = undefined;
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
    return this.#wanted.has(channel) && !this.#known.has(channel);
  }

  #exceeds(channel: string): boolean {
    return !this.#wanted.has(channel) && this.#known.has(channel);
  }

  async #send(
    connection: number | undefined,
    command: "subscribe" | "unsubscribe",
    channels: string[],
  ): Promise<void> {
    if (channels.length === 0) return;
    try {
      await this.#commands[command](channels);
    } catch (cause) {
      // Of a connection that has broken nothing else was to be expected.
      if (connection !== this.#connection) return;
      for (const channel of channels) this.#onRefused(channel, cause);
      return;
    }
    if (connection !== this.#connection) return;
    for (const channel of channels) {
      if (command === "subscribe") this.#known.add(channel);
      else this.#known.delete(channel);
    }
  }
}
