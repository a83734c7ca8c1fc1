/** A simulated cluster under faults and traffic; see `_run.ts` for what is done with it. */

import { type Random, Simulation } from "../../testing/mod.ts";
import {
  FEATURE_GOODBYE,
  FEATURE_MISSED,
  FEATURE_ROOM_INTEREST,
  FEATURE_ROOM_MESSAGE,
} from "../../codec/mod.ts";
import { ALL_FEATURES } from "../../mesh/handshake.ts";
import { Ledger, type LinkRecord, type NodeKind, Violation } from "./_ledger.ts";
import { addressOf, nameOf, ROOMS, SimulatedNode } from "./_node.ts";

/** What a seed makes of a cluster. */
export interface Plan {
  readonly size: number;
  readonly faultsMs: number;
  /** Mean time between faults. */
  readonly faultEveryMs: number;
  /** Mean time between what clients do. */
  readonly trafficEveryMs: number;
  readonly maxQueuedBytes: number;
  readonly maxMessageBytes: number;
  readonly maxChunkBytes: number;
  readonly bufferBytes: number;
  readonly maxDelayMs: number;
  /** What each node that starts picks its cookies from: while they are rotated, nodes differ. */
  readonly cookies: readonly (readonly string[])[];
  /** What each node that starts picks from. */
  readonly kinds: readonly NodeKind[];
  /** Seeds as addresses instead of full names: whose they are is learnt by dialling. */
  readonly seedAddresses: boolean;
}

const OLD = "correct horse battery staple";
const NEW = "a staple of batteries, correctly";

/** The steps in which a cookie is rotated. Nodes may be one step apart. */
const ROTATION = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]];

/** How often even nodes are checked at which nothing has happened. */
const CHECK_ALL_STEPS = 100;

const CLUSTER: NodeKind = { interest: "cluster", features: ALL_FEATURES };
const ROOM: NodeKind = { interest: "room", features: ALL_FEATURES };
/** Older nodes: without any addition, and with some. */
const OLDER: readonly NodeKind[] = [
  { interest: "cluster", features: FEATURE_GOODBYE },
  { interest: "cluster", features: FEATURE_GOODBYE | FEATURE_ROOM_MESSAGE },
  { interest: "room", features: FEATURE_GOODBYE | FEATURE_ROOM_INTEREST },
  { interest: "room", features: FEATURE_GOODBYE | FEATURE_MISSED },
];

export function makePlan(random: Random): Plan {
  const size = random.pick([2, 2, 3, 3, 3, 4, 4, 5, 6, 8, 12, 16]);
  // The larger the cluster, the shorter the run: a seed should take a second at most.
  const minutes = random.between(0.3, 12 / size);
  const scale = random.pick(["small", "small", "middle", "large"] as const);
  return {
    size,
    faultsMs: minutes * 60_000,
    faultEveryMs: random.pick([500, 2_000, 5_000, 20_000]),
    trafficEveryMs: size * random.pick([20, 50, 100]),
    maxQueuedBytes: { small: 2_000, middle: 60_000, large: 1_000_000 }[scale],
    maxMessageBytes: { small: 200, middle: 5_000, large: 100_000 }[scale],
    maxChunkBytes: random.pick(
      // Pieces of 5 bytes between 16 nodes take the time of ten other seeds.
      scale === "small" ? [size > 6 ? 25 : 5, 50, 1_000, 1_000] : [5_000, 50_000],
    ),
    bufferBytes: random.pick(scale === "small" ? [500, 5_000] : [20_000, 200_000]),
    maxDelayMs: random.pick([1, 10, 50, 200]),
    cookies: random.pick([
      ROTATION.slice(0, 1),
      ...[0, 1, 2].map((step) => ROTATION.slice(step, step + 2)),
    ]),
    kinds: random.pick([[ROOM], [ROOM], [CLUSTER], [ROOM, CLUSTER], [ROOM, CLUSTER, ...OLDER]]),
    seedAddresses: random.chance(0.3),
  };
}

/** Counts of what was done, for the figures. */
export interface Counts {
  faults: number;
  messages: number;
  deliveries: number;
  steps: number;
  simulatedMs: number;
}

