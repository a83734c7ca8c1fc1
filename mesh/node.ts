/**
 * A node of the mesh: what ties links, handshakes and known nodes together.
 *
 * How a cluster forms: a node dials its seeds; over every new link both sides send the names of
 * their peers; each dials the names that are new to it. So one address is enough to reach all.
 *
 * How two nodes that dial each other at once end up with one link: the node with the smaller name
 * decides. It commits itself either to its own dial, by sending its proof, or to the other's, by
 * sending ACK, whichever comes first, and ends the other handshake. The node with the larger name
 * lets the smaller have its way, and a dial that is refused waits for the link that made it
 * superfluous. Should two links come up all the same, `admission.ts` says which is kept.
 *
 * Each task here (accepting, dialling, following the seeds, a link) handles its own errors and is
 * waited for by `shutdown`; nothing else outlives a call.
 */

import {
  encodePeerList,
  FrameError,
  INCARNATION_BYTES,
  ROOM_BROADCAST,
  ROOM_BROADCAST_OVERHEAD,
} from "../codec/mod.ts";
import type { PublishReport } from "../rooms/backplane.ts";
import { Attempt, Attempts } from "./attempts.ts";
import { randomFraction } from "./clock.ts";
import { Cookies } from "./cookies.ts";
import { meshEvent, type MeshEventDetails, type PeerDownReason, type PeerInfo } from "./events.ts";
import {
  accept,
  type HandshakeOptions,
  initiate,
  newIdentity,
  type NodeIdentity,
} from "./handshake.ts";
import { KnownNodes } from "./known_nodes.ts";
import { Link, type LinkListener } from "./link.ts";
import type { Mesh } from "./mesh.ts";
import { MeshError, type MeshErrorCode } from "./mesh_error.ts";
import {
  formatAddress,
  formatName,
  isSmallerName,
  parseNodeName,
  parseTarget,
  type Target,
} from "./node_name.ts";
import type { MeshSettings, Seeds } from "./options.ts";
import { Peers } from "./peers.ts";
import type { Address, Connection, Listener } from "./transport.ts";

/** How often a `seeds` function is asked. */
const SEEDS_INTERVAL_MS = 5_000;

/** How long to wait when a connection could not be accepted, for lack of descriptors perhaps. */
const ACCEPT_PAUSE_MS = 100;

/** How long a link may take to write what waits and say goodbye. */
const LEAVE_LIMIT_MS = 2_000;

export class MeshNode extends EventTarget implements Mesh {
  readonly name: string;
  readonly incarnation: string;
  readonly address: Address;
  readonly maxMessageBytes: number;

  readonly #settings: MeshSettings;
  readonly #listener: Listener;
  readonly #self: NodeIdentity;
  readonly #cookies: Cookies;
  readonly #peers: Peers;
  readonly #attempts: Attempts;
  readonly #known: KnownNodes;
  readonly #linkListener: LinkListener;
  readonly #receivers: ((message: Uint8Array) => void)[] = [];
  /** Dials under way, by address. */
  readonly #dials = new Map<string, Promise<Link>>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #onAbort = () => void this.shutdown();
  #redialTimer: unknown;
  #shutdown: Promise<void> | undefined;

  static async start(settings: MeshSettings): Promise<MeshNode> {
    if (settings.signal?.aborted) throw shutDown(settings.name.name);
    const cookies = await Cookies.import(settings.cookies);
    const { listen, transport } = settings;
    let listener: Listener;
    try {
      listener = await transport.listen(listen);
    } catch (cause) {
      const address = formatAddress(listen);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MeshError("listen-failed", address, `cannot listen at ${address}: ${reason}`, {
        cause,
      });
    }
    const node = new MeshNode(settings, listener, cookies);
    if (settings.signal?.aborted) {
      await node.shutdown();
      throw shutDown(node.name);
    }
    return node;
  }

