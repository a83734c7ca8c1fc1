/**
 * A node of the mesh. It connects the parts and turns what they report into events:
 *
 * ```text
 *   node ──┬── connector ── pending handshakes, handshake    connections become links
 *          ├── peers, observers ── duplicate links          one link for each of them
 *          │     └── link ── send queue, heartbeat          what happens on it
 *          ├── interest                                     which broadcasts go where
 *          ├── discovery ── known nodes                     who should be linked, and is dialled
 *          ├── peer lists                                   peers tell each other of their peers
 *          ├── shared port                                  one worker of several can be found there
 *          └── task group                                   whatever runs, until shutdown
 * ```
 */

import type { PublishReport } from "../backplane/backplane.ts";
import { checkMessage } from "../backplane/check_message.ts";
import { checkString } from "../backplane/checks.ts";
import { printError } from "../backplane/errors.ts";
import {
  MalformedEvent,
  MissedEvent,
  NodeDownEvent,
  OverflowEvent,
  RefusedEvent,
} from "../backplane/events.ts";
import { GuardedEventTarget } from "../backplane/guarded_event_target.ts";
import { Receivers } from "../backplane/receivers.ts";
import { INCARNATION_BYTES } from "../codec/mod.ts";
import { Cookies } from "./cookies.ts";
import {
  type MeshEventMap,
  PeerDownEvent,
  type PeerDownReason,
  type PeerInfo,
  PeerUpEvent,
  UnsupportedEvent,
} from "./events.ts";
import { isObserver, newIdentity } from "./handshake.ts";
import { Interest } from "./interest.ts";
import { KeepAlive } from "./keep_alive.ts";
import type { Link } from "./link.ts";
import { LostLinks } from "./missed.ts";
import { Connector } from "./connector.ts";
import type { Mesh } from "./mesh.ts";
import { meshLangLimit } from "./mesh_lang.ts";
import { MeshError } from "./mesh_error.ts";
import { formatAddress, formatName, parseTarget } from "./node_name.ts";
import type { MeshSettings } from "./options.ts";
import { PeerLists } from "./peer_lists.ts";
import { Peers } from "./peers.ts";
import { becomeReady } from "./readiness.ts";
import { listenAtSharedPort, SharedPort } from "./shared_port.ts";
import { TaskGroup } from "./task_group.ts";
import { type MeshTotals, newCounters } from "./totals.ts";
import type { Address, Listener } from "./transport.ts";
import { Discovery } from "./discovery.ts";

/** Most observers at a time. */
const MAX_OBSERVERS = 16;

/** How long a link may take to write what waits and say goodbye. */
const LEAVE_LIMIT_MS = 2_000;

export class MeshNode extends GuardedEventTarget<MeshEventMap> implements Mesh {
  readonly name: string;
  readonly incarnation: string;
  readonly address: Address;
  readonly maxMessageBytes: number;

  readonly #settings: MeshSettings;
  readonly #keepAlive: KeepAlive;
  readonly #totals = newCounters();
  readonly #listener: Listener;
  readonly #localListener: Listener | undefined;
  readonly #tasks: TaskGroup;
  readonly #peers: Peers;
  readonly #observers: Peers;
  readonly #connector: Connector;
  readonly #discovery: Discovery;
  readonly #peerLists: PeerLists;
  readonly #interest: Interest;
  readonly #lostLinks = new LostLinks();
  readonly #sharedPort: SharedPort | undefined;
  readonly #receivers = new Receivers();
  readonly #onAbort = () => void this.shutdown();
  #shutdown: Promise<void> | undefined;

  static async start(settings: MeshSettings): Promise<MeshNode> {
    const { name, listen, sharesPort, transport, signal } = settings;
    if (signal?.aborted) throw shutDown(name.name);
    const cookies = new Cookies(settings.cookies);
    let listener: Listener;
    try {
      listener = sharesPort
        ? await listenAtSharedPort(transport, listen)
        : await transport.listen(listen);
    } catch (cause) {
      const address = formatAddress(listen);
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `cannot listen at ${address}: ${reason}`;
      throw new MeshError("listen-failed", address, message, { cause });
    }
    const node = new MeshNode(settings, listener, await listenLocally(settings), cookies);
    if (!signal?.aborted) return node;
    await node.shutdown();
    throw shutDown(node.name);
  }

