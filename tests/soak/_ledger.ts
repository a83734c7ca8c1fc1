/** Everything that a node says and hears passes through here, so that its books know of it. */

import {
  decodeRoomBroadcast,
  decodeRoomClose,
  decodeRoomMessage,
  ROOM_BROADCAST,
  ROOM_CLOSE,
} from "../../codec/mod.ts";
import type { BroadcastReport, Mesh, Rooms } from "../../mod.ts";
import { type Audience, audienceName, AudienceTotals } from "./_audience.ts";
import { addNumber } from "./_hearing.ts";
import { LinkBook } from "./_link_book.ts";
import { guarded, now, say } from "./_protocol.ts";
import { EXPELLED, isSelective } from "./_rooms.ts";
import { CALLER, NODE_ITSELF, readStamp, type Stamp, stamped, stampedBytes } from "./_stamp.ts";
import type { Visitor } from "./_visitor.ts";

/** Of which node a ledger is. */
export interface LedgerOptions {
  readonly mesh: Mesh;
  readonly rooms: Rooms<Visitor>;
  readonly names: readonly string[];
  /** Index of the node. */
  readonly self: number;
}

/** What a broadcast came to. */
export interface Said {
  readonly number: number;
  readonly report: BroadcastReport;
}

/** See the file's head. */
export class Ledger {
  readonly book: LinkBook;
  readonly totals = new AudienceTotals();
  readonly #mesh: Mesh;
  readonly #rooms: Rooms<Visitor>;
  readonly #self: number;
  /** By room: the lives whose call has been heard. */
  readonly #calls = new Map<string, Set<string>>();

  /** Begins to listen, which must be before the mesh has a link. */
  constructor({ mesh, rooms, names, self }: LedgerOptions) {
    const book = this.book = new LinkBook({ names, self, isSelective });
    this.#mesh = mesh;
    this.#rooms = rooms;
    this.#self = self;
    mesh.addEventListener("peerup", ({ peer }) => {
      guarded(() => say({ type: "up", record: book.up(peer, now()) }));
    });
    mesh.addEventListener("peerdown", ({ peer, reason }) => {
      guarded(() => say({ type: "down", record: book.down(peer, reason, now()) }));
    });
    mesh.addEventListener("missed", ({ peer, count }) => guarded(() => book.missed(peer, count)));
    mesh.addEventListener("overflow", ({ peer, dropped }) => {
      say({ type: "overflow", peer: peer.name, dropped });
    });
    mesh.addEventListener("malformed", ({ peer, code }) => {
      say({ type: "fault", text: `a message of ${peer.name} is malformed: ${code}` });
    });
    mesh.addEventListener("unsupported", ({ peer, tag }) => {
      say({ type: "fault", text: `${peer.name} does not know messages with tag ${tag}` });
    });
    // After `rooms`, so that the members have been sent it when it is counted.
    mesh.subscribe((bytes, from) => {
      if (from !== mesh.nodeId) guarded(() => this.#hear(bytes));
    });
  }

  /** Says a text, or so many bytes. */
  broadcast(
    audience: Audience,
    content: string | number,
    { client = NODE_ITSELF, except }: { client?: number; except?: Visitor } = {},
  ): Said {
    const said = this.#publish(audience, client, (stamp) => {
      const message = typeof content === "string"
        ? stamped(stamp, content)
        : stampedBytes(stamp, content);
      const others = except === undefined ? audience.except : [except, ...audience.except];
      return this.#rooms.broadcast(audience.rooms, message, { except: others });
    });
    this.#count(audience, said.number);
    return said;
  }

  /** Disconnects a room. */
  expel(room: string): void {
    this.#publish({ rooms: [room], except: [] }, NODE_ITSELF, (stamp) => {
      return this.#rooms.disconnect(room, { code: EXPELLED, reason: stamped(stamp, "") });
    });
  }

  /** Says something to a room that all members must hear, on all nodes. */
  call(room: string): void {
    this.broadcast({ rooms: [room], except: [] }, "", { client: CALLER });
  }

  /** True if the calls of all peers to a room have been heard. */
  isCalled(room: string): boolean {
    const lives = this.#calls.get(room);
    return this.#mesh.peers.every(({ incarnation }) => lives?.has(incarnation));
  }

  #publish(
    audience: Audience,
    client: number,
    send: (stamp: Stamp) => BroadcastReport,
  ): Said {
    const { marks, next: number } = this.book;
    const before = this.#mesh.peers;
    const report = send({
      node: this.#self,
      life: this.#mesh.incarnation,
      number,
      audience: audienceName(audience),
      audienceNumber: this.totals.of(audience).own++,
      client,
      marks,
    });
    this.book.sent(report, before, this.#mesh.peers);
    return { number, report };
  }

  #hear(bytes: Uint8Array): void {
    const [tag] = bytes;
    if (tag === ROOM_CLOSE) {
      const { room, code, reason } = decodeRoomClose(bytes);
      if (code !== EXPELLED) throw new Error(`${room} is closed with ${code}`);
      return this.#note(readStamp(reason), { rooms: [room], except: [] });
    }
    if (tag === ROOM_BROADCAST) {
      const { room, message } = decodeRoomBroadcast(bytes);
      return this.#heard(readStamp(message), { rooms: [room], except: [] });
    }
    const { message, ...audience } = decodeRoomMessage(bytes);
    // Presence knows by itself what it has missed.
    if (audience.rooms[0].startsWith("\0")) return;
    this.#heard(readStamp(message), audience);
  }

  #heard(stamp: Stamp, audience: Audience): void {
    this.#count(audience, stamp.number);
    if (stamp.client === CALLER) {
      const lives = this.#calls.get(stamp.audience) ?? new Set();
      this.#calls.set(stamp.audience, lives.add(stamp.life));
    }
    this.#note(stamp, audience);
  }

  #note(stamp: Stamp, audience: Audience): void {
    const first = this.book.heard(stamp, now());
    if (first) say({ type: "first", record: first });
    const name = audienceName(audience);
    if (name !== stamp.audience) throw new Error(`what was for ${stamp.audience} came to ${name}`);
  }

  #count(audience: Audience, number: number): void {
    const total = this.totals.of(audience);
    total.count++;
    total.sum = addNumber(total.sum, number);
  }
}
