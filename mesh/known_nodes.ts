/**
 * The nodes that this one wants links to, and when to dial each: a function of what it is told and
 * when. Nodes are known by their address; several names at one address are one node, restarted.
 *
 * A seed is known for ever, and one that may stand for several nodes is dialled now and then. A node
 * learnt from a peer, or met because it dialled us, is forgotten when it says goodbye or has been away
 * for `forgetAfterMs`; at most `maxLearnt` of them are known.
 */

import { backoffMs } from "../backplane/backoff.ts";
import { addressOfName, formatAddress, type Target } from "./node_name.ts";
import type { Address } from "./transport.ts";

/** How often a seed that may stand for several nodes is dialled. */
const ALIAS_INTERVAL_MS = 30_000;

/** A link that breaks sooner than this has not shown that dialling at once again makes sense. */
const STABLE_MS = 10_000;

interface KnownNode {
  readonly address: string;
  target: Target;
  seed: boolean;
  /** Who was there the last time. */
  name: string | undefined;
  /** The host that its connections came from or went to, which may be called otherwise. */
  remoteHost: string | undefined;
  /** Dials or short links in a row that came to nothing. */
  failures: number;
  /** When it was last linked, or got to be known. */
  aliveAt: number;
  dialAt: number;
  dialling: boolean;
  /** It has been linked, or a dial has failed. */
  tried: boolean;
}

/**
 * True for a seed that is called otherwise than the node it has led to. It may be a name for several,
 * such as all of a service, so it is dialled now and then even if that node is linked: groups that
 * have each found one of themselves would never meet.
 */
function isAlias({ seed, name, address }: KnownNode): boolean {
  return seed && name !== undefined && addressOfName(name) !== address;
}

/** An IPv4 address as such, though a listener at `::` shows it as `::ffff:10.0.0.5`. */
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

  /** Knows nobody yet. `own` is this node, and `fraction` gives random numbers from 0 up to 1. */
  constructor(
    options: { own: Target; maxLearnt: number; forgetAfterMs: number; fraction: () => number },
  ) {
    this.own(options.own);
    this.#maxLearnt = options.maxLearnt;
    this.#forgetAfterMs = options.forgetAfterMs;
    this.#fraction = options.fraction;
  }

  /** Takes an address at which this node answers itself, and which it does not dial. */
  own(address: Address): void {
    const text = formatAddress(address);
    this.#ownAddresses.add(text);
    this.#nodes.delete(text);
  }

  /** Takes the seeds as they are now; what is a seed no more is treated like a learnt node. */
  setSeeds(seeds: readonly Target[], now: number): void {
    const addresses = new Set(seeds.map(formatAddress));
    for (const node of this.#nodes.values()) node.seed = addresses.has(node.address);
    for (const target of seeds) this.#know(target, true, now);
  }

  /** Takes a node that a peer has told of. False: too many are known. */
  learn(target: Target, now: number, isLinked: (name: string) => boolean): boolean {
    const known = this.#nodes.get(formatAddress(target));
    if (known === undefined && this.#learnt() >= this.#maxLearnt) return false;
    // A linked node has proven to be there: a peer that knows another name has not heard of it yet.
    if (known?.name === undefined || !isLinked(known.name)) this.#know(target, false, now);
    return true;
  }

  /** Up to `max` nodes to dial at `now`, none of which is linked; they are dialled from now on. */
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

  /** When {@linkcode due} has something to do next; undefined if nothing can come. */
  nextDueAt(isLinked: (name: string) => boolean): number | undefined {
    let next: number | undefined;
    for (const node of this.#nodes.values()) {
      if (node.dialling || isSettled(node, isLinked)) continue;
      next = Math.min(next ?? Infinity, node.dialAt);
    }
    return next;
  }

  /** A dial has come to nothing. `forget`: only a seed is to be dialled again. */
  failed(target: Target, now: number, { forget = false }: { forget?: boolean } = {}): void {
    const node = this.#nodes.get(formatAddress(target));
    if (node === undefined) return;
    if (forget && !node.seed) return void this.#nodes.delete(node.address);
    node.dialling = false;
    node.tried = true;
    node.failures++;
    node.dialAt = now + backoffMs(node.failures, this.#fraction());
  }

  /** True if each known node is linked, or has been dialled once, or finds no place. */
  allTried(isLinked: (name: string) => boolean, hasPlace: boolean): boolean {
    for (const node of this.#nodes.values()) {
      if (node.tried || isSettled(node, isLinked)) continue;
      if (node.dialling || hasPlace) return false;
    }
    return true;
  }

  /** True if a known node lives at a host, by its name or by where it was last linked. */
  isKnownHost(hostname: string): boolean {
    const host = withoutMapping(hostname);
    for (const { target, remoteHost } of this.#nodes.values()) {
      if (target.hostname === host || remoteHost === host) return true;
    }
    return false;
  }

  /**
   * There is a link to the node that others dial at `target`. `dialled`: where this node has dialled,
   * if it has; `remoteHost`: what the network calls the other end's host.
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

  /** A link is gone that had been there since `since`. */
  lost(name: string, since: number, now: number): void {
    for (const node of this.#nodes.values()) {
      if (node.name !== name) continue;
      node.failures = now - since < STABLE_MS ? node.failures + 1 : 0;
      node.aliveAt = now;
      node.dialAt = now + backoffMs(node.failures, this.#fraction());
    }
  }

  /** A node has said goodbye: learnt ones are forgotten, seeds wait for its return. */
  departed(name: string, now: number): void {
    for (const node of this.#nodes.values()) {
      if (node.name !== name) continue;
      if (!node.seed) this.#nodes.delete(node.address);
      else node.dialAt = now + backoffMs(++node.failures, this.#fraction());
    }
  }

  /** Makes place for a node that is there: the one that has been away for longest gives way. */
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
