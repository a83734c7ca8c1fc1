/**
 * How links come to be: connections taken in and dialled, handshakes, and the choice among two.
 *
 * When two nodes dial each other at once, the one with the smaller name decides. It commits itself
 * either to its own dial, by sending its proof, or to the other's, by sending ACK, whichever comes
 * first, and ends the other handshake. The node with the larger name lets the smaller have its way,
 * and a dial of it that is refused waits for the link that made it superfluous. Should two links
 * come up all the same, `admission.ts` says which is kept.
 *
 * A node of the Mesh runtime knows no such rule, and has no incarnation by which to tell that it
 * has restarted. As acceptor it refuses a name that it has a session with; given two sessions, it may
 * keep both and use one. So it is never given two: while a dial of ours is committed to it, or a link
 * to it proves to be alive, what it dials gets no ACK; if these come to nothing, it does.
 */

import { acceptAll } from "./accept_loop.ts";
import { HandshakeRate } from "./handshake_rate.ts";
import { PendingHandshake, PendingHandshakes } from "./pending_handshakes.ts";
import type { Announcements } from "./announcements.ts";
import type { Cookies } from "./cookies.ts";
import type { PeerInfo } from "./events.ts";
import {
  accept,
  type HandshakeOptions,
  initiate,
  isMeshLang,
  type NodeIdentity,
} from "./handshake.ts";
import { Link, type LinkListener } from "./link.ts";
import { MeshError, type MeshErrorCode } from "./mesh_error.ts";
import { formatAddress, isSmallerName, type Target } from "./node_name.ts";
import type { MeshSettings } from "./options.ts";
import type { Peers } from "./peers.ts";
import type { TaskGroup } from "./task_group.ts";
import type { Connection, Listener } from "./transport.ts";

/** What a connector works with. */
export interface ConnectorOptions {
  readonly settings: MeshSettings;
  readonly self: NodeIdentity;
  readonly cookies: Cookies;
  readonly peers: Peers;
  readonly tasks: TaskGroup;
  readonly linkListener: LinkListener;
  /** True if a node that this one knows lives at a host. */
  readonly isKnownHost: (hostname: string) => boolean;
  /** What a new link to a peer has to announce. */
  readonly announcementsFor: (peer: NodeIdentity) => Announcements | undefined;
  /** A link has come up, in the place of another perhaps. */
  readonly onLink: (link: Link, replaced: Link | undefined) => void;
  /** A connection did not become a link, or none could be accepted. */
  readonly onRefused: (address: string, error: unknown) => void;
}

/** See the file's head. */
export class Connector {
  readonly #options: ConnectorOptions;
  readonly #pending: PendingHandshakes;
  readonly #rate: HandshakeRate;
  /** Dials under way, by the name that must answer, or the address if any may. */
  readonly #dials = new Map<string, Promise<Link>>();

