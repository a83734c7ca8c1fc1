/**
 * Whole clusters in one process, on simulated time and a simulated network: for tests of what a
 * cluster does when machines die, networks split and clocks jump. An hour takes seconds, and the
 * same seed gives the same run, event for event.
 *
 * A {@linkcode Simulation} starts hosts; a node runs on a host if it is started with the host's
 * `options`. Hosts crash, pause and wake. The network delays bytes, cuts them into pieces,
 * throttles, partitions, breaks and heals. `node:tls` is not simulated: connections have a
 * `binding` as if they were encrypted, unless `encrypted` is false.
 *
 * @example
 * ```ts
 * import { Rooms, startMesh } from "@roomcast/roomcast";
 * import { Simulation } from "@roomcast/roomcast/testing";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const simulation = new Simulation({ seed: 7, delay: { minMs: 1, maxMs: 50 } });
 * const cookie = "a secret of at least 16 bytes";
 * const hosts = ["10.0.0.1", "10.0.0.2"].map((name) => simulation.startHost(name));
 * const [a] = await Promise.all(hosts.map((host) =>
 *   startMesh({
 *     name: `chat@${host.hostname}:9000`,
 *     cookie,
 *     seeds: ["10.0.0.1:9000"],
 *     ...host.options,
 *   })
 * ));
 * const rooms = new Rooms({ backplane: a, timers: hosts[0].clock });
 * await simulation.runUntil(() => a.peers.length === 1);
 *
 * // The machine dies without a word, while a goes on sending.
 * hosts[1].crash({ silent: true });
 * assertEquals(rooms.broadcast("lobby", "hello").peers, 1); // it does not know yet
 * const tookMs = await simulation.runUntil(() => a.peers.length === 0);
 * assert(tookMs < 25_000);
 * await simulation.complete(a.shutdown());
 * ```
 *
 * @module
 */

export type { Clock, RandomBytes, Timers } from "../backplane/clock.ts";
export type { Address, Connection, Listener, Transport } from "../mesh/transport.ts";
export type { HostOptions, HostState, SimulatedHost } from "./host.ts";
export type { Delay, NetworkOptions, SimulatedNetwork } from "./network.ts";
export { Random } from "./random.ts";
export { Simulation, type SimulationOptions } from "./simulation.ts";
