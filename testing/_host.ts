import type { Clock } from "../backplane/clock.ts";
import type { Address, Connection, Listener } from "../mesh/transport.ts";
import type { End } from "./_connection.ts";
import type { Entry, Schedule } from "./_schedule.ts";
import type { ListeningPort, Network } from "./_network.ts";
import type { HostOptions, HostState, SimulatedHost } from "./host.ts";
import type { Random } from "./random.ts";

/** The first of the ports that are picked. */
const FIRST_FREE_PORT = 49_152;

/** See {@linkcode SimulatedHost}. */
export class Host implements SimulatedHost {
  readonly hostname: string;
  readonly #schedule: Schedule;
  readonly #network: Network;
  readonly #random: Random;
  readonly #ends = new Set<End>();
  readonly #timers = new Map<number, Entry>();
  readonly #ports = new Set<ListeningPort>();
  /** What would have run while it was paused. */
  #missed: (() => void)[] = [];
  #nextTimer = 1;
  #nextPort = FIRST_FREE_PORT;
  #jumpedMs = 0;
  #state: HostState = "running";

  constructor(
    hostname: string,
    { schedule, network, random }: {
      schedule: Schedule;
      network: Network;
      random: Random;
    },
  ) {
    this.hostname = hostname;
    this.#schedule = schedule;
    this.#network = network;
    this.#random = random;
  }

  get state(): HostState {
    return this.#state;
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  get connectionCount(): number {
    return this.#ends.size;
  }

  get listenerCount(): number {
    return this.#ports.size;
  }

  get options(): HostOptions {
    return {
      transport: {
        listen: (address) => this.#listen(address),
        connect: (address, options) => this.#network.connect(this, address, options),
      },
      clock: this.clock,
      randomBytes: (size) => this.#random.bytes(size),
    };
  }

  get clock(): Clock {
    return {
      now: () => this.#schedule.now + this.#jumpedMs,
      setTimeout: (callback, delayMs) => this.#setTimeout(callback, delayMs),
      clearTimeout: (timer) => this.#clearTimeout(timer),
    };
  }

  pause(): void {
    if (this.#state === "running") this.#state = "paused";
  }

  wake(): void {
    if (this.#state !== "paused") return;
    this.#state = "running";
    const missed = this.#missed;
    this.#missed = [];
    for (const callback of missed) this.#schedule.after(0, () => this.run(callback));
  }

  jumpClock(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`ms must be 0 or more, got ${ms}`);
    this.#jumpedMs += ms;
  }

  crash({ silent = false }: { silent?: boolean } = {}): void {
    if (this.#state === "crashed") return;
    this.#state = "crashed";
    for (const end of this.#ends) end.die(!silent);
    for (const entry of this.#timers.values()) entry.isCancelled = true;
    this.#ends.clear();
    this.#timers.clear();
    this.#ports.clear();
    this.#missed = [];
    this.#network.detach(this);
  }

  /** Runs code of this host: now, when it wakes, or never. */
  run(callback: () => void): void {
    if (this.#state === "running") callback();
    else if (this.#state === "paused") this.#missed.push(callback);
  }

  /** Adds a connection. */
  hold(end: End): void {
    this.#ends.add(end);
  }

  /** Removes a connection. */
  forget(end: End): void {
    this.#ends.delete(end);
  }

  /** True if a connection is open here. */
  holds(end: End): boolean {
    return this.#ends.has(end);
  }

  /** A port that is free. */
  pickPort(): number {
    if (this.#nextPort > 0xffff) this.#nextPort = FIRST_FREE_PORT;
    return this.#nextPort++;
  }

  #setTimeout(callback: () => void, delayMs: number): number {
    const id = this.#nextTimer++;
    if (this.#state === "crashed") return id;
    const entry = this.#schedule.after(delayMs, () =>
      this.run(() => {
        // It may have been cancelled while the host was paused.
        if (this.#timers.delete(id)) callback();
      }));
    this.#timers.set(id, entry);
    return id;
  }

  #clearTimeout(timer: unknown): void {
    if (typeof timer !== "number") return;
    const entry = this.#timers.get(timer);
    if (entry !== undefined) entry.isCancelled = true;
    this.#timers.delete(timer);
  }

  #listen({ port }: Address): Promise<Listener> {
    const waiting: PromiseWithResolvers<Connection>[] = [];
    const arrived: End[] = [];
    const address = { hostname: this.hostname, port: port === 0 ? this.pickPort() : port };
    let isOpen = true;
    const listening: ListeningPort = {
      host: this,
      binding: this.#network.encrypted ? this.#random.bytes(32) : undefined,
      listener: {
        address,
        accept: () => {
          if (!isOpen) return Promise.reject(new Error("the listener is closed"));
          const end = arrived.shift();
          if (end !== undefined) return Promise.resolve(end);
          const accept = Promise.withResolvers<Connection>();
          waiting.push(accept);
          return accept.promise;
        },
        close: () => {
          isOpen = false;
          this.#network.unlisten(listening);
          this.#ports.delete(listening);
          for (const { reject } of waiting.splice(0)) reject(new Error("the listener is closed"));
          for (const end of arrived.splice(0)) end.close();
        },
      },
      enter: (end) => {
        arrived.push(end);
        this.run(() => {
          // An `accept` that did not have to wait may have taken it.
          if (waiting.length === 0 || arrived.length === 0) return;
          waiting.shift()?.resolve(arrived.splice(0, 1)[0]);
        });
      },
    };
    try {
      this.#network.listen(listening);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#ports.add(listening);
    return Promise.resolve(listening.listener);
  }
}
