import { setImmediate } from "node:timers";
import { Schedule } from "./_schedule.ts";
import { Host } from "./_host.ts";
import { Network } from "./_network.ts";
import type { SimulatedHost } from "./host.ts";
import type { NetworkOptions, SimulatedNetwork } from "./network.ts";
import { Random } from "./random.ts";

/** When simulated time begins, in milliseconds since 1970. Any time will do. */
const START_MS = 1_000_000_000_000;

/** How long {@linkcode Simulation.complete} and {@linkcode Simulation.runUntil} wait by default. */
const LIMIT_MS = 60_000;

/** Options of a {@linkcode Simulation}. */
export interface SimulationOptions extends NetworkOptions {
  /** Decides everything that is left to chance; a whole number from 0 to 2⁵³−1. */
  seed: number;
  /**
   * Gets a line for each thing that happens on the network. Two runs with one seed give the same
   * lines.
   */
  onTrace?: (line: string) => void;
  /** Called after every step, once everything that it caused has come to rest: for invariants. */
  onStep?: () => void;
}

/**
 * Hosts and a network between them, on simulated time, all within this process. A seed decides
 * everything that is left to chance.
 *
 * Time passes only in {@linkcode run}, {@linkcode runUntil} and {@linkcode complete}, and jumps
 * from one step to the next. Between two steps the event loop gets a turn, so that all promises
 * come to rest. So simulated time never waits for real time, and real time never decides what comes
 * first. This holds as long as the code on the hosts waits only for the simulation and for other
 * promises, as a node does that was started with the options of its host.
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
  /** Decides everything that is left to chance. */
  readonly seed: number;
  /** For the test's own decisions. The simulation itself does not use it. */
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

  /** How many steps have run so far. */
  get stepCount(): number {
    return this.#stepCount;
  }

  /**
   * Starts a host under a new name, or under the name of a host that has crashed.
   *
   * @throws {RangeError} if a host of that name is up.
   */
  startHost(hostname: string): SimulatedHost {
    if (this.network.hasHost(hostname)) throw new RangeError(`a host ${hostname} is already up`);
    const host = new Host(hostname, {
      schedule: this.#schedule,
      network: this.#network,
      random: this.#hostRandom.fork(),
    });
    this.#network.attach(host);
    return host;
  }

  /** Calls `callback` after `delayMs` of simulated time, outside any host: for later faults. */
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
   * Lets time pass until `condition` is true, which is checked after every step. Returns how long
   * that took, in milliseconds.
   *
   * @throws {Error} if it is not true after `limitMs` (default: 60,000).
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
      throw new Error(`the condition was not met within ${limitMs} ms of simulated time`);
    }
    return this.now - start;
  }

  /**
   * Lets time pass until a promise is settled, and returns what it resolves to.
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
 * Waits until all promises have come to rest. A turn of the event loop begins only when no
 * microtask is left, however many follow from each other, and nothing here waits for anything else.
 */
function rest(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
