/**
 * Presence on real mesh nodes and real `Rooms`, on simulated time and a simulated network: what a seed
 * makes of them, and what must hold.
 */

import { type Mesh, Presence, Rooms, startMesh } from "../../mod.ts";
import { type Random, type SimulatedHost, Simulation } from "../../testing/mod.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { Violation } from "./_world.ts";

const COOKIE = "correct horse battery staple";
const ROOMS = ["lobby", "hall"];
const IDS = ["ann", "bob", "cid", "dan"];

/** Within this all must agree once every link is up. */
const AGREE_MS = 1_000;

/** How long links may take to come back after the last fault. */
const RELINK_MS = 90_000;

/** What a socket says of itself: where it is tracked, and which of all. */
interface Meta {
  readonly node: string;
  readonly n: number;
}

class MeshSite {
  readonly host: SimulatedHost;
  readonly mesh: Mesh;
  readonly rooms: Rooms<FakeSocket>;
  readonly presence: Presence<Meta>;
  readonly told = new Map<string, Set<string>>(ROOMS.map((room) => [room, new Set()]));
  readonly sockets: FakeSocket[] = [];
  /** What it tracks, as texts. */
  readonly own = new Map<FakeSocket, Map<string, string>>();
  isLeaving = false;
  #count = 0;

  constructor(host: SimulatedHost, mesh: Mesh, fail: (error: unknown) => void) {
    this.host = host;
    this.mesh = mesh;
    const { clock, options: { randomBytes } } = host;
    this.rooms = new Rooms({ backplane: mesh, timers: clock, onError: fail });
    this.presence = new Presence(this.rooms, { clock, randomBytes });
    this.presence.addEventListener("join", ({ room, id }) => {
      const ids = this.told.get(room);
      check(ids !== undefined && !ids.has(id), `${id} joins ${room} twice`);
      ids.add(id);
      this.checkLists();
    });
    this.presence.addEventListener("leave", ({ room, id }) => {
      check(this.told.get(room)?.delete(id) === true, `${id} leaves without having joined`);
      this.checkLists();
    });
    mesh.addEventListener("nodedown", ({ nodeId }) => {
      try {
        check(this.viewOf(nodeId) === "", `${nodeId} is down, and its entries are there`);
      } catch (error) {
        fail(error);
      }
    });
    for (let i = 0; i < 6; i++) this.sockets.push(new FakeSocket());
  }

  get isRunning(): boolean {
    return this.host.state === "running" && !this.isLeaving;
  }

  checkLists(): void {
    for (const [room, ids] of this.told) {
      const list = this.presence.list(room).map(({ id }) => id).sort().join();
      check([...ids].sort().join() === list, `${room}: told of ${[...ids]}, listed are ${list}`);
      check(this.presence.count(room) === ids.size, `${room} is counted wrongly`);
    }
  }

