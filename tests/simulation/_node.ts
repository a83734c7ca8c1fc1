/** A node of a simulated cluster with its rooms and sockets, and what must hold for it at any time. */

import {
  decodeRoomBroadcast,
  type Mesh,
  type MeshEventMap,
  type MeshOptions,
  type PeerDownReason,
  Rooms,
  startMesh,
} from "../../mod.ts";
import type { SimulatedHost, Simulation } from "../../testing/mod.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { type Ledger, type Life, Violation } from "./_ledger.ts";

export const PORT = 9000;
export const ROOMS: readonly string[] = ["lobby", "kitchen", "garden"];
/** Above this a socket is slow. */
const MAX_BUFFERED_BYTES = 1000;
export const MAX_PENDING_HANDSHAKES = 24;

export interface NodeOptions {
  simulation: Simulation;
  ledger: Ledger;
  hostname: string;
  seeds: readonly string[];
  cookie: readonly string[];
  maxQueuedBytes: number;
  /** Of the text of a broadcast. */
  maxMessageBytes: number;
  clusterSize: number;
  log: (line: string) => void;
  /** Told of what nobody waits for: a violation in an event. */
  onViolation: (violation: unknown) => void;
}

export function nameOf(hostname: string): string {
  return `n@${addressOf(hostname)}`;
}

export function addressOf(hostname: string): string {
  return `${hostname}:${PORT}`;
}

export class SimulatedNode {
  readonly host: SimulatedHost;
  readonly life: Life;
  readonly mesh: Mesh;
  readonly rooms: Rooms<FakeSocket>;
  readonly sockets: FakeSocket[] = [];
  /** Why the last link to each peer has ended. */
  readonly downReasons = new Map<string, PeerDownReason>();
  isLeaving = false;
  /** Links lost and connections refused so far. */
  troubles = 0;
  readonly #options: NodeOptions;
  /** When what has come in during a pause has been dealt with. */
  #settledAt = 0;
  readonly #members = new Map<string, Set<FakeSocket>>(ROOMS.map((room) => [room, new Set()]));
  /** Who must hear the message that is being delivered. */
  #expected: Set<FakeSocket> | undefined;

  static async start(options: NodeOptions): Promise<SimulatedNode> {
    const host = options.simulation.startHost(options.hostname);
    const settings: MeshOptions = {
      name: nameOf(options.hostname),
      cookie: options.cookie,
      seeds: options.seeds,
      maxQueuedBytes: options.maxQueuedBytes,
      maxPendingHandshakes: MAX_PENDING_HANDSHAKES,
      ...host.options,
    };
    return new SimulatedNode(options, host, await startMesh(settings));
  }

  private constructor(options: NodeOptions, host: SimulatedHost, mesh: Mesh) {
    this.#options = options;
    this.host = host;
    this.mesh = mesh;
    this.life = options.ledger.begin(mesh.name);
    this.life.incarnation = mesh.incarnation;
    this.#listen();
    mesh.subscribe((bytes, from) => {
      if (from !== mesh.nodeId) this.#beforeDelivery(bytes);
    });
    this.rooms = new Rooms({
      backplane: mesh,
      timers: host.clock,
      maxBufferedBytes: MAX_BUFFERED_BYTES,
    });
    mesh.subscribe((bytes, from) => {
      if (from !== mesh.nodeId) this.#afterDelivery(decodeRoomBroadcast(bytes).message);
    });
    for (let i = 0; i < 4; i++) this.openSocket();
  }

  get isRunning(): boolean {
    return this.host.state === "running" && !this.isLeaving;
  }

  openSocket(): void {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    this.join(socket, this.#options.simulation.random.pick(ROOMS));
  }

  join(socket: FakeSocket, room: string): void {
    const isNew = !this.#membersOf(room).has(socket) && socket.readyState < 2;
    this.#check(this.rooms.join(socket, room) === isNew, `join of ${room} must give ${isNew}`);
    if (isNew) this.#membersOf(room).add(socket);
    // One listener, however often a socket joins and leaves.
    this.#check(
      socket.listenersAdded <= 1,
      `a socket has ${socket.listenersAdded} close listeners`,
    );
  }

