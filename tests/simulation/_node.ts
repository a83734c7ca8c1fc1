/** A node of a simulated cluster with its rooms and sockets, and what must hold for it at any time. */

import {
  BroadcastView,
  encodeRoomBroadcast,
  encodeRoomMessage,
  FEATURE_ROOM_MESSAGE,
  FRAME_HEADER_BYTES,
} from "../../codec/mod.ts";
import { MeshNode } from "../../mesh/node.ts";
import { resolveOptions } from "../../mesh/options.ts";
import { type Mesh, type MeshEventMap, type PeerDownReason, Rooms } from "../../mod.ts";
import { Host } from "../../testing/_host.ts";
import type { Simulation } from "../../testing/mod.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { type Ledger, type Life, type NodeKind, Violation } from "./_ledger.ts";

export const PORT = 9000;
export const ROOMS: readonly string[] = ["lobby", "kitchen", "garden", "attic", "cellar"];
/** Above this a socket is slow. */
const MAX_BUFFERED_BYTES = 1000;
export const MAX_PENDING_HANDSHAKES = 24;
/** How long a room for answers is open. */
const ANSWERS_MS = 2_000;

function read(bytes: Uint8Array): { rooms: readonly string[]; message: string } {
  const view = new BroadcastView(bytes);
  return { rooms: view.rooms(), message: String(view.message()) };
}

export interface NodeOptions {
  simulation: Simulation;
  ledger: Ledger;
  hostname: string;
  seeds: readonly string[];
  cookie: readonly string[];
  kind: NodeKind;
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
  readonly host: Host;
  readonly life: Life;
  readonly mesh: Mesh;
  readonly rooms: Rooms<FakeSocket>;
  readonly sockets: FakeSocket[] = [];
  /** Why the last link to each peer has ended. */
  readonly downReasons = new Map<string, PeerDownReason>();
  isLeaving = false;
  /** Something has been done here since the last {@linkcode check}, or it did not check everything. */
  isTouched = true;
  /** Links lost and connections refused so far. */
  troubles = 0;
  readonly #options: NodeOptions;
  /** When what has come in during a pause has been dealt with. */
  #settledAt = 0;
  readonly #members = new Map<string, Set<FakeSocket>>();
  /** Peers whose last link has ended without a goodbye. */
  readonly #lost = new Set<string>();
  /** Reports without a count that must still come, for each peer. */
  readonly #owed = new Map<string, number>();
  /** Who must hear the message that is being delivered. */
  #expected: Set<FakeSocket> | undefined;

  static async start(options: NodeOptions): Promise<SimulatedNode> {
    const host = options.simulation.startHost(options.hostname);
    if (!(host instanceof Host)) throw new TypeError("a host of another kind");
    const settings = resolveOptions({
      name: nameOf(options.hostname),
      cookie: options.cookie,
      seeds: options.seeds,
      maxQueuedBytes: options.maxQueuedBytes,
      maxPendingHandshakes: MAX_PENDING_HANDSHAKES,
      interest: options.kind.interest,
      ...host.options,
    });
    const { features } = options.kind;
    return new SimulatedNode(options, host, await MeshNode.start({ ...settings, features }));
  }

