/**
 * The nodes that this one wants links to, and when to dial each of them. It decides only from what
 * it is told and when. Nodes are identified by their address: several names at one address are one
 * node that was restarted.
 *
 * A seed is known for ever. A seed that may stand for several nodes is dialled now and then. Other
 * nodes become known because a peer passed on their names or because they dialled this one. They
 * are forgotten when they say goodbye or have been away for `forgetAfterMs`. At most `maxLearnt` of
 * them are known.
 */

import { backoffMs } from "../backplane/backoff.ts";
import { addressOfName, formatAddress, type Target } from "./node_name.ts";
import type { Address } from "./transport.ts";

/** How often a seed that may stand for several nodes is dialled. */
const ALIAS_INTERVAL_MS = 30_000;

/** If a link breaks sooner than this, dialling again at once makes no sense. */
const STABLE_MS = 10_000;

interface KnownNode {
  readonly address: string;
  target: Target;
  seed: boolean;
  /** The name of the node that was there last time. */
  name: string | undefined;
  /** The host that its connections came from or went to. Its name may differ. */
  remoteHost: string | undefined;
  /** How many dials have failed, or links have broken early, in a row. */
  failures: number;
  /** When it was last linked, or became known. */
  aliveAt: number;
  dialAt: number;
  dialling: boolean;
  /** It has been linked, or a dial has failed. */
  tried: boolean;
}

/**
 * True for a seed whose address differs from that of the node it has led to. It may stand for
 * several nodes, such as all nodes of a service, so it is dialled now and then even if that node is
 * linked. Otherwise groups that have each found one of their own nodes would never meet.
 */
function isAlias({ seed, name, address }: KnownNode): boolean {
  return seed && name !== undefined && addressOfName(name) !== address;
}

/** The plain form of an IPv4 address, which a listener at `::` shows as `::ffff:10.0.0.5`. */
function withoutMapping<Host extends string | undefined>(hostname: Host): Host {
  return hostname?.replace(/^::ffff:(?=[\d.]+$)/i, "") as Host;
}

/** True if there is no reason to dial a node. */
function isSettled(node: KnownNode, isLinked: (name: string) => boolean): boolean {
  return node.name !== undefined && isLinked(node.name) && !isAlias(node);
}

/** See the head of the file. */
export class KnownNodes {
  readonly #nodes = new Map<string, KnownNode>();
  readonly #ownAddresses = new Set<string>();
  readonly #maxLearnt: number;
  readonly #forgetAfterMs: number;
  readonly #fraction: () => number;

  /**
   * Knows no other node yet. `own` is this node, and `fraction` returns random numbers from 0 up to
   * 1.
   */
  constructor(
    options: { own: Target; maxLearnt: number; forgetAfterMs: number; fraction: () => number },
  ) {
    this.own(options.own);
    this.#maxLearnt = options.maxLearnt;
    this.#forgetAfterMs = options.forgetAfterMs;
    this.#fraction = options.fraction;
  }

  /** Adds an address at which this node itself answers, so it is not dialled. */
  own(address: Address): void {
    const text = formatAddress(address);
    this.#ownAddresses.add(text);
    this.#nodes.delete(text);
  }

