/**
 * A node of the mesh. It holds the parts together and turns what they report into events:
 *
 * ```text
 *   node ──┬── linker ── attempts, handshake    connections become links
 *          ├── peers ── admission               one link for each peer
 *          │     └── link ── outbox, heartbeat  what happens on it
 *          ├── upkeep ── known nodes            who should be linked, and is dialled
 *          └── tasks                            whatever runs, until shutdown
 * ```
 */

import {
  encodePeerList,
  FrameError,
  INCARNATION_BYTES,
  ROOM_BROADCAST,
  ROOM_BROADCAST_OVERHEAD,
  SESSION_MAX_FRAME_BYTES,
} from "../codec/mod.ts";
import type { PublishReport } from "../rooms/backplane.ts";
import { Cookies } from "./cookies.ts";
import { meshEvent, type MeshEventDetails, type PeerDownReason, type PeerInfo } from "./events.ts";
import { newIdentity } from "./handshake.ts";
import type { Link } from "./link.ts";
import { Linker } from "./linker.ts";
import type { Mesh } from "./mesh.ts";
import { MeshError } from "./mesh_error.ts";
import { formatAddress, formatName, parseTarget } from "./node_name.ts";
import type { MeshSettings } from "./options.ts";
import { Peers } from "./peers.ts";
import { Tasks } from "./tasks.ts";
import type { Address, Listener } from "./transport.ts";
import { Upkeep } from "./upkeep.ts";

/**
 * How often peers are told of each other after the first time. Two that were cut off from one another
 * for so long that they have forgotten each other find together again through a third.
 */
const PEER_LIST_INTERVAL_MS = 60_000;

/** How long a link may take to write what waits and say goodbye. */
const LEAVE_LIMIT_MS = 2_000;

export class MeshNode extends EventTarget implements Mesh {
  readonly name: string;
  readonly incarnation: string;
  readonly address: Address;
  readonly maxMessageBytes: number;

  readonly #settings: MeshSettings;
  readonly #listener: Listener;
  readonly #tasks: Tasks;
  readonly #peers: Peers;
  readonly #linker: Linker;
  readonly #upkeep: Upkeep;
  readonly #receivers: ((message: Uint8Array) => void)[] = [];
  readonly #onAbort = () => void this.shutdown();
  #shutdown: Promise<void> | undefined;

  static async start(settings: MeshSettings): Promise<MeshNode> {
    const { name, listen, transport, signal } = settings;
    if (signal?.aborted) throw shutDown(name.name);
    const cookies = new Cookies(settings.cookies);
    let listener: Listener;
    try {
      listener = await transport.listen(listen);
    } catch (cause) {
      const address = formatAddress(listen);
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `cannot listen at ${address}: ${reason}`;
      throw new MeshError("listen-failed", address, message, { cause });
    }
    const node = new MeshNode(settings, listener, cookies);
    if (!signal?.aborted) return node;
    await node.shutdown();
    throw shutDown(node.name);
  }

  private constructor(settings: MeshSettings, listener: Listener, cookies: Cookies) {
    super();
    const { name, local, clock, randomBytes, maxPeers, signal } = settings;
    this.#settings = settings;
    this.#listener = listener;
    this.address = listener.address;
    this.name = name.port === 0
      ? formatName(local, { ...name, port: listener.address.port })
      : name.name;
    // A longer message would cost an original peer its link.
    this.maxMessageBytes = settings.allowOriginal
      ? Math.min(settings.maxMessageBytes, SESSION_MAX_FRAME_BYTES)
      : settings.maxMessageBytes;
    const self = newIdentity(this.name, randomBytes(INCARNATION_BYTES));
    this.incarnation = self.incarnation;

    const tasks = this.#tasks = new Tasks(clock);
    const peers = this.#peers = new Peers(this.name, maxPeers);
    const onRefused = (address: string, error: unknown) => this.#onRefused(address, error);
    this.#linker = new Linker({
      settings,
      self,
      cookies,
      peers,
      tasks,
      linkListener: {
        onBroadcast: (message) => this.#onBroadcast(message),
        onPeerList: (names) => this.#upkeep.learn(names),
        onMalformed: (link, { code }) => this.#emit("malformed", { peer: link.info, code }),
        onOverflow: (link) => this.#onOverflow(link),
        onDown: (link, reason) => this.#onDown(link, reason),
      },
      onLink: (link, replaced) => this.#onLink(link, replaced),
      onRefused,
    });
    this.#upkeep = new Upkeep({
      settings,
      selfName: this.name,
      peers,
      linker: this.#linker,
      tasks,
      onRefused,
    });
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    tasks.run(this.#linker.acceptAll(listener));
    tasks.run(this.#upkeep.followSeeds());
    tasks.run(this.#repeatPeerLists());
  }

  get peers(): readonly PeerInfo[] {
    return Array.from(this.#peers, (link) => link.info);
  }

  publish(message: Uint8Array): PublishReport {
    checkPublished(message, this.maxMessageBytes);
    let peers = 0;
    let dropped = 0;
    if (this.#tasks.stopped) return { peers, dropped };
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
    if (this.#tasks.stopped) throw shutDown(this.name);
    try {
      return (await this.#linker.dial(target)).info;
    } finally {
      // Known nodes may have been waiting for the place that the dial took.
      this.#upkeep.dialDue();
    }
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
    this.#upkeep.stop();
    this.#linker.stop();
    await Promise.all(Array.from(this.#peers, (link) => link.leave(LEAVE_LIMIT_MS)));
    await this.#tasks.ended();
  }

  #emit<Type extends keyof MeshEventDetails>(type: Type, detail: MeshEventDetails[Type]): void {
    this.dispatchEvent(meshEvent(type, detail));
  }

  #onLink(link: Link, replaced: Link | undefined): void {
    this.#upkeep.linked(link);
    this.#sendPeerList(link);
    replaced?.end("replaced");
    this.#emit("peerup", { peer: link.info });
  }

  async #repeatPeerLists(): Promise<void> {
    while (!this.#tasks.stopped) {
      await this.#tasks.delay(PEER_LIST_INTERVAL_MS);
      for (const link of this.#peers) this.#sendPeerList(link);
    }
  }

  #sendPeerList(link: Link): void {
    const names = Array.from(this.#peers, ({ peer }) => peer.name);
    let rest = names.filter((name) => name !== link.peer.name);
    while (rest.length > 0) {
      // In several messages, should the limit for one be that small.
      let count = rest.length;
      while (encodePeerList(rest.slice(0, count)).length > this.maxMessageBytes) count >>= 1;
      link.send(encodePeerList(rest.slice(0, count)));
      rest = rest.slice(count);
    }
  }

  #onBroadcast(message: Uint8Array): void {
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

  #onOverflow(link: Link): void {
    // Later, so that a listener that publishes does not do so in the midst of a publish.
    queueMicrotask(() => {
      const peer = link.info;
      this.#emit("overflow", { peer, dropped: peer.dropped });
    });
  }

  #onDown(link: Link, reason: PeerDownReason): void {
    if (this.#peers.remove(link)) this.#upkeep.lost(link, reason);
    this.#emit("peerdown", { peer: link.info, reason });
  }

  #onRefused(address: string, error: unknown): void {
    // A node that shuts down expects to be cut off.
    if (this.#tasks.stopped) return;
    const code = error instanceof MeshError ? error.code : "closed";
    // That a link is there already is no refusal, and a node that dials itself stops by itself.
    if (code === "already-linked" || code === "own-name") return;
    this.#emit("refused", { address, code });
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

function shutDown(name: string): MeshError {
  return new MeshError("shut-down", name, `${name} has been shut down`);
}
