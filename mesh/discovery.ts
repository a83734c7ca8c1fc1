/**
 * Keeping the links that should be there: follows the seeds, takes in what peers tell of other
 * nodes, and dials whoever is known and not linked when `known_nodes.ts` says that it is time.
 */

import { randomFraction } from "../backplane/clock.ts";
import type { PeerDownReason } from "./events.ts";
import { KnownNodes } from "./known_nodes.ts";
import type { Link } from "./link.ts";
import type { Connector } from "./connector.ts";
import { MeshError } from "./mesh_error.ts";
import {
  formatAddress,
  isLoopbackHost,
  parseNodeName,
  parsePeerName,
  parseTarget,
  type Target,
} from "./node_name.ts";
import type { MeshSettings, SeedsFunction } from "./options.ts";
import type { Peers } from "./peers.ts";
import type { TaskGroup } from "./task_group.ts";
import type { Address } from "./transport.ts";

/** How often a `seeds` function is asked, and how long it may take. */
const SEEDS_INTERVAL_MS = 5_000;
const SEEDS_TIMEOUT_MS = 30_000;

/** How many names of other nodes at this node's own address are remembered as reported. */
const MAX_REPORTED_NAMES = 64;

/** What discovery works with. */
export interface DiscoveryOptions {
  readonly settings: MeshSettings;
  readonly selfName: string;
  /** The host that this node listens at. */
  readonly listenHost: string;
  readonly localAddress: Address | undefined;
  readonly peers: Peers;
  readonly connector: Connector;
  readonly tasks: TaskGroup;
  /** A node cannot be dialled: it refuses, or what was given is no address. */
  readonly onRefused: (address: string, error: unknown) => void;
}