  private constructor(options: NodeOptions, host: Host, mesh: Mesh) {
    this.#options = options;
    this.host = host;
    // All code of a host runs from here, and what it begins comes to rest within the same step.
    const run = host.run.bind(host);
    host.run = (callback) => {
      this.isTouched = true;
      run(callback);
    };
    this.mesh = mesh;
    this.life = options.ledger.begin(mesh.name, options.kind);
    this.life.incarnation = mesh.incarnation;
    this.#listen();
    mesh.subscribe((bytes, from) => {
      if (from !== mesh.nodeId) this.#beforeDelivery(bytes);
    });
    this.#watchRooms();
    this.rooms = new Rooms({
      backplane: mesh,
      timers: host.clock,
      maxBufferedBytes: MAX_BUFFERED_BYTES,
    });
    mesh.subscribe((bytes, from) => {
      if (from === mesh.nodeId) return;
      const { message } = read(bytes);
      this.#afterDelivery(message);
      this.#guard(() => this.#answer(message));
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
    this.isTouched = true;
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
    this.isTouched = true;
    const wasThere = this.#membersOf(room).delete(socket);
    this.#check(this.rooms.leave(socket, room) === wasThere, `leave must give ${wasThere}`);
  }

  /** Joins and leaves, in one turn or with a pause: rooms open and close while links are slow. */
  toggle(socket: FakeSocket, room: string): void {
    if (this.#membersOf(room).has(socket)) this.leave(socket, room);
    else this.join(socket, room);
  }

  closeSocket(socket: FakeSocket): void {
    this.isTouched = true;
    socket.emitClose();
    this.#forget(socket);
  }

  /**
   * Asks a question to a room, having opened another for the answers, which everybody who hears it
   * gives at once. The answers must arrive, as long as the room is open.
   */
  ask(room: string, socket: FakeSocket): void {
    const answers = `answers to ${this.life.key} ${this.life.nextNumber}`;
    this.join(socket, answers);
    this.broadcast([room], 20, undefined, answers);
    this.#options.simulation.after(ANSWERS_MS, () => {
      if (this.sockets.includes(socket)) this.leave(socket, answers);
      this.#members.delete(answers);
    });
  }

  /**
   * Broadcasts a message of some size, and holds the report against what is true. `answers`: the
   * room for the answers, if it is a question.
   */
  broadcast(
    rooms: readonly string[],
    size: number,
    except?: FakeSocket,
    answers = "",
  ): void {
    this.isTouched = true;
    const { life, mesh } = this;
    const { ledger, maxQueuedBytes } = this.#options;
    const number = life.nextNumber++;
    const message = `${life.key}/${number}/${answers}/`.padEnd(size, "x");
    const before = new Map(mesh.peers.map((peer) => [peer.name, peer]));
    this.#expected = this.#audience(rooms, except);
    const expected = this.#expected.size;
    const isRoomMessage = rooms.length > 1;
    const frameBytes = FRAME_HEADER_BYTES +
      (isRoomMessage
        ? encodeRoomMessage({ rooms, except: [], message })
        : encodeRoomBroadcast(rooms[0], message)).length;
    ledger.messages++;

    const report = this.rooms.broadcast(isRoomMessage ? rooms : rooms[0], message, { except });

    this.#check(report.sent === expected, `report says ${report.sent} sent, not ${expected}`);
    this.#afterDelivery(message);
    let peers = 0;
    let dropped = 0;
    for (const peer of mesh.peers) {
      const link = life.links.get(peer.name);
      const was = before.get(peer.name);
      if (link === undefined || was === undefined) throw new Violation("a link from nowhere");
      const fits = was.queuedBytes === 0 ||
        was.queuedBytes + frameBytes <= maxQueuedBytes;
      const other = ledger.lifeOf(peer.incarnation);
      if (other === undefined) throw new Violation("a peer from nowhere");
      const features = life.kind.features & other.kind.features;
      const isKnown = !isRoomMessage || (features & FEATURE_ROOM_MESSAGE) !== 0;
      const isAccepted = peer.messagesOut > was.messagesOut;
      const isDropped = peer.dropped > was.dropped;
      const what = `message ${number} for ${rooms} to ${peer.name}`;
      this.#check(!isAccepted || (fits && isKnown), `${what} is queued, and does not fit`);
      this.#check(!isDropped || !fits || !isKnown, `${what} is dropped, and fits`);
      if (!isAccepted && !isDropped) {
        const heard = life.heard.get(other.key) ?? -1;
        const mustGet = rooms.some((room) => other.mustGet(room, life.kind, heard));
        this.#check(!mustGet, `${what} is not sent, and wanted: ${heard} is heard`);
      }
      if (isAccepted) link.accept(number);
      if (isDropped) link.dropped++;
      if (!isKnown) link.unsupported += Number(isDropped);
      this.#check(peer.dropped === link.dropped, `${peer.dropped} dropped, not ${link.dropped}`);
      peers += Number(isAccepted);
      dropped += Number(isDropped);
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
      const { dropped = 0, unsupported = 0, overflows = 0 } = link ?? {};
      this.#check(dropped === unsupported || overflows > 0, "messages dropped without an event");
      this.#check(
        unsupported === 0 || link?.isUnsupportedReported === true,
        "messages not understood without an event",
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
    this.isTouched = false;
    const connections = peers.length + MAX_PENDING_HANDSHAKES + 2 * clusterSize;
    this.#check(host.connectionCount <= connections, `${host.connectionCount} connections`);
    for (const [name, owed] of this.#owed) {
      this.#check(owed === 0, `${owed} reports of what ${name} said are missing`);
    }
    // Of discovery, of what is repeated and gathered; of each link, handshake and dial one.
    const timers = 5 + host.connectionCount + 2 * clusterSize;
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
      if (this.#lost.delete(peer.name)) this.#owe(peer.name, 1);
    });
    on("peerdown", ({ peer, reason }) => {
      log(`${mesh.name} has ${peer.name} down (${reason})`);
      this.troubles++;
      this.downReasons.set(peer.name, reason);
      ledger.linkDown(life, peer);
      if (reason === "goodbye" || reason === "shut-down") return;
      this.#lost.add(peer.name);
      const successor = mesh.peers.find(({ name }) => name === peer.name);
      if (successor?.incarnation !== peer.incarnation) this.#owe(peer.name, 1);
    });
    on("missed", ({ peer, from, count }) => {
      this.#check(from === peer.incarnation, "missed is of another node");
      if (count === undefined) this.#owe(peer.name, -1);
      else ledger.miss(life, peer, count);
    });
    on("unsupported", ({ peer }) => {
      const record = life.links.get(peer.name);
      if (record === undefined) return;
      this.#check(!record.isUnsupportedReported, "unsupported is reported twice");
      record.isUnsupportedReported = true;
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
      const { rooms, message } = read(bytes);
      const [sender, number, _answers, padding] = message.split("/");
      this.#check(padding === "x".repeat(padding.length), "a message has been damaged on its way");
      this.#options.ledger.hear(this.life, sender, Number(number));
      this.#expected = this.#audience(rooms, undefined);
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

  /** Answers a question at once, before anything that follows it is heard. */
  #answer(message: string): void {
    const [, , answers] = message.split("/");
    if (answers !== "" && this.isRunning) this.broadcast([answers], 40);
  }

  /** Who must hear what is sent to a room now. Slow sockets are closed by it, and failing ones miss it. */
  #audience(rooms: readonly string[], except: FakeSocket | undefined): Set<FakeSocket> {
    const hears = (socket: FakeSocket) =>
      socket !== except && socket.readyState === 1 && socket.failure === undefined &&
      socket.bufferedAmount <= MAX_BUFFERED_BYTES;
    return new Set(rooms.flatMap((room) => [...this.#membersOf(room)]).filter(hears));
  }

  #membersOf(room: string): Set<FakeSocket> {
    const members = this.#members.get(room) ?? new Set();
    this.#members.set(room, members);
    return members;
  }

  #forget(socket: FakeSocket): void {
    for (const members of this.#members.values()) members.delete(socket);
    const at = this.sockets.indexOf(socket);
    if (at >= 0) this.sockets.splice(at, 1);
  }

  #owe(peer: string, reports: number): void {
    this.#owed.set(peer, (this.#owed.get(peer) ?? 0) + reports);
  }

  /** Notes which rooms the mesh is told of, and since when. */
  #watchRooms(): void {
    const { mesh, life } = this;
    const { simulation } = this.#options;
    const [open, close] = [mesh.openRoom.bind(mesh), mesh.closeRoom.bind(mesh)];
    mesh.openRoom = (room) => {
      life.openRooms.set(room, life.nextNumber);
      life.roomsChangedAt = simulation.now;
      open(room);
    };
    mesh.closeRoom = (room) => {
      life.openRooms.delete(room);
      life.roomsChangedAt = simulation.now;
      close(room);
    };
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
