import type { Listener } from "../mesh/transport.ts";
import { End } from "./_connection.ts";
import type { Schedule } from "./_schedule.ts";
import type { Host } from "./_host.ts";
import type { Delay, NetworkOptions, SimulatedNetwork } from "./network.ts";
import type { Random } from "./random.ts";

/** A lost request for a connection is repeated after this time, as in TCP. */
const CONNECT_RETRY_MS = 1_000;

/** The path from one host to another. */
export interface Path {
  /** True: nothing gets through. */
  readonly isBlocked: boolean;
  /** Bytes per millisecond; `Infinity` without a limit. */
  readonly bytesPerMs: number;
  /** How long the next piece takes, in milliseconds. */
  delayMs(): number;
}

/** A listener, as the network sees it. */
export interface ListeningPort {
  readonly host: Host;
  readonly listener: Listener;
  readonly binding: Uint8Array | undefined;
  /** Takes a connection in. */
  enter(end: End): void;
}

/** What is wrong with the path from one host to another. */
interface PathFault {
  isBlocked: boolean;
  bytesPerMs: number | undefined;
  delay: Delay | undefined;
}

/** See {@linkcode SimulatedNetwork}. */
export class Network implements SimulatedNetwork {
  /** Bytes that may be written to a connection and not yet read, each way. */
  readonly bufferBytes: number;
  readonly encrypted: boolean;
  readonly #schedule: Schedule;
  readonly #random: Random;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #delay: Delay;
  readonly #maxChunkBytes: number;
  readonly #faults = new Map<string, PathFault>();
  readonly #hosts = new Map<string, Host>();
  readonly #ports = new Map<string, ListeningPort>();
  #connections: [End, End][] = [];

  constructor(
    schedule: Schedule,
    random: Random,
    trace: ((line: string) => void) | undefined,
    options: NetworkOptions = {},
  ) {
    const { delay = { minMs: 0.2, maxMs: 2 }, maxChunkBytes = 16 * 1024 } = options;
    checkDelay(delay);
    this.#schedule = schedule;
    this.#random = random;
    this.#trace = trace;
    this.#delay = delay;
    this.#maxChunkBytes = wholeNumber("maxChunkBytes", maxChunkBytes);
    this.bufferBytes = wholeNumber("bufferBytes", options.bufferBytes ?? 64 * 1024);
    this.encrypted = options.encrypted ?? true;
  }

  /** Simulated time, in milliseconds since 1970. */
  get now(): number {
    return this.#schedule.now;
  }

  partition(
    from: Iterable<string>,
    to: Iterable<string>,
    { oneWay = false }: { oneWay?: boolean } = {},
  ): void {
    const others = [...to];
    for (const a of from) {
      for (const b of others) {
        if (a === b) continue;
        this.#fault(a, b).isBlocked = true;
        if (!oneWay) this.#fault(b, a).isBlocked = true;
      }
    }
  }

  throttle(from: string, to: string, bytesPerSecond: number): void {
    if (!(bytesPerSecond > 0)) {
      throw new RangeError(`bytesPerSecond must be above 0, got ${bytesPerSecond}`);
    }
    this.#fault(from, to).bytesPerMs = bytesPerSecond / 1000;
  }

  delay(from: string, to: string, delay: Delay): void {
    checkDelay(delay);
    this.#fault(from, to).delay = delay;
  }