export class Cluster {
  readonly plan: Plan;
  readonly simulation: Simulation;
  readonly ledger: Ledger = new Ledger();
  readonly history: string[] = [];
  readonly hostnames: readonly string[];
  /** The nodes that are up, by host name. */
  readonly nodes = new Map<string, SimulatedNode>();
  faults = 0;
  violation: unknown;
  #isBusy = true;
  #trafficEveryMs: number;
  readonly #random: Random;
  readonly #work = new Set<Promise<void>>();

  constructor(seed: number, onTrace?: (line: string) => void) {
    const random = new Simulation({ seed }).random;
    this.plan = makePlan(random);
    this.simulation = new Simulation({
      seed,
      delay: { minMs: 0.1, maxMs: this.plan.maxDelayMs },
      maxChunkBytes: this.plan.maxChunkBytes,
      bufferBytes: this.plan.bufferBytes,
      encrypted: random.chance(0.5),
      onTrace,
      onStep: () => this.#afterStep(),
    });
    this.#random = this.simulation.random;
    this.#trafficEveryMs = this.plan.trafficEveryMs;
    this.hostnames = Array.from({ length: this.plan.size }, (_, i) => `10.0.0.${i + 1}`);
  }

  get running(): SimulatedNode[] {
    return [...this.nodes.values()].filter((node) => node.isRunning);
  }

  log(line: string): void {
    const seconds = (this.simulation.elapsedMs / 1000).toFixed(3);
    this.history.push(`${seconds.padStart(9)}  ${line}`);
  }

  /** Notes the first violation; the run ends with it. */
  fail(error: unknown): void {
    this.violation ??= error;
  }

  throwIfFailed(): void {
    if (this.violation !== undefined) throw this.violation;
  }

  async start(hostname: string): Promise<void> {
    const seeds = this.hostnames.slice(0, 2).map((seed) =>
      this.plan.seedAddresses ? addressOf(seed) : nameOf(seed)
    );
    this.log(`start ${nameOf(hostname)}`);
    const node = await SimulatedNode.start({
      simulation: this.simulation,
      ledger: this.ledger,
      hostname,
      seeds,
      cookie: this.#random.pick(this.plan.cookies),
      kind: this.#random.pick(this.plan.kinds),
      maxQueuedBytes: this.plan.maxQueuedBytes,
      maxMessageBytes: this.plan.maxMessageBytes,
      clusterSize: this.plan.size,
      log: (line) => this.log(line),
      onViolation: (error) => this.fail(error),
    });
    this.nodes.set(hostname, node);
  }

  /** Clients come, go and talk, until {@linkcode calm}. */
  beginTraffic(): void {
    const next = () => {
      this.simulation.after(this.#random.between(0, 2 * this.#trafficEveryMs), () => {
        if (!this.#isBusy) return;
        const node = this.running.length > 0 ? this.#random.pick(this.running) : undefined;
        if (node) this.#attempt(() => this.#clientsDo(node));
        next();
      });
    };
    next();
  }

  endTraffic(): void {
    this.#isBusy = false;
  }

  /** Has every node say something to every other. */
  broadcastFromAll(): void {
    for (const node of this.running) this.#attempt(() => node.broadcast(["lobby"], 100));
  }

