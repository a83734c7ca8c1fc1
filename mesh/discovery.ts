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
import { formatAddress, parseNodeName, parseTarget, type Target } from "./node_name.ts";
import type { MeshSettings, SeedsFunction } from "./options.ts";
import type { Peers } from "./peers.ts";
import type { TaskGroup } from "./task_group.ts";

/** How often a `seeds` function is asked, and how long it may take. */
const SEEDS_INTERVAL_MS = 5_000;
const SEEDS_TIMEOUT_MS = 30_000;

/** What discovery works with. */
export interface DiscoveryOptions {
  readonly settings: MeshSettings;
  readonly selfName: string;
  readonly peers: Peers;
  readonly connector: Connector;
  readonly tasks: TaskGroup;
  /** A node cannot be dialled, be it that it refuses or that what was given is no address. */
  readonly onRefused: (address: string, error: unknown) => void;
}

/** See the file's head. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #known: KnownNodes;
  readonly #isLinked = (name: string) => this.#options.peers.get(name) !== undefined;
  #timer: unknown;
  /** The seeds have been asked for once, whatever came of it. */
  #hasSeeds = false;
  /** Resolves when that, or what is known of other nodes, changes. */
  #changed = Promise.withResolvers<void>();

  constructor(options: DiscoveryOptions) {
    const { settings, selfName } = options;
    this.#options = options;
    this.#known = new KnownNodes({
      own: parseNodeName(selfName),
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
    const { tasks, settings: { seeds, clock } } = this.#options;
    // Not before whoever has started the node can listen to its events.
    await tasks.delay(0);
    if (typeof seeds !== "function") {
      this.#known.setSeeds(seeds, clock.now());
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
    return this.#known.learn(target, this.#options.settings.clock.now(), this.#isLinked);
  }

  /** True if a known node lives at a host. */
  isKnownHost(hostname: string): boolean {
    return this.#known.isKnownHost(hostname);
  }

  /** A link has come up. */
  linked({ peer, remoteAddress }: Link): void {
    const now = this.#options.settings.clock.now();
    this.#known.linked(parseNodeName(peer.name), now, this.#isLinked, remoteAddress.hostname);
  }

  /** A link has ended that nothing has taken the place of. */
  lost({ peer, info }: Link, reason: PeerDownReason): void {
    const now = this.#options.settings.clock.now();
    if (reason === "goodbye") this.#known.departed(peer.name, now);
    else this.#known.lost(peer.name, info.since, now);
    this.dialDue();
  }

  async #askForSeeds(seeds: SeedsFunction): Promise<void> {
    const { tasks, settings, selfName, onRefused } = this.#options;
    try {
      const asked = (async () => await seeds({ name: selfName, signal: tasks.signal }))();
      // A resolver that never answers must not keep the node from asking again.
      const texts = await tasks.within(SEEDS_TIMEOUT_MS, asked);
      if (tasks.stopped) return;
      if (!Array.isArray(texts)) {
        throw new TypeError(`seeds gave no list, or not within ${SEEDS_TIMEOUT_MS} ms`);
      }
      this.#known.setSeeds(this.#parseSeeds(texts), settings.clock.now());
    } catch (cause) {
      onRefused("seeds", new MeshError("seeds-failed", "seeds", "seeds failed", { cause }));
    }
    this.#hasSeeds = true;
    this.dialDue();
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
      const link = await connector.dial(target);
      this.#known.dialled(target, link.peer.name, clock.now());
    } catch (error) {
      // Even if it was this node itself: behind the name of several, another may answer next time.
      onRefused(formatAddress(target), error);
      this.#known.dialled(target, undefined, clock.now());
    }
    this.dialDue();
  }
}

function invalidSeed(seed: unknown): MeshError {
  return new MeshError("invalid-address", String(seed), `a seed must be a string, got ${seed}`);
}