  private constructor(settings: MeshSettings, listener: Listener, cookies: Cookies) {
    super();
    const { name, local, clock, randomBytes, maxPeers } = settings;
    this.#settings = settings;
    this.#listener = listener;
    this.#cookies = cookies;
    this.address = listener.address;
    this.name = name.port === 0
      ? formatName(local, { ...name, port: listener.address.port })
      : name.name;
    this.maxMessageBytes = settings.maxMessageBytes;
    this.#self = newIdentity(this.name, randomBytes(INCARNATION_BYTES));
    this.incarnation = this.#self.incarnation;
    this.#peers = new Peers(this.name, maxPeers);
    this.#attempts = new Attempts({
      clock,
      timeoutMs: settings.handshakeTimeoutMs,
      maxIncoming: settings.maxPendingHandshakes,
    });
    this.#known = new KnownNodes({
      maxLearnt: maxPeers,
      forgetAfterMs: settings.forgetAfterMs,
      fraction: () => randomFraction(randomBytes),
    });
    this.#known.disown(parseNodeName(this.name));
    this.#linkListener = {
      onBroadcast: (message) => this.#receive(message),
      onPeerList: (names) => this.#learn(names),
      onMalformed: (link, { code }) => this.#emit("malformed", { peer: link.info, code }),
      // Later, so that a listener that publishes does not do so in the midst of a publish.
      onOverflow: (link) => queueMicrotask(() => this.#reportOverflow(link)),
      onDown: (link, reason) => this.#onDown(link, reason),
    };
    settings.signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#track(this.#acceptAll());
    this.#track(this.#followSeeds());
  }

  get peers(): readonly PeerInfo[] {
    return Array.from(this.#peers, (link) => link.info);
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  publish(message: Uint8Array): PublishReport {
    checkPublished(message, this.maxMessageBytes);
    let peers = 0;
    let dropped = 0;
    if (this.#stopped) return { peers, dropped };
    for (const link of this.#peers) {
      if (link.publish(message)) peers++;
      else dropped++;
    }
    return { peers, dropped };
  }

  subscribe(receive: (message: Uint8Array) => void): void {
    this.#receivers.push(receive);
  }

  async connect(text: string): Promise<PeerInfo> {
    const target = parseTarget(text);
    if (this.#stopped) throw shutDown(this.name);
    const link = await this.#dial(target);
    if (target.name === undefined || target.name === link.peer.name) return link.info;
    throw wrongName(target.name, link.peer.name);
  }

  shutdown(): Promise<void> {
    this.#shutdown ??= this.#stop();
    return this.#shutdown;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#settings.signal?.removeEventListener("abort", this.#onAbort);
    this.#settings.clock.clearTimeout(this.#redialTimer);
    this.#listener.close();
    this.#attempts.cancelAll("shut-down", `${this.name} has been shut down`);
    await Promise.all(Array.from(this.#peers, (link) => link.leave(LEAVE_LIMIT_MS)));
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  #track(task: Promise<void>): void {
    const tracked = task.finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }

  #emit<Type extends keyof MeshEventDetails>(type: Type, detail: MeshEventDetails[Type]): void {
    this.dispatchEvent(meshEvent(type, detail));
  }

  // Making links.

  async #acceptAll(): Promise<void> {
    while (!this.#stopped) {
      let connection: Connection;
      try {
        connection = await this.#listener.accept();
      } catch {
        if (this.#stopped) return;
        this.#emit("refused", { address: formatAddress(this.address), code: "accept-failed" });
        await this.#delay(ACCEPT_PAUSE_MS);
        continue;
      }
      if (this.#stopped) connection.close();
      else this.#track(this.#acceptOne(connection));
    }
  }

  async #acceptOne(connection: Connection): Promise<void> {
    const attempt = new Attempt(connection.remoteAddress, true);
    attempt.guard(connection);
    try {
      await this.#attempts.run(attempt, async () => {
        const onIdentity = (peer: NodeIdentity) => attempt.peer = peer;
        const { peer, ack } = await accept(connection, this.#handshake(onIdentity));
        attempt.signal.throwIfAborted();
        this.#checkPrecedence(peer);
        this.#addLink(connection, peer, "incoming", ack);
      });
    } catch (error) {
      connection.close();
      this.#refused(attempt.address, error);
    }
  }

  /** The link to a target: the one that is there, or one dialled now. */
  #dial(target: Target): Promise<Link> {
    const link = target.name === undefined ? undefined : this.#peers.get(target.name);
    if (link !== undefined) return Promise.resolve(link);
    const address = formatAddress(target);
    let dial = this.#dials.get(address);
    if (dial === undefined) {
      dial = this.#dialNow(target).finally(() => this.#dials.delete(address));
      this.#dials.set(address, dial);
    }
    return dial;
  }

  async #dialNow(target: Target): Promise<Link> {
    const attempt = new Attempt(target, false);
    let connection: Connection | undefined;
    try {
      return await this.#attempts.run(attempt, async () => {
        const opened = connection = await this.#open(target, attempt.signal);
        attempt.guard(opened);
        const onIdentity = (peer: NodeIdentity) => this.#commit(attempt, target, peer);
        const peer = await initiate(opened, this.#handshake(onIdentity));
        attempt.signal.throwIfAborted();
        return this.#addLink(opened, peer, "outgoing");
      });
    } catch (error) {
      connection?.close();
      return await this.#linkInstead(attempt, error);
    }
  }

  async #open(target: Target, signal: AbortSignal): Promise<Connection> {
    try {
      return await this.#settings.transport.connect(target, { signal });
    } catch (cause) {
      const address = formatAddress(target);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MeshError("unreachable", address, `cannot reach ${address}: ${reason}`, { cause });
    }
  }

  #handshake(onIdentity: (peer: NodeIdentity) => void): HandshakeOptions {
    return {
      self: this.#self,
      cookies: this.#cookies,
      randomBytes: this.#settings.randomBytes,
      onIdentity,
    };
  }

  /** Ends a dial before the proof if it is to the wrong node, or if there is a link already. */
  #commit(attempt: Attempt, target: Target, peer: NodeIdentity): void {
    if (target.name !== undefined && target.name !== peer.name) {
      throw wrongName(target.name, peer.name);
    }
    const link = this.#peers.get(peer.name);
    const linked = link?.peer.incarnation === peer.incarnation;
    const committed = this.#attempts.isCommittedTo(peer);
    attempt.peer = peer;
    if (linked || committed) throw alreadyLinked(peer.name);
    if (link === undefined && this.#peers.free <= 0) throw this.#peers.tooMany(peer.name);
  }

  /** With both dialling at once, the smaller name decides, and this node has. */
  #checkPrecedence(peer: NodeIdentity): void {
    if (isSmallerName(this.name, peer.name) && this.#attempts.isCommittedTo(peer)) {
      throw alreadyLinked(peer.name);
    }
  }

  /** A dial that was refused may have been superfluous: gives the link that made it so. */
  async #linkInstead(attempt: Attempt, error: unknown): Promise<Link> {
    const name = attempt.peer?.name;
    if (name !== undefined && hasCode(error, "already-linked", "not-accepted")) {
      await this.#attempts.settled(name);
      const link = this.#peers.get(name);
      if (link !== undefined) return link;
    }
    throw error;
  }

  #addLink(
    connection: Connection,
    peer: NodeIdentity,
    direction: PeerInfo["direction"],
    ack?: Uint8Array,
  ): Link {
    const initiator = direction === "outgoing" ? this.name : peer.name;
    const { clock } = this.#settings;
    const { link, replaced } = this.#peers.add(peer, initiator, () =>
      new Link({
        connection,
        peer,
        direction,
        clock,
        limits: this.#settings,
        listener: this.#linkListener,
      }, ack));
    this.#track(link.ended);
    this.#known.linked(parseNodeName(peer.name), clock.now());
    this.#sendPeerList(link);
    replaced?.end("replaced");
    this.#emit("peerup", { peer: link.info });
    return link;
  }

  #sendPeerList(link: Link): void {
    const names = Array.from(this.#peers, ({ peer }) => peer.name);
    const others = names.filter((name) => name !== link.peer.name);
    for (let rest = others; rest.length > 0;) {
      // In several messages, should the limit for one be that small.
      let count = rest.length;
      while (encodePeerList(rest.slice(0, count)).length > this.maxMessageBytes) count >>= 1;
      link.send(encodePeerList(rest.slice(0, count)));
      rest = rest.slice(count);
    }
  }

  // What links bring.

  #receive(message: Uint8Array): void {
    for (const receive of this.#receivers) {
      try {
        receive(message);
      } catch (error) {
        if (error instanceof FrameError) throw error;
        // A fault of the application must neither hide nor cost the link.
        reportError(error);
      }
    }
  }

  #learn(names: readonly string[]): void {
    const now = this.#settings.clock.now();
    for (const name of names) {
      if (name === this.name || this.#peers.get(name) !== undefined) continue;
      try {
        if (!this.#known.learn(parseNodeName(name), now)) throw this.#peers.tooMany(name);
      } catch (error) {
        // One report for a list: who sends thousands of bad names gets no more out of it.
        this.#refused(name, error);
        break;
      }
    }
    this.#redial();
  }

  #onDown(link: Link, reason: PeerDownReason): void {
    const { peer, info } = link;
    const now = this.#settings.clock.now();
    if (this.#peers.remove(link)) {
      if (reason === "goodbye") this.#known.departed(peer.name, now);
      else this.#known.lost(peer.name, info.since, now);
    }
    this.#emit("peerdown", { peer: info, reason });
    this.#redial();
  }

  #reportOverflow(link: Link): void {
    const peer = link.info;
    this.#emit("overflow", { peer, dropped: peer.dropped });
  }

  #refused(address: string, error: unknown): void {
    // That a link is there already is no refusal; a node that dials itself finds out and stops; and
    // one that shuts down expects to be cut off.
    if (this.#stopped || hasCode(error, "already-linked", "own-name")) return;
    this.#emit("refused", { address, code: error instanceof MeshError ? error.code : "closed" });
  }

  // Keeping the links that should be there.

  async #followSeeds(): Promise<void> {
    const { seeds, clock } = this.#settings;
    // Not before whoever has started the node can listen to its events.
    await this.#delay(0);
    if (typeof seeds !== "function") {
      this.#known.setSeeds(seeds, clock.now());
      return this.#redial();
    }
    while (!this.#stopped) {
      try {
        const texts = await this.#unlessStopped(seeds);
        this.#known.setSeeds(this.#parseSeeds(texts ?? []), clock.now());
      } catch {
        this.#emit("refused", { address: "seeds", code: "seeds-failed" });
      }
      this.#redial();
      await this.#delay(SEEDS_INTERVAL_MS);
    }
  }

  #parseSeeds(texts: Seeds): Target[] {
    return texts.flatMap((text) => {
      try {
        return [parseTarget(text)];
      } catch (error) {
        this.#refused(String(text), error);
        return [];
      }
    });
  }

  /** Dials every known node whose time has come, and sees to being called for the next. */
  #redial(): void {
    if (this.#stopped) return;
    const { clock } = this.#settings;
    clock.clearTimeout(this.#redialTimer);
    const isLinked = (name: string) => this.#peers.get(name) !== undefined;
    const free = this.#peers.free - this.#dials.size;
    for (const target of this.#known.due(clock.now(), isLinked, free)) {
      this.#track(this.#redialOne(target));
    }
    // With no place for another link there is nothing to wait for but the end of one.
    const next = this.#known.nextDueAt(isLinked);
    if (next === undefined || this.#peers.free <= this.#dials.size) return;
    const delayMs = Math.max(0, next - clock.now());
    this.#redialTimer = clock.setTimeout(() => this.#redial(), delayMs);
  }

  async #redialOne(target: Target): Promise<void> {
    const { clock } = this.#settings;
    try {
      const link = await this.#dial(target);
      this.#known.dialled(target, link.peer.name, clock.now());
    } catch (error) {
      if (hasCode(error, "own-name")) this.#known.disown(target);
      this.#refused(formatAddress(target), error);
      this.#known.dialled(target, undefined, clock.now());
    }
    this.#redial();
  }

  #delay(delayMs: number): Promise<void> {
    const { clock } = this.#settings;
    return this.#unlessStopped(() => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = clock.setTimeout(resolve, delayMs);
      this.#stopping.signal.addEventListener("abort", () => clock.clearTimeout(timer), {
        once: true,
      });
      return promise;
    });
  }

  /** What `work` gives; undefined as soon as the node is shut down. */
  async #unlessStopped<T>(work: () => T | Promise<T>): Promise<T | undefined> {
    if (this.#stopped) return undefined;
    const { signal } = this.#stopping;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const stop = () => resolve(undefined);
    signal.addEventListener("abort", stop);
    try {
      return await Promise.race([work(), promise]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }
}

function checkPublished(message: Uint8Array, maxMessageBytes: number): void {
  if (message.length < ROOM_BROADCAST_OVERHEAD) {
    throw new FrameError("truncated", message.length, "what is published must be a room broadcast");
  }
  if (message[0] !== ROOM_BROADCAST) {
    throw new FrameError("wrong-tag", 0, "what is published must be a room broadcast");
  }
  if (message.length > maxMessageBytes) {
    throw new FrameError(
      "message-too-long",
      maxMessageBytes,
      `message has ${message.length} bytes, the mesh carries at most ${maxMessageBytes}`,
    );
  }
}

function hasCode(error: unknown, ...codes: MeshErrorCode[]): boolean {
  return error instanceof MeshError && codes.includes(error.code);
}

function alreadyLinked(name: string): MeshError {
  return new MeshError("already-linked", name, `a link to ${name} is there or about to be`);
}

function wrongName(expected: string, found: string): MeshError {
  return new MeshError("wrong-name", expected, `dialled ${expected}, but ${found} answers`);
}

function shutDown(name: string): MeshError {
  return new MeshError("shut-down", name, `${name} has been shut down`);
}