  private constructor(
    options: MeshSettings,
    listener: Listener,
    localListener: Listener | undefined,
    cookies: Cookies,
  ) {
    super(printError);
    const keepAlive = this.#keepAlive = new KeepAlive(options.clock);
    const settings = this.#settings = { ...options, clock: keepAlive };
    const { name, local, listen, sharesPort, clock, randomBytes, maxPeers, signal } = settings;
    this.#listener = listener;
    this.#localListener = localListener;
    this.address = listener.address;
    const isFallback = sharesPort && listen.port !== 0 && listener.address.port !== listen.port;
    this.name = name.port === 0 || isFallback
      ? formatName(local, { ...name, port: listener.address.port })
      : name.name;
    const { allowMeshLang, maxMessageBytes } = settings;
    this.maxMessageBytes = allowMeshLang ? meshLangLimit(maxMessageBytes) : maxMessageBytes;
    const self = newIdentity(this.name, randomBytes(INCARNATION_BYTES), settings.features);
    this.incarnation = self.incarnation;

    const tasks = this.#tasks = new TaskGroup(clock);
    const peers = this.#peers = new Peers(this.name, maxPeers);
    const observers = this.#observers = new Peers(this.name, MAX_OBSERVERS);
    const interest = this.#interest = new Interest(settings.interest, clock);
    const onRefused = (address: string, error: unknown) => this.#onRefused(address, error);
    this.#connector = new Connector({
      settings,
      totals: this.#totals,
      self,
      cookies,
      peers,
      observers,
      tasks,
      keepAlive,
      linkListener: {
        onBroadcast: (link, message) =>
          this.#receivers.deliver(message, link.peer.incarnation || undefined),
        onInterest: (link, message) => interest.receive(link, message),
        onMissed: (link, count) => {
          if (!isObserver(link.peer)) this.#onMissed(link, count);
        },
        onPeerList: (names) => this.#peerLists.receive(names),
        onMalformed: (link, { code }) => this.dispatchEvent(new MalformedEvent(link.info, code)),
        onOverflow: (link) => this.dispatchEvent(new OverflowEvent(link.info, link.info.dropped)),
        onUnsupported: (link, tag) => this.dispatchEvent(new UnsupportedEvent(link.info, tag)),
        onDown: (link, reason, cause) => this.#onDown(link, reason, cause),
      },
      isKnownHost: (hostname) => this.#discovery.isKnownHost(hostname),
      announcementsFor: (peer) => interest.announcementsFor(peer),
      onLink: (link, replaced) => this.#onLink(link, replaced),
      onRefused,
    });
    this.#discovery = new Discovery({
      settings,
      selfName: this.name,
      listenHost: listener.address.hostname,
      localAddress: localListener?.address,
      peers,
      connector: this.#connector,
      tasks,
      onRefused,
    });
    this.#peerLists = new PeerLists({
      selfName: this.name,
      maxMessageBytes: this.maxMessageBytes,
      peers,
      observers,
      discovery: this.#discovery,
      tasks,
      onRefused,
    });
    if (isFallback) {
      this.#sharedPort = new SharedPort({
        transport: settings.transport,
        listen,
        address: { hostname: name.hostname, port: name.port || listen.port },
        connector: this.#connector,
        discovery: this.#discovery,
        tasks,
        onRefused,
      });
      tasks.run(this.#sharedPort.follow());
    }
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    tasks.run(this.#connector.acceptAll(listener));
    if (localListener !== undefined) tasks.run(this.#connector.acceptAll(localListener));
    tasks.run(this.#discovery.followSeeds());
    tasks.run(this.#peerLists.repeat());
  }

  get nodeId(): string {
    return this.incarnation;
  }

  get peers(): readonly PeerInfo[] {
    return Array.from(this.#peers, (link) => link.info);
  }

  get totals(): MeshTotals {
    return { ...this.#totals };
  }

  publish(message: Uint8Array, from?: Disposable): PublishReport {
    checkMessage(message, this.maxMessageBytes);
    let peers = 0;
    let dropped = 0;
    if (this.#tasks.stopped) return { peers, dropped };
    this.#totals.published++;
    this.#interest.flush();
    for (const link of this.#interest.receivers(message)) {
      const outcome = link.publish(message);
      if (outcome === "queued") peers++;
      else if (outcome === "dropped") dropped++;
    }
    this.#receivers.deliverLocally(message, this.nodeId, from);
    return { peers, dropped };
  }

  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable {
    return this.#receivers.add(receive);
  }

  openRoom(room: string): void {
    this.#interest.openRoom(room);
  }

  closeRoom(room: string): void {
    this.#interest.closeRoom(room);
  }

  ready(): Promise<void> {
    return becomeReady({
      discovery: this.#discovery,
      interest: this.#interest,
      peers: this.#peers,
      tasks: this.#tasks,
    });
  }

  async connect(text: string): Promise<PeerInfo> {
    checkString("target", text);
    const target = parseTarget(text);
    if (this.#tasks.stopped) throw shutDown(this.name);
    try {
      const link = await this.#connector.dial(target);
      this.#discovery.linked(link, target);
      return link.info;
    } finally {
      // Known nodes may have been waiting for the place that the dial occupied.
      this.#discovery.dialDue();
    }
  }

  unref(): void {
    this.#keepAlive.set(false);
  }

  ref(): void {
    this.#keepAlive.set(true);
  }

  shutdown(): Promise<void> {
    this.#shutdown ??= this.#stop();
    return this.#shutdown;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #stop(): Promise<void> {
    this.#tasks.stop();
    this.#settings.signal?.removeEventListener("abort", this.#onAbort);
    this.#listener.close();
    this.#localListener?.close();
    this.#sharedPort?.stop();
    this.#discovery.stop();
    this.#interest.stop();
    this.#connector.stop();
    const links = [...this.#peers, ...this.#observers];
    await Promise.all(links.map((link) => link.leave(LEAVE_LIMIT_MS)));
    await this.#tasks.ended();
  }

  #onLink(link: Link, replaced: Link | undefined): void {
    this.#interest.linked(link);
    if (isObserver(link.peer)) {
      this.#peerLists.send(link);
      replaced?.end("replaced");
      return;
    }
    // Discovery learns of a link that this node has dialled when the dial is over.
    if (link.direction === "incoming") this.#discovery.linked(link);
    this.#peerLists.introduce(link);
    replaced?.end("replaced");
    this.dispatchEvent(new PeerUpEvent(link.info));
    if (this.#lostLinks.up(link.peer.name)) this.#onMissed(link);
  }

  #onDown(link: Link, reason: PeerDownReason, cause: unknown): void {
    this.#interest.unlinked(link);
    if (isObserver(link.peer)) return void this.#observers.remove(link);
    const isGone = this.#peers.remove(link);
    if (isGone) this.#discovery.lost(link, reason);
    this.dispatchEvent(new PeerDownEvent(link.info, reason, cause));
    const { name, incarnation } = link.peer;
    const isReplaced = this.#peers.get(name)?.peer.incarnation === incarnation;
    if (this.#lostLinks.down(name, reason, isReplaced)) this.#onMissed(link);
    if (incarnation !== "" && !isReplaced) this.dispatchEvent(new NodeDownEvent(incarnation));
  }

  #onMissed(link: Link, count?: number): void {
    this.dispatchEvent(new MissedEvent(link.info, link.peer.incarnation || undefined, count));
  }

  #onRefused(address: string, error: unknown): void {
    // A node that shuts down expects to be cut off.
    if (this.#tasks.stopped) return;
    const code = error instanceof MeshError ? error.code : "unexpected";
    // An existing link is not a refusal. A node may be among its own seeds, for example as one of
    // several behind a host name. If another node's name leads to this one, the code is
    // `own-address`.
    if (code === "already-linked" || code === "own-name") return;
    this.dispatchEvent(new RefusedEvent(address, code, error));
  }
}

function shutDown(name: string): MeshError {
  return new MeshError("shut-down", name, `${name} has been shut down`);
}

/** Listens for nodes of the same process, if there can be any. */
async function listenLocally({ localTransport }: MeshSettings): Promise<Listener | undefined> {
  try {
    return await localTransport?.listen({ hostname: "127.0.0.1", port: 0 });
  } catch {
    // There is no such interface. The siblings dial the node like all others.
    return undefined;
  }
}
