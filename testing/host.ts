import type { Clock, RandomBytes } from "../backplane/clock.ts";
import type { Transport } from "../mesh/transport.ts";

/** What a host is doing. */
export type HostState = "running" | "paused" | "crashed";

/** What a node on a host is started with, besides its own options. */
export interface HostOptions {
  /** Carries bytes over the simulated network. */
  readonly transport: Transport;
  /** The clock of the host. */
  readonly clock: Clock;
  /** Random bytes, which the seed determines. */
  readonly randomBytes: RandomBytes;
}

/**
 * A machine in a {@linkcode Simulation}, on which a node runs. Made by `Simulation.startHost`.
 *
 * While it is paused, none of its code runs. Timers fall due, and bytes arrive and wait, as in a
 * stopped process. Once it has crashed, none of its code ever runs again. Promises that its node
 * was waiting for stay unsettled, so a test must not wait for them either.
 */
export interface SimulatedHost {
  /** The name or address by which others reach it. */
  readonly hostname: string;
  /** What it is doing. */
  readonly state: HostState;
  /** Timers that have neither run nor been cancelled. */
  readonly timerCount: number;
  /** Connections with an end here that is not closed. */
  readonly connectionCount: number;
  /** Listeners that are not closed. */
  readonly listenerCount: number;
  /** What to start a node with: `startMesh({ name, cookie, ...host.options })`. */
  readonly options: HostOptions;
  /** The clock of this host, also for the `timers` of `Rooms`. */
  readonly clock: Clock;
  /** Stops everything that runs here, as a debugger or a long garbage collection does. */
  pause(): void;
  /** Resumes a paused host, with everything that it has missed. */
  wake(): void;
  /**
   * Sets the clock forward, as after a suspension that timers have not noticed.
   *
   * @param ms how far, in milliseconds.
   * @throws {RangeError} if that is negative: a `Clock` never runs backwards.
   */
  jumpClock(ms: number): void;
  /**
   * Ends everything that runs here, without a goodbye. By default only the process dies: the system
   * closes its connections, so others notice. With `silent` the machine dies, and nobody is told.
   * Afterwards a new host can be started under this name.
   */
  crash(options?: { silent?: boolean }): void;
}
