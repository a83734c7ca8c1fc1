/**
 * How links are made: it accepts and dials connections, runs handshakes, and chooses between two
 * links.
 *
 * When two nodes dial each other at once, the one with the smaller name decides. It commits itself
 * either to its own dial, by sending its proof, or to the other's, by sending ACK, whichever comes
 * first. Then it ends the other handshake. The node with the larger name follows. If its dial is
 * refused, the dial waits for the link that made it superfluous. If two links come up all the same,
 * `duplicate_links.ts` decides which one is kept.
 *
 * `mesh_lang.ts` describes what is different for a node of the Mesh runtime.
 */

import { FEATURE_OBSERVER } from "../codec/mod.ts";
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
  isObserver,
  type NodeIdentity,
} from "./handshake.ts";
import { Link, type LinkListener } from "./link.ts";
import { MeshError, type MeshErrorCode } from "./mesh_error.ts";
import { formatAddress, isSameNode, isSmallerName, type Target } from "./node_name.ts";
import type { MeshSettings } from "./options.ts";
import { DeadSessions, isMeshLang, meshLangRival } from "./mesh_lang.ts";
import type { KeepAlive } from "./keep_alive.ts";
import type { Peers } from "./peers.ts";
import type { TaskGroup } from "./task_group.ts";
import type { Counters } from "./totals.ts";
import type { Address, Connection, Listener } from "./transport.ts";

/** How often connections that are closed at once during a flood are reported. */
const FLOOD_REPORT_INTERVAL_MS = 1_000;

/** What a connector works with. */
export interface ConnectorOptions {
  readonly settings: MeshSettings;
  readonly totals: Counters;
  readonly self: NodeIdentity;
  readonly cookies: Cookies;
  readonly peers: Peers;
  /** Nodes that have dialled this one to observe the cluster. */
  readonly observers: Peers;
  readonly tasks: TaskGroup;
  readonly keepAlive: KeepAlive;
  readonly linkListener: LinkListener;
  /** True if a node that this one knows lives at a host. */
  readonly isKnownHost: (hostname: string) => boolean;
  /** What a new link to a peer has to announce. */
  readonly announcementsFor: (peer: NodeIdentity) => Announcements | undefined;
  /** A link has come up, and may have replaced another. */
  readonly onLink: (link: Link, replaced: Link | undefined) => void;
  /** A connection did not become a link, or none could be accepted. */
  readonly onRefused: (address: string, error: unknown) => void;
}