/** See the head of the file. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #known: KnownNodes;
  readonly #self: Required<Target>;
  readonly #reportedNames = new Set<string>();
  readonly #isLinked = (name: string) => this.#options.peers.get(name) !== undefined;
  #timer: unknown;
  /** The seeds have been asked for once, whatever came of it. */
  #hasSeeds = false;
  /** Resolves when that, or what is known of other nodes, changes. */
  #changed = Promise.withResolvers<void>();

  constructor(options: DiscoveryOptions) {
    const { settings, selfName } = options;
    this.#options = options;
    this.#self = parseNodeName(selfName);
    this.#known = new KnownNodes({
      own: this.#self,
      maxLearnt: settings.maxPeers,
      forgetAfterMs: settings.forgetAfterMs,
      fraction: () => randomFraction(settings.randomBytes),
    });
  }

  /** Calls off what is to come. */
  stop(): void {
    this.#options.settings.clock.clearTimeout(this.#timer);
    this.#changed.resolve();
  }

  /** True if every seed, and every node learnt from them, has answered or failed once. */
  get allTried(): boolean {
    return this.#hasSeeds && this.#known.allTried(this.#isLinked, this.#options.connector.free > 0);
  }

  /** Resolves when that is so, or when the node stops. */
  async tried(): Promise<void> {
    while (!this.allTried && !this.#options.tasks.stopped) await this.#changed.promise;
  }

  /** Dials the seeds, and asks for them again and again if they are given by a function. */
  async followSeeds(): Promise<void> {
    const { tasks, settings: { seeds } } = this.#options;
    // Not before whoever has started the node can listen to its events.
    await tasks.delay(0);
    if (tasks.stopped) return;
    this.#checkOwnName();
    if (typeof seeds !== "function") {
      this.#setSeeds(seeds);
      this.#hasSeeds = true;
      return this.dialDue();
    }
    while (!tasks.stopped) {
      await this.#askForSeeds(seeds);
      await tasks.delay(SEEDS_INTERVAL_MS);
    }
  }

  /** Takes a node that a peer has told of. False: too many are known. */
  learn(target: Target): boolean {
    if (this.#isAtOwnAddress(target)) return true;
    return this.#known.learn(target, this.#options.settings.clock.now(), this.#isLinked);
  }

  /** True if a known node lives at a host. */
  isKnownHost(hostname: string): boolean {
    return this.#known.isKnownHost(hostname);
  }

  /** This node answers at one more address, and does not dial it. */
  own(address: Address): void {
    this.#known.own(address);
  }

  /**
   * There is a link: one that another node has dialled, or what a dial of this node to `dialled` has
   * led to. A dial may lead to a link that was there already.
   */
  linked({ peer, remoteAddress }: Link, dialled?: Target): void {
    const now = this.#options.settings.clock.now();
    const remoteHost = remoteAddress.hostname;
    this.#known.linked(parsePeerName(peer.name), now, this.#isLinked, { dialled, remoteHost });
  }

  /** A link has ended that nothing has taken the place of. */
  lost({ peer, info }: Link, reason: PeerDownReason): void {
    const now = this.#options.settings.clock.now();
    if (reason === "goodbye") this.#known.departed(peer.name, now);
    else this.#known.lost(peer.name, info.since, now);
    this.dialDue();
  }

  async #askForSeeds(seeds: SeedsFunction): Promise<void> {
    const { tasks, selfName: name, localAddress, onRefused } = this.#options;
    try {
      const asked = (async () => await seeds({ name, signal: tasks.signal, localAddress }))();
      // A resolver that never answers must not keep the node from asking again.
      const texts = await tasks.within(SEEDS_TIMEOUT_MS, asked);
      if (tasks.stopped) return;
      if (!Array.isArray(texts)) {
        throw new TypeError(`seeds gave no list, or not within ${SEEDS_TIMEOUT_MS} ms`);
      }
      this.#setSeeds(this.#parseSeeds(texts));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `the seeds function failed: ${reason}`;
      onRefused("seeds", new MeshError("seeds-failed", "seeds", message, { cause }));
    }
    this.#hasSeeds = true;
    this.dialDue();
  }

  #setSeeds(targets: readonly Target[]): void {
    for (const target of targets) this.#isAtOwnAddress(target);
    this.#known.setSeeds(targets, this.#options.settings.clock.now());
  }

  /** Other machines cannot dial a name like `a@127.0.0.1:9000`, and would not say so to anybody here. */
  #checkOwnName(): void {
    const { listenHost, onRefused } = this.#options;
    const { name, hostname } = this.#self;
    if (!isLoopbackHost(hostname) || isLoopbackHost(listenHost)) return;
    const message = `${name} listens at ${listenHost}, but its name leads other machines to ` +
      `themselves: use a host in the name that they can dial`;
    onRefused(name, new MeshError("loopback-name", name, message));
  }

  /** True for another node's name at this node's own address. It is reported, once for each name. */
  #isAtOwnAddress(target: Target): boolean {
    const { name } = target;
    if (name === undefined || name === this.#self.name) return false;
    if (formatAddress(target) !== formatAddress(this.#self)) return false;
    if (this.#reportedNames.has(name) || this.#reportedNames.size >= MAX_REPORTED_NAMES) {
      return true;
    }
    this.#reportedNames.add(name);
    this.#options.onRefused(name, this.#ownAddress(name));
    return true;
  }

  #ownAddress(name: string, cause?: unknown): MeshError {
    const message = `${name} leads to this node, ${this.#self.name}, and not to another`;
    return new MeshError("own-address", name, message, { cause });
  }

  #parseSeeds(texts: readonly unknown[]): Target[] {
    return texts.flatMap((text) => {
      try {
        if (typeof text !== "string") throw invalidSeed(text);
        return [parseTarget(text)];
      } catch (error) {
        this.#options.onRefused(String(text), error);
        return [];
      }
    });
  }

  /** Dials every known node whose time has come, and sees to being called for the next. */
  dialDue(): void {
    const { tasks, connector, settings: { clock } } = this.#options;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    if (tasks.stopped) return;
    clock.clearTimeout(this.#timer);
    for (const target of this.#known.due(clock.now(), this.#isLinked, connector.free)) {
      tasks.run(this.#dialOne(target));
    }
    // With no place for another link there is nothing to wait for but the end of one, or of a dial.
    const next = this.#known.nextDueAt(this.#isLinked);
    if (next === undefined || connector.free <= 0) return;
    this.#timer = clock.setTimeout(() => this.dialDue(), Math.max(0, next - clock.now()));
  }

  async #dialOne(target: Target): Promise<void> {
    const { connector, onRefused, settings: { clock } } = this.#options;
    try {
      this.linked(await connector.dial(target), target);
    } catch (error) {
      // Even if it was this node itself: a host name may stand for several nodes, and another may answer
      // next time.
      const isMisled = error instanceof MeshError && error.code === "own-name" &&
        target.name !== undefined && target.name !== this.#self.name;
      const name = target.name ?? "";
      onRefused(formatAddress(target), isMisled ? this.#ownAddress(name, error) : error);
      // An observer is not to be linked. The peer that has told of it took it for a node.
      const forget = error instanceof MeshError && error.code === "observer";
      this.#known.failed(target, clock.now(), { forget });
    }
    this.dialDue();
  }
}

function invalidSeed(seed: unknown): MeshError {
  return new MeshError("invalid-address", String(seed), `a seed must be a string, got ${seed}`);
}