  change(random: Random): void {
    const at = random.integer(0, this.sockets.length - 1);
    const socket = this.sockets[at];
    const room = random.pick(ROOMS);
    const tracked = this.own.get(socket) ?? new Map<string, string>();
    switch (random.integer(0, 5)) {
      case 0:
        socket.emitClose();
        this.own.delete(socket);
        this.sockets[at] = new FakeSocket();
        break;
      case 1:
        check(this.presence.untrack(socket, room) === tracked.delete(room), "untrack");
        break;
      case 2:
        this.rooms.leave(socket, room);
        tracked.delete(room);
        break;
      default: {
        const meta = { node: this.mesh.nodeId, n: this.#count++ };
        const id = random.pick(IDS);
        check(this.presence.track(socket, room, id, meta), "track");
        tracked.set(room, `${room}/${id}/${meta.n}`);
        this.own.set(socket, tracked);
      }
    }
    this.checkLists();
  }

  /** What it tracks, as one text. */
  get ownText(): string {
    return [...this.own.values()].flatMap((rooms) => [...rooms.values()]).sort().join(" ");
  }

  /** What it sees of a node, as one text. */
  viewOf(nodeId: string): string {
    return this.#entries().filter(([node]) => node === nodeId).map(([, text]) => text).sort()
      .join(" ");
  }

  /** The nodes that it sees something of. */
  seen(): Set<string> {
    return new Set(this.#entries().map(([node]) => node));
  }

  #entries(): [node: string, text: string][] {
    return ROOMS.flatMap((room) =>
      this.presence.list(room).flatMap(({ id, metas }) =>
        metas.map((meta): [string, string] => {
          if (meta === null) throw new Violation("an entry without its meta");
          return [meta.node, `${room}/${id}/${meta.n}`];
        })
      )
    );
  }
}

/** How a seed has ended. */
export interface MeshOutcome {
  readonly seed: number;
  readonly violation: unknown;
  readonly log: readonly string[];
  readonly faults: number;
  readonly simulatedMs: number;
}

/** Runs a seed. */
export async function runMeshSeed(seed: number): Promise<MeshOutcome> {
  const run = new MeshRun(seed);
  let violation: unknown;
  try {
    await run.run();
  } catch (error) {
    violation = error;
  }
  const { log, faults, simulation } = run;
  violation = run.failure ?? violation;
  return { seed, violation, log, faults, simulatedMs: simulation.elapsedMs };
}

class MeshRun {
  readonly simulation: Simulation;
  readonly log: string[] = [];
  faults = 0;
  failure: unknown;
  readonly #random: Random;
  readonly #hostnames: string[];
  readonly #sites = new Map<string, MeshSite>();
  readonly #interest: "cluster" | "room";
  readonly #faultEveryMs: number;
  #isBusy = true;

  constructor(seed: number) {
    const random = new Simulation({ seed }).random;
    this.simulation = new Simulation({
      seed,
      delay: { minMs: 0.1, maxMs: random.pick([1, 20, 50]) },
      onStep: () => {
        if (this.failure !== undefined) throw this.failure;
      },
    });
    this.#random = this.simulation.random;
    const size = random.pick([2, 3, 3, 4, 5]);
    this.#hostnames = Array.from({ length: size }, (_, i) => `10.0.0.${i + 1}`);
    this.#interest = random.pick(["cluster", "room"] as const);
    this.#faultEveryMs = random.pick([2_000, 8_000]);
  }

  async run(): Promise<void> {
    const { simulation } = this;
    const random = this.#random;
    await Promise.all(this.#hostnames.map((hostname) => this.#start(hostname)));
    await this.#agree();
    this.#repeat(() => random.between(0, 300), () => {
      const sites = this.#running;
      if (sites.length > 0) random.pick(sites).change(random);
    });
    this.#repeat(() => random.between(0, 2 * this.#faultEveryMs), () => this.#fault());
    await simulation.run(random.between(10_000, 60_000));
    this.#isBusy = false;
    this.log.push(`${simulation.elapsedMs.toFixed(0)} heal`);
    simulation.network.heal();
    for (const { host } of this.#sites.values()) if (host.state === "paused") host.wake();
    for (const [hostname, site] of this.#sites) {
      if (site.isLeaving) await simulation.runUntil(() => site.host.state === "crashed");
      if (site.host.state === "crashed") await this.#start(hostname);
    }
    await this.#agree();
    // Without faults, a change is everywhere within a second; mostly much sooner.
    for (let i = 0; i < 3; i++) {
      for (const site of this.#running) site.change(random);
      await simulation.run(200);
      this.#check();
    }
    await this.#leave();
  }

  get #running(): MeshSite[] {
    return [...this.#sites.values()].filter((site) => site.isRunning);
  }

  async #start(hostname: string): Promise<void> {
    const host = this.simulation.startHost(hostname);
    this.log.push(`${this.simulation.elapsedMs.toFixed(0)} start ${hostname}`);
    const starting = startMesh({
      name: `n@${hostname}:9000`,
      cookie: COOKIE,
      seeds: this.#hostnames.slice(0, 2).map((seed) => `${seed}:9000`),
      interest: this.#interest,
      ...host.options,
    });
    const mesh = await this.simulation.complete(starting);
    this.#sites.set(
      hostname,
      new MeshSite(host, mesh, (error) => {
        this.failure ??= error;
      }),
    );
  }