  heal(): void {
    this.#faults.clear();
    for (const ends of this.#alive()) for (const end of ends) end.out.resume();
  }

  reset(a: string, b: string): number {
    const between = this.#between(a, b);
    for (const ends of between) {
      for (const end of ends) end.fail(new Error("connection reset"));
    }
    return between.length;
  }

  halfOpen(from: string, to: string): number {
    const between = this.#between(from, to);
    for (const ends of between) {
      for (const end of ends) if (end.host.hostname === from) end.out.isDead = true;
    }
    return between.length;
  }

  connectionsBetween(a: string, b: string): number {
    return this.#between(a, b).length;
  }

  /** True if a host of this name is up. */
  hasHost(hostname: string): boolean {
    return this.#hosts.has(hostname);
  }

  /** The path from one host to another, as it is now. */
  path(from: string, to: string): Path {
    const fault = this.#faults.size > 0 ? this.#faults.get(pathKey(from, to)) : undefined;
    const { minMs, maxMs } = fault?.delay ?? this.#delay;
    return {
      isBlocked: fault?.isBlocked ?? false,
      bytesPerMs: fault?.bytesPerMs ?? Infinity,
      delayMs: () => this.#random.between(minMs, maxMs),
    };
  }

  /** How many of `length` bytes arrive together. */
  chunkSize(length: number): number {
    // Mostly the largest size, as on a real network, with pieces of any size in between.
    const size = this.#random.chance(0.3)
      ? this.#random.integer(1, this.#maxChunkBytes)
      : this.#maxChunkBytes;
    return Math.min(length, size);
  }

  /** Calls `run` after `delayMs`. */
  after(delayMs: number, run: () => void): void {
    this.#schedule.after(delayMs, run);
  }

  /** Adds a line to the trace. */
  trace(line: () => string): void {
    this.#trace?.(line());
  }

  /** A host is up. */
  attach(host: Host): void {
    this.#hosts.set(host.hostname, host);
  }

  /** A host is gone. */
  detach(host: Host): void {
    this.#hosts.delete(host.hostname);
    for (const [key, port] of this.#ports) if (port.host === host) this.#ports.delete(key);
  }

  /** Opens a port. @throws {Error} if the address is in use. */
  listen(port: ListeningPort): void {
    const key = portKey(port.host.hostname, port.listener.address.port);
    if (this.#ports.has(key)) {
      throw Object.assign(new Error(`address in use: ${key}`), { code: "EADDRINUSE" });
    }
    this.#ports.set(key, port);
  }

  /** Closes a port. */
  unlisten(port: ListeningPort): void {
    const key = portKey(port.host.hostname, port.listener.address.port);
    if (this.#ports.get(key) === port) this.#ports.delete(key);
  }

  /** Makes a connection. */
  connect(
    from: Host,
    to: { hostname: string; port: number },
    { signal }: { signal: AbortSignal },
  ): Promise<End> {
    const { promise, resolve, reject } = Promise.withResolvers<End>();
    let end: End | undefined;
    const cancel = () => {
      end?.close();
      reject(signal.reason);
    };
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    const settle = (outcome: () => void) =>
      from.run(() => {
        signal.removeEventListener("abort", cancel);
        outcome();
      });
    const attempt = () => {
      if (signal.aborted || from.state === "crashed") return;
      const there = this.path(from.hostname, to.hostname);
      const back = this.path(to.hostname, from.hostname);
      const retry = () => this.after(CONNECT_RETRY_MS, attempt);
      // Nothing gets through, or nobody is there: the request is repeated.
      if (there.isBlocked || back.isBlocked) return retry();
      this.after(there.delayMs(), () => {
        if (from.state === "crashed") return;
        if (!this.#hosts.has(to.hostname)) return retry();
        const port = this.#ports.get(portKey(to.hostname, to.port));
        const answer = port ? "connected" : "refused";
        this.trace(() => `${from.hostname} > ${to.hostname} ${answer}`);
        if (port === undefined) {
          const refused = new Error(`connection refused by ${to.hostname}:${to.port}`);
          return this.after(back.delayMs(), () => settle(() => reject(refused)));
        }
        if (signal.aborted) return;
        const made = end = this.#connected(from, port);
        this.after(back.delayMs(), () => settle(() => resolve(made)));
      });
    };
    attempt();
    return promise;
  }

  #connected(from: Host, port: ListeningPort): End {
    const { host, listener, binding } = port;
    const ends: [End, End] = [
      new End({
        network: this,
        host: from,
        remoteAddress: listener.address,
        binding,
        peer: () => ends[1],
      }),
      new End({
        network: this,
        host,
        remoteAddress: { hostname: from.hostname, port: from.pickPort() },
        binding,
        peer: () => ends[0],
      }),
    ];
    this.#connections.push(ends);
    from.hold(ends[0]);
    host.hold(ends[1]);
    port.enter(ends[1]);
    return ends[0];
  }

  #between(a: string, b: string): [End, End][] {
    return this.#alive().filter(([left, right]) => {
      const [from, to] = [left.host.hostname, right.host.hostname];
      return (from === a && to === b) || (from === b && to === a);
    });
  }

  #alive(): [End, End][] {
    this.#connections = this.#connections.filter(([a, b]) => a.host.holds(a) || b.host.holds(b));
    return this.#connections;
  }

  #fault(from: string, to: string): PathFault {
    const key = pathKey(from, to);
    let fault = this.#faults.get(key);
    if (fault === undefined) {
      fault = { isBlocked: false, bytesPerMs: undefined, delay: undefined };
      this.#faults.set(key, fault);
    }
    return fault;
  }
}

function pathKey(from: string, to: string): string {
  return `${from} ${to}`;
}

function portKey(hostname: string, port: number): string {
  return `${hostname} ${port}`;
}

function checkDelay({ minMs, maxMs }: Delay): void {
  if (minMs >= 0 && maxMs >= minMs) return;
  throw new RangeError(`delay must have 0 <= minMs <= maxMs, got ${minMs} and ${maxMs}`);
}

function wholeNumber(option: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new RangeError(`${option} must be a whole number from 1, got ${value}`);
}