  leave(socket: FakeSocket, room: string): void {
    const wasThere = this.#membersOf(room).delete(socket);
    this.#check(this.rooms.leave(socket, room) === wasThere, `leave must give ${wasThere}`);
  }

  closeSocket(socket: FakeSocket): void {
    socket.emitClose();
    this.#forget(socket);
  }

  /** Broadcasts a message of some size, and holds the report against what is true. */
  broadcast(room: string, size: number, except?: FakeSocket): void {
    const { life, mesh } = this;
    const number = life.nextNumber++;
    const head = `${life.key} ${number} `;
    const message = head.padEnd(size, "x");
    const before = new Map(mesh.peers.map((peer) => [peer.name, peer]));
    this.#expected = this.#audience(room, except);
    const expected = this.#expected.size;
    const frameBytes = 4 + 7 + room.length + message.length;
    this.#options.ledger.messages++;

    const report = this.rooms.broadcast(room, message, { except });

    this.#check(report.sent === expected, `report says ${report.sent} sent, not ${expected}`);
    this.#afterDelivery(message);
    let peers = 0;
    let dropped = 0;
    for (const peer of mesh.peers) {
      const link = life.links.get(peer.name);
      const was = before.get(peer.name);
      if (link === undefined || was === undefined) throw new Violation("a link from nowhere");
      const fits = was.queuedBytes === 0 ||
        was.queuedBytes + frameBytes <= this.#options.maxQueuedBytes;
      const accepted = peer.messagesOut - was.messagesOut;
      this.#check(accepted === Number(fits), `a message that ${fits ? "fits" : "does not fit"}`);
      if (accepted) link.accept(number);
      else link.dropped++;
      this.#check(peer.dropped === link.dropped, `${peer.dropped} dropped, not ${link.dropped}`);
      peers += accepted;
      dropped += 1 - accepted;
    }
    this.#check(
      report.peers === peers && report.dropped === dropped,
      `report says ${report.peers} peers and ${report.dropped} dropped, not ${peers} and ${dropped}`,
    );
  }

  /** What must hold after every step. */
  check(): void {
    const { mesh, life, host, sockets } = this;
    const { simulation, clusterSize, maxQueuedBytes, maxMessageBytes } = this.#options;
    const { peers } = mesh;
    this.#check(peers.length === life.links.size, "peers are others than events have told of");
    for (const peer of peers) {
      const link = life.links.get(peer.name);
      this.#check(link?.incarnation === peer.incarnation, `${peer.name} is up without an event`);
      // A single message fits an empty queue, whatever its size.
      const maxBytes = Math.max(maxQueuedBytes, maxMessageBytes + 100);
      this.#check(peer.queuedBytes <= maxBytes, `${peer.queuedBytes} bytes wait for ${peer.name}`);
      this.#check(
        !link?.dropped || link.overflows > 0,
        "messages dropped without an overflow event",
      );
      this.#check(peer.malformed === 0 && peer.ignored === 0, `${peer.name} has sent nonsense`);
    }
    this.#check(this.rooms.socketCount <= sockets.length, "rooms know sockets that are gone");
    // While it is paused, the system takes in connections, which it then gets all at once.
    if (host.state === "paused") {
      this.#settledAt = simulation.now + 1_000;
      return;
    }
    if (simulation.now < this.#settledAt) return;
    const connections = peers.length + MAX_PENDING_HANDSHAKES + 2 * clusterSize;
    this.#check(host.connectionCount <= connections, `${host.connectionCount} connections`);
    // Of discovery and of what is repeated; of each link, handshake and dial one.
    const timers = 4 + host.connectionCount + 2 * clusterSize;
    this.#check(host.timerCount <= timers, `${host.timerCount} timers`);
  }

  /** What must hold when the node has been shut down. */
  checkNothingLeft(): void {
    const { timerCount, connectionCount, listenerCount } = this.host;
    this.#check(
      timerCount + connectionCount + listenerCount === 0 && this.mesh.peers.length === 0,
      `after shutdown ${timerCount} timers, ${connectionCount} connections, ` +
        `${listenerCount} listeners and ${this.mesh.peers.length} peers are left`,
    );
  }

  #listen(): void {
    const { mesh, life } = this;
    const { ledger, log } = this.#options;
    const on = <Type extends keyof MeshEventMap>(
      type: Type,
      act: (event: MeshEventMap[Type]) => void,
    ) => mesh.addEventListener(type, (event: MeshEventMap[Type]) => this.#guard(() => act(event)));
    on("peerup", ({ peer }) => {
      log(`${mesh.name} has ${peer.name} up (${peer.direction})`);
      ledger.linkUp(life, peer);
    });
    on("peerdown", ({ peer, reason }) => {
      log(`${mesh.name} has ${peer.name} down (${reason})`);
      this.troubles++;
      this.downReasons.set(peer.name, reason);
      ledger.linkDown(life, peer);
    });
    on("refused", ({ address, code }) => {
      log(`${mesh.name} refuses, or is refused by, ${address} (${code})`);
      this.troubles++;
      const isPossible = !["wrong-cookie", "malformed", "mesh-lang-handshake", "wrong-name"]
        .includes(code);
      this.#check(isPossible, `${code} among nodes that all behave`);
    });
    on("malformed", ({ code }) => this.#check(false, `malformed message: ${code}`));
    on("overflow", ({ peer, dropped }) => {
      const link = life.links.get(peer.name);
      if (link !== undefined) link.overflows++;
      this.#check(dropped > 0, "overflow without a message dropped");
    });
  }

  #beforeDelivery(bytes: Uint8Array): void {
    this.#guard(() => {
      const { room, message } = decodeRoomBroadcast(bytes);
      const [sender, number, padding] = message.split(" ");
      this.#check(/^x*$/.test(padding), "a message has been damaged on its way");
      this.#options.ledger.hear(this.life, sender, Number(number));
      this.#expected = this.#audience(room, undefined);
    });
  }

  #afterDelivery(message: string): void {
    this.#guard(() => {
      for (const socket of [...this.sockets]) {
        const times = socket.heard.filter((heard) => heard === message).length;
        const expected = Number(this.#expected?.has(socket) ?? false);
        this.#check(
          times === expected && socket.heard.length === expected,
          `a socket has heard a message ${times} times, not ${expected}`,
        );
        socket.heard.length = 0;
        if (socket.readyState > 1) this.#forget(socket);
      }
    });
  }

  /** Who must hear what is sent to a room now. Slow sockets are closed by it, and failing ones miss it. */
  #audience(room: string, except: FakeSocket | undefined): Set<FakeSocket> {
    const hears = (socket: FakeSocket) =>
      socket !== except && socket.readyState === 1 && socket.failure === undefined &&
      socket.bufferedAmount <= MAX_BUFFERED_BYTES;
    return new Set([...this.#membersOf(room)].filter(hears));
  }

  #membersOf(room: string): Set<FakeSocket> {
    const members = this.#members.get(room);
    if (members === undefined) throw new Error(`no room ${room}`);
    return members;
  }

  #forget(socket: FakeSocket): void {
    for (const members of this.#members.values()) members.delete(socket);
    const at = this.sockets.indexOf(socket);
    if (at >= 0) this.sockets.splice(at, 1);
  }

  #check(condition: boolean, what: string): void {
    if (!condition) throw new Violation(`${this.mesh.name}: ${what}`);
  }

  /** In an event nobody would hear of what is thrown. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.onViolation(error);
    }
  }
}