  /** Waits until all links are up, and then no longer than promised. */
  async #agree(): Promise<void> {
    const { simulation } = this;
    const sites = this.#running;
    const isLinked = () => sites.every(({ mesh }) => mesh.peers.length === sites.length - 1);
    await simulation.runUntil(isLinked, { limitMs: RELINK_MS });
    await simulation.run(AGREE_MS);
    this.#check();
  }

  #check(): void {
    const sites = this.#running;
    const living = new Set(sites.map(({ mesh }) => mesh.nodeId));
    for (const site of sites) {
      site.checkLists();
      for (const other of sites) {
        const view = site.viewOf(other.mesh.nodeId);
        check(
          view === other.ownText,
          `${site.mesh.name} sees of ${other.mesh.name} "${view}", which is "${other.ownText}"`,
        );
      }
      for (const node of site.seen()) check(living.has(node), `${site.mesh.name} sees a ghost`);
    }
  }

  #fault(): void {
    const random = this.#random;
    const { network } = this.simulation;
    const [a, b] = random.shuffled(this.#hostnames);
    const site = this.#sites.get(a);
    if (site === undefined) return;
    this.faults++;
    const fault = random.pick(["crash", "die", "leave", "pause", "pause", "partition", "reset"]);
    const longMs = random.pick([1_000, 10_000, 30_000]);
    this.log.push(`${this.simulation.elapsedMs.toFixed(0)} ${fault} ${a}`);
    if ((fault === "crash" || fault === "die") && site.isRunning) {
      site.host.crash({ silent: fault === "die" });
      this.#later(longMs, () => this.#restart(a));
    } else if (fault === "leave" && site.isRunning) {
      site.isLeaving = true;
      site.presence[Symbol.dispose]();
      site.rooms[Symbol.dispose]();
      void site.mesh.shutdown().then(() => site.host.crash());
      this.#later(longMs + 5_000, () => this.#restart(a));
    } else if (fault === "pause" && site.isRunning) {
      site.host.pause();
      this.#later(longMs, () => {
        if (site.host.state === "paused") site.host.wake();
      });
    } else if (fault === "partition") {
      const others = this.#hostnames.filter((hostname) => hostname !== a);
      network.partition([a], others);
      this.#later(longMs, () => network.heal());
    } else if (fault === "reset" && b !== undefined) {
      network.reset(a, b);
    }
  }

  #restart(hostname: string): void {
    if (!this.#isBusy || this.#sites.get(hostname)?.host.state !== "crashed") return;
    this.#start(hostname).catch((error) => {
      this.failure ??= error;
    });
  }

  /** All but one leave; the last has seen them go. */
  async #leave(): Promise<void> {
    const [last, ...others] = this.#running;
    for (const { presence, rooms } of others) {
      presence[Symbol.dispose]();
      rooms[Symbol.dispose]();
    }
    await this.simulation.run(200);
    check([...last.seen()].every((node) => node === last.mesh.nodeId), "somebody is left");
    last.presence[Symbol.dispose]();
    last.rooms[Symbol.dispose]();
    const shutdowns = [last, ...others].map(({ mesh }) => mesh.shutdown());
    await this.simulation.complete(Promise.all(shutdowns));
    for (const { host } of [last, ...others]) {
      check(host.timerCount === 0, `${host.timerCount} timers are left`);
    }
  }

  #later(maxMs: number, act: () => void): void {
    this.simulation.after(this.#random.between(0, maxMs), act);
  }

  #repeat(delay: () => number, act: () => void): void {
    this.simulation.after(delay(), () => {
      if (!this.#isBusy) return;
      try {
        act();
      } catch (error) {
        this.failure ??= error;
      }
      this.#repeat(delay, act);
    });
  }
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what);
}
