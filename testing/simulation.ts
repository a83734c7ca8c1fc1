import { setImmediate } from "node:timers";
import { Schedule } from "./_schedule.ts";
import { Host } from "./_host.ts";
import { Network } from "./_network.ts";
import type { SimulatedHost } from "./host.ts";
import type { NetworkOptions, SimulatedNetwork } from "./network.ts";
import { Random } from "./random.ts";

/** When simulated time begins, in milliseconds since 1970: any time will do. */
const START_MS = 1_000_000_000_000;

/** Longest that {@linkcode Simulation.complete} and {@linkcode Simulation.runUntil} wait. */
const LIMIT_MS = 60_000;

/** Options of a {@linkcode Simulation}. */
export interface SimulationOptions extends NetworkOptions {
  /** What decides all that is left to chance; a whole number from 0 to 2⁵³−1. */
  seed: number;
  /** Gets a line for each thing that happens on the network; two runs of a seed give the same. */
  onTrace?: (line: string) => void;
  /** Called after every step, when all that it has led to has come to rest: for invariants. */
  onStep?: () => void;
}

/**
 * Hosts and a network between them, on simulated time, all within this process and decided by a seed.
 *
 * Time passes only in {@linkcode run}, {@linkcode runUntil} and {@linkcode complete}, from one thing
 * that is to happen to the next. Between two of them the event loop gets a turn, so that all promises
 * come to rest: simulated time never waits for real time, and real time never decides what comes
 * first. That holds as long as whatever runs on the hosts waits for nothing but the simulation and
 * other promises; a node that was started with the options of its host does not.
 *
 * @example
 * ```ts
 * import { startMesh } from "@roomcast/roomcast";
 * import { Simulation } from "@roomcast/roomcast/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const simulation = new Simulation({ seed: 1 });
 * const start = (hostname: string) =>
 *   startMesh({
 *     name: `chat@${hostname}:9000`,
 *     cookie: "a secret of at least 16 bytes",
 *     seeds: ["10.0.0.1:9000"],
 *     ...simulation.startHost(hostname).options,
 *   });
 * const a = await start("10.0.0.1");
 * const b = await start("10.0.0.2");
 * await simulation.runUntil(() => a.peers.length === 1 && b.peers.length === 1);
 *
 * // Nothing gets through any more, and the heartbeat notices.
 * simulation.network.partition(["10.0.0.1"], ["10.0.0.2"]);
 * await simulation.run(60_000);
 * assertEquals(a.peers.length, 0);
 *
 * simulation.network.heal();
 * await simulation.runUntil(() => a.peers.length === 1 && b.peers.length === 1);
 * await simulation.complete(Promise.all([a.shutdown(), b.shutdown()]));
 * ```
 */
export class Simulation {
  /** What decides all that is left to chance. */
  readonly seed: number;
  /** For decisions of the test's own; the simulation itself takes nothing from it. */
  readonly random: Random;
  /** The network between the hosts. */
  readonly network: SimulatedNetwork;
  readonly #network: Network;
  readonly #schedule = new Schedule(START_MS);
  readonly #hostRandom: Random;
  readonly #onStep: (() => void) | undefined;
  #stepCount = 0;

  /**
   * Makes a simulation without hosts.
   *
   * @throws {RangeError} for an option out of range.
   */
  constructor(options: SimulationOptions) {
    const { seed, onTrace, onStep } = options;
    const random = new Random(seed);
    this.seed = seed;
    this.#onStep = onStep;
    this.#hostRandom = random.fork();
    const trace = onTrace && ((line: string) => onTrace(`${this.elapsedMs.toFixed(3)} ${line}`));
    this.network = this.#network = new Network(this.#schedule, random.fork(), trace, options);
    this.random = random.fork();
  }

  /** Simulated time, in milliseconds since 1970. */
  get now(): number {
    return this.#schedule.now;
  }

  /** Simulated time since the beginning, in milliseconds. */
  get elapsedMs(): number {
    return this.#schedule.now - START_MS;
  }

  /** How many things have happened so far. */
  get stepCount(): number {
    return this.#stepCount;
  }

  /**
   * Starts a host under a name that no other has, or that of one that has crashed.
   *
   * @throws {RangeError} if a host of that name is up.
   */
  startHost(hostname: string): SimulatedHost {
    if (this.network.hasHost(hostname)) throw new RangeError(`there is a host ${hostname} already`);
    const host = new Host(hostname, {
      schedule: this.#schedule,
      network: this.#network,
      random: this.#hostRandom.fork(),
    });
    this.#network.attach(host);
    return host;
  }

  /** Calls `callback` after `delayMs` of simulated time, on no host: for faults to come. */
  after(delayMs: number, callback: () => void): void {
    this.#schedule.after(delayMs, callback);
  }

  /** Lets simulated time pass. */
  async run(ms: number): Promise<void> {
    const end = this.now + ms;
    await rest();
    while (await this.#step(end));
    this.#schedule.passUntil(end);
  }

  /**
   * Lets time pass until something is true, which is asked after every step. Gives how long that
   * took, in milliseconds.
   *
   * @throws {Error} if it is not true after `limitMs`, 60,000 unless told otherwise.
   */
  async runUntil(
    condition: () => boolean,
    { limitMs = LIMIT_MS }: { limitMs?: number } = {},
  ): Promise<number> {
    const start = this.now;
    await rest();
    while (!condition()) {
      if (await this.#step(start + limitMs)) continue;
      this.#schedule.passUntil(start + limitMs);
      if (condition()) break;
      throw new Error(`what was waited for has not come true in ${limitMs} ms of simulated time`);
    }
    return this.now - start;
  }

  /**
   * Lets time pass until a promise is settled, and gives what it resolves to.
   *
   * @throws what the promise rejects with, or an Error if it is not settled after `limitMs`.
   */
  async complete<T>(work: Promise<T>, options: { limitMs?: number } = {}): Promise<T> {
    let isSettled = false;
    const settled = () => {
      isSettled = true;
    };
    work.then(settled, settled);
    await this.runUntil(() => isSettled, options);
    return await work;
  }

  async #step(end: number): Promise<boolean> {
    const entry = this.#schedule.take(end);
    if (entry === undefined) return false;
    entry.run();
    await rest();
    this.#stepCount++;
    this.#onStep?.();
    return true;
  }
}

/**
 * Waits until all promises have come to rest. A turn of the event loop begins only when no microtask
 * is left, however many follow from each other, and nothing here waits for anything but those.
 */
function rest(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