  constructor(options: ConnectorOptions) {
    const { clock, handshakeTimeoutMs, maxPendingHandshakes, maxHandshakesPerSecond } =
      options.settings;
    this.#options = options;
    this.#pending = new PendingHandshakes({
      clock,
      timeoutMs: handshakeTimeoutMs,
      maxIncoming: maxPendingHandshakes,
    });
    this.#rate = new HandshakeRate({ perSecond: maxHandshakesPerSecond, clock });
  }

  /** How many more links there can be, those that are being dialled taken as there. */
  get free(): number {
    return this.#options.peers.free - this.#dials.size;
  }

  /** Calls off all that is under way. */
  stop(): void {
    const { name } = this.#options.self;
    this.#pending.cancelAll("shut-down", `${name} has been shut down`);
  }

  /** Takes in connections until the listener is closed. */
  acceptAll(listener: Listener): Promise<void> {
    const { tasks, onRefused, settings: { clock } } = this.#options;
    const onConnection = (connection: Connection) => tasks.run(this.#acceptOne(connection));
    return acceptAll(listener, { clock, tasks, onConnection, onRefused });
  }

  /**
   * The link to a target: the one that is there, or one dialled now.
   *
   * @throws {MeshError} rejects with why there is none.
   */
  dial(target: Target): Promise<Link> {
    const link = target.name === undefined ? undefined : this.#options.peers.get(target.name);
    if (link !== undefined) return Promise.resolve(link);
    const key = target.name ?? formatAddress(target);
    let dial = this.#dials.get(key);
    if (dial === undefined) {
      dial = this.#dialNow(target).finally(() => this.#dials.delete(key));
      this.#dials.set(key, dial);
      // Whoever has asked for it, shutdown waits until it is over.
      this.#options.tasks.run(dial.then(() => {}, () => {}));
    }
    return dial;
  }

  async #acceptOne(connection: Connection): Promise<void> {
    const { remoteAddress } = connection;
    const isKnown = this.#options.isKnownHost(remoteAddress.hostname);
    const handshake = new PendingHandshake(remoteAddress, true, isKnown);
    handshake.guard(connection);
    try {
      await this.#pending.run(handshake, async () => {
        await connection.greeted?.();
        if (connection.greeted) this.#admit(handshake);
        const onIdentity = (peer: NodeIdentity) => {
          if (!handshake.hasSpoken) this.#admit(handshake);
          handshake.peer = peer;
        };
        const { peer, ack } = await accept(connection, this.#handshake(onIdentity));
        handshake.signal.throwIfAborted();
        this.#checkPrecedence(peer);
        // Of several that a peer of the Mesh runtime dials, one waits.
        if (isMeshLang(peer) && this.#pending.isWaiting(peer.name)) throw alreadyLinked(peer.name);
        handshake.proven = true;
        // Not awaited the last time, so that none can come up between the look and the link.
        for (let rival = this.#rivalOf(peer); rival; rival = this.#rivalOf(peer)) {
          // If it stays, admission says why the newcomer is refused.
          if (await handshake.unlessCancelled(rival)) break;
        }
        this.#addLink(connection, peer, "incoming", ack);
      });
    } catch (error) {
      connection.close();
      // Whoever finds out in the midst of dialling that there is a better way to a link hangs up.
      const superfluous = hasCode(error, "closed") && this.#isWanted(handshake);
      if (!superfluous) this.#options.onRefused(handshake.address, error);
    }
  }

  /** Lets a handshake go on whose other side has spoken, unless there are too many of them. */
  #admit(handshake: PendingHandshake): void {
    const { address, hostname, isKnown } = handshake;
    handshake.hasSpoken = true;
    if (this.#rate.admit(hostname, isKnown)) return;
    const { maxHandshakesPerSecond } = this.#options.settings;
    const message = `no handshake with ${address}: unknown addresses may begin ` +
      `${maxHandshakesPerSecond} a second, one of them a quarter of that`;
    throw new MeshError("too-many-handshakes", address, message);
  }

  async #dialNow(target: Target): Promise<Link> {
    const handshake = new PendingHandshake(target, false);
    let connection: Connection | undefined;
    try {
      return await this.#pending.run(handshake, async () => {
        const opened = connection = await this.#open(target, handshake.signal);
        handshake.guard(opened);
        const onIdentity = (peer: NodeIdentity) => this.#commit(handshake, target, peer);
        const peer = await initiate(opened, this.#handshake(onIdentity));
        handshake.signal.throwIfAborted();
        return this.#addLink(opened, peer, "outgoing");
      });
    } catch (error) {
      connection?.close();
      const link = await this.#linkInstead(handshake.peer?.name ?? target.name, error);
      if (link) return link;
      throw error;
    }
  }

  async #open(target: Target, signal: AbortSignal): Promise<Connection> {
    try {
      return await this.#options.settings.transport.connect(target, { signal });
    } catch (cause) {
      if (cause instanceof MeshError) throw cause;
      const address = formatAddress(target);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MeshError("unreachable", address, `cannot reach ${address}: ${reason}`, { cause });
    }
  }

  #handshake(onIdentity: (peer: NodeIdentity) => void): HandshakeOptions {
    const { self, cookies, settings: { allowMeshLang, randomBytes } } = this.#options;
    return { self, allowMeshLang, cookies, randomBytes, onIdentity };
  }

  /** Ends a dial before the proof if it is to the wrong node, or if there is a link already. */
  #commit(handshake: PendingHandshake, target: Target, peer: NodeIdentity): void {
    if (target.name !== undefined && target.name !== peer.name) {
      throw wrongName(target.name, peer.name);
    }
    const { peers } = this.#options;
    const link = peers.get(peer.name);
    const linked = link?.peer.incarnation === peer.incarnation;
    const committed = this.#pending.committedTo(peer) !== undefined;
    handshake.peer = peer;
    if (linked || committed) throw alreadyLinked(peer.name);
    if (link !== undefined && isMeshLang(peer)) {
      throw new MeshError("duplicate-name", peer.name, `another live node is named ${peer.name}`);
    }
    if (link === undefined && peers.free <= 0) throw peers.tooMany(peer.name);
  }

  /** With both dialling at once, the smaller name decides, and this node has. */
  #checkPrecedence(peer: NodeIdentity): void {
    if (isMeshLang(peer) || !isSmallerName(this.#options.self.name, peer.name)) return;
    if (this.#pending.committedTo(peer)) {
      throw alreadyLinked(peer.name);
    }
  }

  /** What a peer of the Mesh runtime that dials must wait for, if anything: true if it stays. */
  #rivalOf(peer: NodeIdentity): Promise<boolean> | undefined {
    if (!isMeshLang(peer)) return undefined;
    const dial = this.#pending.committedTo(peer);
    return dial?.over.then(() => false) ?? this.#options.peers.get(peer.name)?.probe();
  }

  /** True if the node that a handshake was with is linked, or about to be by another handshake. */
  #isWanted({ peer }: PendingHandshake): boolean {
    if (peer === undefined) return false;
    return this.#options.peers.get(peer.name) !== undefined || this.#pending.has(peer.name);
  }

  /** The link, if there is one, that made a dial superfluous, so that it was refused. */
  async #linkInstead(name: string | undefined, error: unknown): Promise<Link | undefined> {
    if (name === undefined) return undefined;
    if (hasCode(error, "already-linked", "not-accepted")) await this.#pending.settled(name);
    // A peer of the Mesh runtime closes when it reads our name, and then the link is there already.
    else if (!hasCode(error, "closed")) return undefined;
    return this.#options.peers.get(name);
  }

  #addLink(
    connection: Connection,
    peer: NodeIdentity,
    direction: PeerInfo["direction"],
    ack?: Uint8Array,
  ): Link {
    const { self, settings, peers, tasks, linkListener, announcementsFor, onLink } = this.#options;
    const initiator = direction === "outgoing" ? self.name : peer.name;
    const { link, replaced } = peers.add(peer, initiator, () =>
      new Link({
        connection,
        peer,
        direction,
        clock: settings.clock,
        limits: settings,
        listener: linkListener,
        announcements: announcementsFor(peer),
      }, ack));
    tasks.run(link.ended);
    onLink(link, replaced);
    return link;
  }
}

function wrongName(expected: string, found: string): MeshError {
  return new MeshError("wrong-name", expected, `dialled ${expected}, but ${found} answers`);
}

function hasCode(error: unknown, ...codes: MeshErrorCode[]): boolean {
  return error instanceof MeshError && codes.includes(error.code);
}

function alreadyLinked(name: string): MeshError {
  return new MeshError("already-linked", name, `a link to ${name} is there or about to be`);
}
