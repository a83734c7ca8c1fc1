/**
 * Peers tell each other about their peers, so that one address is enough to find a whole cluster.
 * Each side sends its list when a link comes up, and all lists are repeated now and then.
 */

import { encodePeerList } from "../codec/mod.ts";
import type { Discovery } from "./discovery.ts";
import type { NodeIdentity } from "./handshake.ts";
import type { Link } from "./link.ts";
import { isMeshLang } from "./mesh_lang.ts";
import { isSmallerName, parsePeerName, type Target } from "./node_name.ts";
import type { Peers } from "./peers.ts";
import type { TaskGroup } from "./task_group.ts";

/**
 * How often lists are repeated. If two nodes were cut off for so long that they have forgotten each
 * other, they find each other again through a third.
 */
const REPEAT_INTERVAL_MS = 60_000;

/** How many names in a list may be unreadable before the rest is ignored. */
const MAX_UNREADABLE = 100;

/**
 * True if a peer is told about another. If two nodes of the Mesh runtime dial each other at the
 * same moment, their session ends up half open, so only one of them learns of the other. Our nodes
 * dial such a node themselves.
 */
function isToDial(peer: NodeIdentity, other: NodeIdentity): boolean {
  if (!isMeshLang(peer)) return other.name !== peer.name;
  return isMeshLang(other) && isSmallerName(other.name, peer.name);
}

/** What peer lists need. */
export interface PeerListsOptions {
  readonly selfName: string;
  readonly maxMessageBytes: number;
  readonly peers: Peers;
  /** They are told about the peers, and nobody is told about them. */
  readonly observers: Peers;
  readonly discovery: Discovery;
  readonly tasks: TaskGroup;
  /** A name in a list cannot be used. */
  readonly onRefused: (address: string, error: unknown) => void;
}

/** See the head of the file. */
export class PeerLists {
  readonly #options: PeerListsOptions;

  /** Sends nothing yet. */
  constructor(options: PeerListsOptions) {
    this.#options = options;
  }

  /** Sends all links their lists, again and again until the node stops. */
  async repeat(): Promise<void> {
    const { peers, observers, tasks } = this.#options;
    while (!tasks.stopped) {
      await tasks.delay(REPEAT_INTERVAL_MS);
      for (const link of [...peers, ...observers]) this.send(link);
    }
  }

  /**
   * Tells a new peer which others to dial. Others that should dial it instead are told about it.
   */
  introduce(link: Link): void {
    this.send(link);
    if (!isMeshLang(link.peer)) return;
    const newcomer = encodePeerList([link.peer.name]);
    for (const other of this.#options.peers) {
      if (isToDial(other.peer, link.peer)) other.send(newcomer);
    }
  }

  /** Tells a peer about all others that it should dial. */
  send(link: Link): void {
    const { peers, maxMessageBytes } = this.#options;
    let rest = Array.from(peers, ({ peer }) => peer)
      .filter((peer) => isToDial(link.peer, peer))
      .map(({ name }) => name);
    while (rest.length > 0) {
      // In several messages, if the limit for one is that small.
      let count = rest.length;
      while (encodePeerList(rest.slice(0, count)).length > maxMessageBytes) count >>= 1;
      link.send(encodePeerList(rest.slice(0, count)));
      rest = rest.slice(count);
    }
  }

  /** Takes the list of a peer. */
  receive(names: readonly string[]): void {
    const { selfName, peers, observers, discovery, onRefused } = this.#options;
    let unreadable = 0;
    for (const name of names) {
      // A node that does not know about observers passes on their names like any other.
      if (name === selfName || (peers.get(name) ?? observers.get(name)) !== undefined) continue;
      let target: Target;
      try {
        target = parsePeerName(name);
      } catch (error) {
        // One report for each list: a peer that sends thousands of bad names causes no more.
        if (unreadable === 0) onRefused(name, error);
        if (++unreadable > MAX_UNREADABLE) break;
        continue;
      }
      if (discovery.learn(target)) continue;
      onRefused(name, peers.tooMany(name));
      break;
    }
    discovery.dialDue();
  }
}
