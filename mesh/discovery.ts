/**
 * Keeps a link to every known node: it follows the seeds, learns of other nodes from peers, and
 * dials each known node without a link when `known_nodes.ts` says that it is time.
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
  /** A node cannot be dialled: it refuses, or its address is not valid. */
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
  /** The seeds have been asked for once, successfully or not. */
  #hasSeeds = false;
  /** Resolves when that changes, or what is known about other nodes. */
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

  /** Cancels what is scheduled. */
  stop(): void {
    this.#options.settings.clock.clearTimeout(this.#timer);
    this.#changed.resolve();
  }

  /** True if every seed, and every node learnt from them, has answered or failed once. */
  get allTried(): boolean {
    return this.#hasSeeds && this.#known.allTried(this.#isLinked, this.#options.connector.free > 0);
  }

  /** Resolves when {@linkcode allTried} is true, or when the node stops. */
  async tried(): Promise<void> {
    while (!this.allTried && !this.#options.tasks.stopped) await this.#changed.promise;
  }

  /** Dials the seeds. If a function gives them, it is called again and again. */
  async followSeeds(): Promise<void> {
    const { tasks, settings: { seeds } } = this.#options;
    // Later, so that the caller of `startMesh` can listen to events first.
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

  /** Learns of a node from a peer. Returns false if too many are known. */
  learn(target: Target): boolean {
    if (this.#isAtOwnAddress(target)) return true;
    return this.#known.learn(target, this.#options.settings.clock.now(), this.#isLinked);
  }

  /** True if a known node lives at a host. */
  isKnownHost(hostname: string): boolean {
    return this.#known.isKnownHost(hostname);
  }

  /** Adds an address at which this node itself answers, so it is not dialled. */
  own(address: Address): void {
    this.#known.own(address);
  }

  /**
   * There is a link: either another node dialled it, or this node's dial to `dialled` led to it. A
   * dial may lead to a link that existed already.
   */
  linked({ peer, remoteAddress }: Link, dialled?: Target): void {
    const now = this.#options.settings.clock.now();
    const remoteHost = remoteAddress.hostname;
    this.#known.linked(parsePeerName(peer.name), now, this.#isLinked, { dialled, remoteHost });
  }

  /** A link has ended, and no other has replaced it. */
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
        throw new TypeError(`seeds must give a list within ${SEEDS_TIMEOUT_MS} ms`);
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

  /** Other machines cannot dial a name like `a@127.0.0.1:9000`, and cannot report that here. */
  #checkOwnName(): void {
    const { listenHost, onRefused } = this.#options;
    const { name, hostname } = this.#self;
    if (!isLoopbackHost(hostname) || isLoopbackHost(listenHost)) return;
    const message = `${name} listens at ${listenHost}, but its name leads other machines to ` +
      `themselves: use a host in the name that they can dial`;
    onRefused(name, new MeshError("loopback-name", name, message));
  }

  /** True for another node's name at this node's own address. Each name is reported once. */
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
    const message = `${name} leads to this node, ${this.#self.name}, not to another one`;
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

  /** Dials every known node that is due, and sets a timer for the next. */
  dialDue(): void {
    const { tasks, connector, settings: { clock } } = this.#options;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    if (tasks.stopped) return;
    clock.clearTimeout(this.#timer);
    for (const target of this.#known.due(clock.now(), this.#isLinked, connector.free)) {
      tasks.run(this.#dialOne(target));
    }
    // Without a place for another link, only the end of a link or a dial can change anything.
    const next = this.#known.nextDueAt(this.#isLinked);
    if (next === undefined || connector.free <= 0) return;
    this.#timer = clock.setTimeout(() => this.dialDue(), Math.max(0, next - clock.now()));
  }

  async #dialOne(target: Target): Promise<void> {
    const { connector, onRefused, settings: { clock } } = this.#options;
    try {
      this.linked(await connector.dial(target), target);
    } catch (error) {
      // It is dialled again even if it was this node itself: a host name may stand for several
      // nodes, and another may answer next time.
      const isMisled = error instanceof MeshError && error.code === "own-name" &&
        target.name !== undefined && target.name !== this.#self.name;
      const name = target.name ?? "";
      onRefused(formatAddress(target), isMisled ? this.#ownAddress(name, error) : error);
      // Observers are not dialled. The peer that passed on its name took it for a normal node.
      const forget = error instanceof MeshError && error.code === "observer";
      this.#known.failed(target, clock.now(), { forget });
    }
    this.dialDue();
  }
}

function invalidSeed(seed: unknown): MeshError {
  return new MeshError("invalid-address", String(seed), `a seed must be a string, got ${seed}`);
}