  /** Takes the current seeds. A node that is no longer a seed is treated like a learnt node. */
  setSeeds(seeds: readonly Target[], now: number): void {
    const addresses = new Set(seeds.map(formatAddress));
    for (const node of this.#nodes.values()) node.seed = addresses.has(node.address);
    for (const target of seeds) this.#know(target, true, now);
  }

  /** Learns of a node from a peer. Returns false if too many are known. */
  learn(target: Target, now: number, isLinked: (name: string) => boolean): boolean {
    const known = this.#nodes.get(formatAddress(target));
    if (known === undefined && this.#learnt() >= this.#maxLearnt) return false;
    // A linked node has proven its name. A peer that passes on another one is out of date.
    if (known?.name === undefined || !isLinked(known.name)) this.#know(target, false, now);
    return true;
  }

  /**
   * Returns up to `max` nodes to dial at `now`, and marks them as being dialled. None of them is
   * linked.
   */
  due(now: number, isLinked: (name: string) => boolean, max: number): Target[] {
    const targets: Target[] = [];
    for (const node of this.#nodes.values()) {
      if (isSettled(node, isLinked)) {
        node.aliveAt = now;
      } else if (!node.seed && now - node.aliveAt > this.#forgetAfterMs) {
        this.#nodes.delete(node.address);
      } else if (!node.dialling && node.dialAt <= now && targets.length < max) {
        node.dialling = true;
        targets.push(node.target);
      }
    }
    return targets;
  }

  /** When {@linkcode due} next has something to do; undefined if never. */
  nextDueAt(isLinked: (name: string) => boolean): number | undefined {
    let next: number | undefined;
    for (const node of this.#nodes.values()) {
      if (node.dialling || isSettled(node, isLinked)) continue;
      next = Math.min(next ?? Infinity, node.dialAt);
    }
    return next;
  }

  /** A dial has failed. With `forget`, only a seed will be dialled again. */
  failed(target: Target, now: number, { forget = false }: { forget?: boolean } = {}): void {
    const node = this.#nodes.get(formatAddress(target));
    if (node === undefined) return;
    if (forget && !node.seed) return void this.#nodes.delete(node.address);
    node.dialling = false;
    node.tried = true;
    node.failures++;
    node.dialAt = now + backoffMs(node.failures, this.#fraction());
  }

  /** True if each known node is linked, has been dialled once, or has no place. */
  allTried(isLinked: (name: string) => boolean, hasPlace: boolean): boolean {
    for (const node of this.#nodes.values()) {
      if (node.tried || isSettled(node, isLinked)) continue;
      if (node.dialling || hasPlace) return false;
    }
    return true;
  }

  /** True if a known node runs on a host, by its name or by where it was last linked. */
  isKnownHost(hostname: string): boolean {
    const host = withoutMapping(hostname);
    for (const { target, remoteHost } of this.#nodes.values()) {
      if (target.hostname === host || remoteHost === host) return true;
    }
    return false;
  }

  /**
   * There is a link to the node that others dial at `target`. `dialled` is where this node dialled,
   * if it did. `remoteHost` is the network's name for the other end's host.
   */
  linked(
    target: Required<Target>,
    now: number,
    isLinked: (name: string) => boolean,
    { dialled, remoteHost }: { dialled?: Target; remoteHost?: string } = {},
  ): void {
    const address = formatAddress(target);
    if (!this.#nodes.has(address) && this.#learnt() >= this.#maxLearnt) this.#forgetOne(isLinked);
    this.#know(target, false, now);
    const node = this.#nodes.get(address);
    if (node !== undefined) {
      this.#found(node, target.name, now).remoteHost = withoutMapping(remoteHost);
    }
    const seed = dialled && this.#nodes.get(formatAddress(dialled));
    if (seed === undefined) return;
    this.#found(seed, target.name, now).dialling = false;
    if (isAlias(seed)) seed.dialAt = now + ALIAS_INTERVAL_MS;
  }

  /** A link that came up at `since` is gone. */
  lost(name: string, since: number, now: number): void {
    for (const node of this.#nodes.values()) {
      if (node.name !== name) continue;
      node.failures = now - since < STABLE_MS ? node.failures + 1 : 0;
      node.aliveAt = now;
      node.dialAt = now + backoffMs(node.failures, this.#fraction());
    }
  }

  /** A node has said goodbye. A learnt node is forgotten, a seed is dialled again. */
  departed(name: string, now: number): void {
    for (const node of this.#nodes.values()) {
      if (node.name !== name) continue;
      if (!node.seed) this.#nodes.delete(node.address);
      else node.dialAt = now + backoffMs(++node.failures, this.#fraction());
    }
  }

  /** Makes a place for a linked node by forgetting the one that has been away for longest. */
  #forgetOne(isLinked: (name: string) => boolean): void {
    let oldest: KnownNode | undefined;
    for (const node of this.#nodes.values()) {
      if (node.seed || (node.name !== undefined && isLinked(node.name))) continue;
      if (oldest === undefined || node.aliveAt < oldest.aliveAt) oldest = node;
    }
    if (oldest !== undefined) this.#nodes.delete(oldest.address);
  }

  #found(node: KnownNode, name: string, now: number): KnownNode {
    node.name = name;
    node.aliveAt = now;
    node.tried = true;
    return node;
  }

  #learnt(): number {
    return this.#nodes.values().filter((node) => !node.seed).toArray().length;
  }

  #know(target: Target, seed: boolean, now: number): void {
    const address = formatAddress(target);
    if (this.#ownAddresses.has(address)) return;
    const known = this.#nodes.get(address);
    if (known === undefined) {
      this.#nodes.set(address, {
        address,
        target,
        seed,
        name: target.name,
        remoteHost: undefined,
        failures: 0,
        aliveAt: now,
        dialAt: now,
        dialling: false,
        tried: false,
      });
      return;
    }
    if (seed) {
      known.seed = true;
      known.target = target;
    } else if (!known.seed && target.name !== known.target.name) {
      // The node at this address has come back under another name.
      known.target = target;
      known.name = target.name;
    }
  }
}