  /** Does something bad. */
  injectFault(): void {
    this.faults++;
    const random = this.#random;
    const { network } = this.simulation;
    const [a, b] = random.shuffled(this.hostnames);
    const node = this.nodes.get(a);
    const later = (minMs: number, maxMs: number, act: () => void) =>
      this.simulation.after(random.between(minMs, maxMs), act);
    const fault = random.pick([
      ...["crash", "crash", "die", "shutdown", "pause", "pause", "jump"],
      ...["partition", "partition", "one way", "reset", "reset", "half-open", "stall"],
      ...["throttle", "delay", "heal", "heal"],
    ]);
    switch (fault) {
      case "crash":
      case "die":
        if (node === undefined || node.isLeaving) return;
        this.crash(a, fault === "die");
        return later(0, random.pick([1, 1_000, 60_000]), () => this.#restart(a));
      case "shutdown":
        if (node === undefined || node.isLeaving || node.host.state !== "running") return;
        return this.#run(this.shutdown(a));
      case "pause":
        if (node === undefined) return;
        this.log(`pause ${a}`);
        node.host.pause();
        return later(10, random.pick([1_000, 8_000, 60_000]), () => this.#wake(node));
      case "jump": {
        const ms = random.pick([1_000, 20_000, 700_000]);
        this.log(`the clock of ${a} jumps by ${ms} ms`);
        return node?.host.jumpClock(ms);
      }
      case "partition":
      case "one way": {
        const [one, ...rest] = random.shuffled(this.hostnames);
        const cut = random.integer(0, rest.length - 1);
        const [left, right] = [[one, ...rest.slice(0, cut)], rest.slice(cut)];
        const oneWay = fault === "one way";
        this.log(`partition${oneWay ? " (one way)" : ""} of ${left} from ${right}`);
        network.partition(left, right, { oneWay });
        return later(100, random.pick([5_000, 60_000]), () => this.heal());
      }
      case "reset":
        this.log(`reset between ${a} and ${b}`);
        network.reset(a, b);
        return;
      case "half-open":
        this.log(`half-open from ${a} to ${b}`);
        network.halfOpen(a, b);
        return;
      case "stall":
        this.log(`stall from ${a} to ${b}`);
        return network.partition([a], [b], { oneWay: true });
      case "throttle": {
        const rate = random.pick([500, 5_000, 100_000]);
        this.log(`throttle from ${a} to ${b}: ${rate} bytes/s`);
        return network.throttle(a, b, rate);
      }
      case "delay":
        this.log(`delay from ${a} to ${b}`);
        return network.delay(a, b, { minMs: 50, maxMs: random.pick([500, 3_000]) });
      case "heal":
        return this.heal();
    }
  }

  heal(): void {
    this.log("heal");
    this.simulation.network.heal();
  }

  crash(hostname: string, silent: boolean): void {
    this.log(silent ? `the machine ${hostname} dies` : `the process of ${hostname} is killed`);
    this.nodes.get(hostname)?.host.crash({ silent });
    this.nodes.delete(hostname);
  }

  async shutdown(hostname: string): Promise<void> {
    const node = this.nodes.get(hostname);
    if (node === undefined) return;
    this.log(`shut down ${hostname}`);
    node.isLeaving = true;
    await node.mesh.shutdown();
    this.#attempt(() => node.checkNothingLeft());
    node.host.crash();
    // It may have been killed and started anew meanwhile.
    if (this.nodes.get(hostname) === node) this.nodes.delete(hostname);
  }

  /** Ends all faults: heals, wakes, and starts what is down. */
  async repair(): Promise<void> {
    this.heal();
    // What is to come is long and quiet: most of the work should go into the faults.
    this.#trafficEveryMs *= 5;
    for (const node of this.nodes.values()) this.#wake(node);
    // Nodes on their way out get the time that they may take.
    await this.simulation.run(3_000);
    for (const hostname of this.hostnames) {
      if (!this.nodes.has(hostname)) await this.start(hostname);
    }
  }

  /** True if each node is linked to each other as it is now. */
  isComplete(): boolean {
    const nodes = [...this.nodes.values()];
    return nodes.length === this.plan.size &&
      nodes.every((node) => node.life.links.size === nodes.length - 1) &&
      nodes.every((node) =>
        nodes.every((other) =>
          other === node ||
          node.life.links.get(other.mesh.name)?.incarnation === other.mesh.incarnation
        )
      );
  }

  /** What must hold while the cluster is complete: one link for each pair, the same to both. */
  checkPairs(): void {
    const nodes = [...this.nodes.values()];
    for (const a of nodes) {
      for (const b of nodes) {
        if (a === b) continue;
        const [from, to] = [a, b].map((node) => node.host.hostname);
        const count = this.simulation.network.connectionsBetween(from, to);
        if (count !== 1) throw new Violation(`${count} connections between ${from} and ${to}`);
        const there = a.mesh.peers.find((peer) => peer.name === b.mesh.name);
        const back = b.mesh.peers.find((peer) => peer.name === a.mesh.name);
        if (there?.direction === back?.direction) {
          throw new Violation(`${from} and ${to} hold different links to each other`);
        }
      }
    }
  }

  /** Messages that are queued for a link which is up and have not arrived. */
  missing(): number {
    let sum = 0;
    for (const { life } of this.nodes.values()) {
      for (const link of life.links.values()) sum += link.missing;
    }
    return sum;
  }

  /** What the node at the other end of a link knows of it. */
  farEndOf({ incarnation }: LinkRecord, name: string): LinkRecord | undefined {
    return this.ledger.lifeOf(incarnation)?.links.get(name);
  }

  /** Dropped messages of links that are up, of which the peer has not been told. */
  unreported(): number {
    let sum = 0;
    for (const { life } of this.nodes.values()) {
      for (const link of life.links.values()) {
        if (!link.tellsMissed) continue;
        sum += Math.abs(link.dropped - (this.farEndOf(link, life.node)?.reported ?? 0));
      }
    }
    return sum;
  }

  /**
   * What must hold when rooms have not changed for a while: a broadcast goes to the nodes that want
   * it, and to no others.
   */
  checkInterest(): void {
    // A broadcast closes slow sockets, and with them perhaps a room.
    const open = new Map(this.running.map(({ life }) => [life, [...life.openRooms.keys()]]));
    for (const node of this.running) {
      for (const room of ROOMS) {
        // Sent, or dropped for a peer that wants it.
        const counts = () =>
          new Map(
            node.mesh.peers.map(({ name, messagesOut, dropped }) => [name, messagesOut + dropped]),
          );
        const before = counts();
        node.broadcast([room], 40);
        const after = counts();
        for (const { name, incarnation } of node.mesh.peers) {
          const other = this.ledger.lifeOf(incarnation);
          if (other === undefined) throw new Violation("a peer from nowhere");
          const isWanted = !other.announcesTo(node.life.kind) || open.get(other)?.includes(room);
          const isSent = after.get(name) !== before.get(name);
          if (isSent === isWanted) continue;
          const what = isSent ? "gets what it does not want" : "does not get what it wants";
          throw new Violation(`${name} ${what}: ${room} of ${node.life.node}`);
        }
      }
    }
  }

  get counts(): Counts {
    const { messages, deliveries } = this.ledger;
    const { stepCount: steps, elapsedMs: simulatedMs } = this.simulation;
    return { faults: this.faults, messages, deliveries, steps, simulatedMs };
  }

  #clientsDo(node: SimulatedNode): void {
    const random = this.#random;
    const room = random.pick(ROOMS);
    const socket = node.sockets.length > 0 ? random.pick(node.sockets) : undefined;
    const act = random.integer(1, 24);
    if (act > 21 && socket !== undefined && socket.readyState < 2) return node.toggle(socket, room);
    if (act === 21 && socket !== undefined && socket.readyState < 2) return node.ask(room, socket);
    if (act <= 12) return this.#talk(node, room, 1);
    if (act === 13) return this.#talk(node, room, random.integer(10, 80));
    if (socket === undefined) return node.openSocket();
    if (act <= 15) return node.join(socket, room);
    if (act <= 17) return node.leave(socket, room);
    if (act === 18) return node.closeSocket(socket);
    if (act === 19 && node.sockets.length < 8) return node.openSocket();
    // One that does not read, or one whose `send` throws.
    if (random.chance(0.5)) socket.bufferedAmount = 5_000;
    else socket.failure = socket.failure ? undefined : new Error("send failed");
  }

  #talk(node: SimulatedNode, room: string, times: number): void {
    const random = this.#random;
    for (let i = 0; i < times; i++) {
      const except = random.chance(0.5) && node.sockets.length > 0
        ? random.pick(node.sockets)
        : undefined;
      const isLong = random.chance(0.1);
      const rooms = random.chance(0.1) ? [room, random.pick(ROOMS)] : [room];
      const size = random.integer(20, isLong ? this.plan.maxMessageBytes : 100);
      node.broadcast([...new Set(rooms)], size, except);
    }
  }

  #wake(node: SimulatedNode): void {
    if (node.host.state !== "paused") return;
    this.log(`wake ${node.host.hostname}`);
    node.host.wake();
  }

  #restart(hostname: string): void {
    if (!this.nodes.has(hostname) && !this.simulation.network.hasHost(hostname)) {
      this.#run(this.start(hostname));
    }
  }

  #run(work: Promise<void>): void {
    const tracked = work.catch((error) => this.fail(error)).finally(() =>
      this.#work.delete(tracked)
    );
    this.#work.add(tracked);
  }

  /** Checks the nodes at which something has happened, and all of them now and then. */
  #afterStep(): void {
    const checksAll = this.simulation.stepCount % CHECK_ALL_STEPS === 0;
    for (const node of this.nodes.values()) {
      if (checksAll || node.isTouched) this.#attempt(() => node.check());
    }
    this.throwIfFailed();
  }

  #attempt(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.fail(error);
    }
  }
}