/** See the head of the file. */
export class Connector {
  readonly #options: ConnectorOptions;
  readonly #pending: PendingHandshakes;
  readonly #rate: HandshakeRate;
  readonly #deadSessions: DeadSessions;
  #floodReportedAt = -Infinity;
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
    this.#deadSessions = new DeadSessions(clock);
  }

  /** How many more links there can be. Dials under way count as links. */
  get free(): number {
    return this.#options.peers.free - this.#dials.size;
  }

  /** Cancels everything that is under way. */
  stop(): void {
    const { name } = this.#options.self;
    this.#pending.cancelAll("shut-down", `${name} has been shut down`);
  }

  /** Accepts connections until the listener is closed. */
  acceptAll(listener: Listener): Promise<void> {
    const { tasks, keepAlive, onRefused, settings: { clock } } = this.#options;
    keepAlive.add(listener);
    const onConnection = (connection: Connection) => this.#takeOn(connection);
    return acceptAll(listener, { clock, tasks, onConnection, onRefused });
  }

  /**
   * The link to a target: the existing one, or one that is dialled now.
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
      // Shutdown waits until the dial is over, even if nobody else does.
      this.#options.tasks.run(dial.then(() => {}, () => {}));
    }
    return dial;
  }

  /** During a flood, whatever is done for a connection adds up: most are closed at once. */
  #takeOn(connection: Connection): boolean {
    const { remoteAddress } = connection;
    const isKnown = this.#options.isKnownHost(remoteAddress.hostname);
    const isAdmitted = this.#rate.admit(remoteAddress.hostname, isKnown);
    if (isAdmitted) {
      this.#options.tasks.run(this.#acceptOne(connection, isKnown));
    } else {
      connection.close();
      this.#reportFlood(remoteAddress);
    }
    return isAdmitted;
  }

  async #acceptOne(connection: Connection, isKnown: boolean): Promise<void> {
    const { remoteAddress } = connection;
    this.#options.keepAlive.add(connection);
    const handshake = new PendingHandshake(remoteAddress, true, isKnown);
    handshake.guard(connection);
    try {
      await this.#pending.run(handshake, async () => {
        await connection.greeted?.();
        handshake.hasSpoken = connection.greeted !== undefined;
        const onIdentity = (peer: NodeIdentity) => {
          handshake.hasSpoken = true;
          handshake.peer = peer;
        };
        const { peer, ack } = await accept(connection, this.#handshake(onIdentity));
        handshake.signal.throwIfAborted();
        this.#checkPrecedence(peer);
        // Of several that a peer of the Mesh runtime dials, one waits.
        if (isMeshLang(peer) && this.#pending.isWaiting(peer.name)) throw alreadyLinked(peer.name);
        handshake.proven = true;
        // The last look is not followed by an await, so no rival can come up before the link is
        // added.
        for (let rival = this.#rivalOf(peer); rival; rival = this.#rivalOf(peer)) {
          // If the rival stays, `Peers.add` refuses the newcomer with the reason.
          if (await handshake.unlessCancelled(rival)) break;
        }
        this.#addLink(connection, peer, "incoming", ack);
      });
    } catch (error) {
      this.#close(connection);
      // A node hangs up if it gets a link in another way while it is dialling.
      const superfluous = hasCode(error, "closed") && this.#isWanted(handshake);
      if (!superfluous) this.#options.onRefused(handshake.address, error);
    } finally {
      if (!handshake.hasSpoken) this.#rate.refund(handshake.hostname, isKnown);
    }
  }

  /** Reports a connection that was closed at once, unless there has just been such a report. */
  #reportFlood(remote: Address): void {
    const { settings: { clock, maxHandshakesPerSecond }, onRefused } = this.#options;
    const now = clock.now();
    if (now - this.#floodReportedAt < FLOOD_REPORT_INTERVAL_MS) return;
    this.#floodReportedAt = now;
    const address = formatAddress(remote);
    const message = `no handshake with ${address}: unknown addresses may begin ` +
      `${maxHandshakesPerSecond} a second, and one of them a quarter of that`;
    onRefused(address, new MeshError("too-many-handshakes", address, message));
  }

  async #dialNow(target: Target): Promise<Link> {
    const handshake = new PendingHandshake(target, false);
    let connection: Connection | undefined;
    try {
      return await this.#pending.run(handshake, async () => {
        const opened = connection = await this.#open(target, handshake.signal);
        this.#options.keepAlive.add(opened);
        handshake.guard(opened);
        const onIdentity = (peer: NodeIdentity) => this.#commit(handshake, target, peer);
        const peer = await initiate(opened, this.#handshake(onIdentity));
        handshake.signal.throwIfAborted();
        return this.#addLink(opened, peer, "outgoing");
      });
    } catch (error) {
      if (connection !== undefined) this.#close(connection);
      const link = await this.#linkInstead(handshake.peer?.name ?? target.name, error);
      if (link) return link;
      throw error;
    }
  }

  async #open(target: Target, signal: AbortSignal): Promise<Connection> {
    const { transport, localTransport, seeds } = this.#options.settings;
    const localAddress = localTransport && target.name !== undefined && typeof seeds === "function"
      ? seeds.localAddressOf?.(target.name)
      : undefined;
    try {
      return localTransport && localAddress
        ? await localTransport.connect(localAddress, { signal })
        : await transport.connect(target, { signal });
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
    const isExpected = target.name === undefined || target.name === peer.name ||
      (isMeshLang(peer) && isSameNode(target.name, peer.name));
    if (!isExpected) {
      throw wrongName(target.name, peer.name);
    }
    if (isObserver(peer)) {
      throw new MeshError("observer", peer.name, `${peer.name} only observes: it dials others`);
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

  /**
   * If both dial at once, the smaller name decides. This node has the smaller name, and has
   * decided.
   */
  #checkPrecedence(peer: NodeIdentity): void {
    if (isMeshLang(peer) || !isSmallerName(this.#options.self.name, peer.name)) return;
    if (this.#pending.committedTo(peer)) {
      throw alreadyLinked(peer.name);
    }
  }

  #rivalOf(peer: NodeIdentity): Promise<boolean> | undefined {
    if (!isMeshLang(peer)) return undefined;
    const leftMs = this.#deadSessions.leftMs(peer.name);
    if (leftMs > 0) return this.#options.tasks.delay(leftMs).then(() => false);
    return meshLangRival(peer, this.#pending, this.#options.peers);
  }

  /** True if the other node of a handshake is linked, or is about to be by another handshake. */
  #isWanted({ peer }: PendingHandshake): boolean {
    if (peer === undefined) return false;
    return this.#options.peers.get(peer.name) !== undefined || this.#pending.has(peer.name);
  }

  /** The link that made a dial superfluous, if the dial was refused for that reason. */
  async #linkInstead(name: string | undefined, error: unknown): Promise<Link | undefined> {
    if (name === undefined) return undefined;
    if (hasCode(error, "already-linked", "not-accepted")) await this.#pending.settled(name);
    // A peer of the Mesh runtime closes when it reads our name. The link exists by then.
    else if (!hasCode(error, "closed")) return undefined;
    return this.#options.peers.get(name);
  }

  #close(connection: Connection): void {
    this.#options.keepAlive.delete(connection);
    connection.close();
  }

  #addLink(
    connection: Connection,
    identity: NodeIdentity,
    direction: PeerInfo["direction"],
    ack?: Uint8Array,
  ): Link {
    const { self, settings, totals, peers, tasks, keepAlive, linkListener } = this.#options;
    const { announcementsFor, onLink, observers } = this.#options;
    // A feature counts only if both nodes have it. Whether a node observes is its own choice alone.
    const features = identity.features & (self.features | FEATURE_OBSERVER);
    const peer = { ...identity, features };
    const initiator = direction === "outgoing" ? self.name : peer.name;
    const makeLink = () =>
      new Link({
        connection,
        peer,
        direction,
        clock: settings.clock,
        limits: settings,
        totals,
        listener: linkListener,
        announcements: announcementsFor(peer),
      }, ack);
    const place = isObserver(peer) ? observers : peers;
    const { link, replaced } = place.add(peer, initiator, makeLink);
    tasks.run(link.ended.then(() => {
      keepAlive.delete(connection);
      if (isMeshLang(peer)) this.#deadSessions.ended(peer.name);
    }));
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
  return new MeshError("already-linked", name, `a link to ${name} exists or is being made`);
}
