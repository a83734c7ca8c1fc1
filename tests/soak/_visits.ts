/** The clients of a node: their connections, and what each should have heard. */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { acceptWebSocket, type Presence, Rooms } from "../../mod.ts";
import { refuseUpgrade } from "../../websocket/mod.ts";
import type { Whereabouts } from "./_attendance.ts";
import { includes } from "./_audience.ts";
import { addNumber, writeTally } from "./_hearing.ts";
import type { Ledger } from "./_ledger.ts";
import { guarded, say } from "./_protocol.ts";
import { audienceOf } from "./_rooms.ts";
import { Visitor } from "./_visitor.ts";

/** What clients that do not read are sent, a piece for each and then a pause. */
const POUR_BYTES = 64 * 1024;
const POUR_PAUSE_MS = 5;

/** Time over which all clients are closed. */
const DRAIN_MS = 500;

/** A client's connection. */
interface Visit {
  readonly client: number;
  readonly rooms: readonly string[];
  /** It does not read. */
  readonly isStalled: boolean;
  /** What it has not heard: what was said before it came, and what it has said itself. */
  count: number;
  sum: number;
  said: number;
}

/** What the clients of a node are part of. */
export interface VisitsOptions {
  readonly ledger: Ledger;
  readonly rooms: Rooms<Visitor>;
  readonly presence: Presence<Whereabouts>;
  /** Incarnation of the node. */
  readonly life: string;
  /** Gets what handlers throw. */
  readonly onError: (error: unknown) => void;
}

/** See the file's head. */
export class Visits {
  readonly #options: VisitsOptions;
  readonly #visits = new Map<Visitor, Visit>();
  /** What only clients on this node hear: those that do not read. */
  readonly #local: Rooms<Visitor>;
  #stalledGone = () => {};
  #closing: Promise<void> | undefined;

  /** Nobody is connected yet. */
  constructor(options: VisitsOptions) {
    this.#options = options;
    this.#local = new Rooms<Visitor>({ onError: options.onError });
  }

  /** How many clients are connected. */
  get size(): number {
    return this.#visits.size;
  }

  /** How many of them are tracked in a room. */
  trackedIn(room: string): number {
    return this.#visits.values().filter(({ rooms: [own] }) => own === room).toArray().length;
  }

  /** A client asks to be connected: `/<life>/<room>/<table>/<client>`. */
  upgrade(request: IncomingMessage, stream: Duplex, head: Uint8Array): void {
    const { life, rooms, ledger, onError } = this.#options;
    const [, wanted, room, table, client] = (request.url ?? "").split("/");
    // A client may be late, and another process may have its node's port.
    if (wanted !== life) return refuseUpgrade(stream, 410, "This node is gone.");
    if (rooms.draining) return refuseUpgrade(stream, 503, "This node is leaving.");
    const socket = acceptWebSocket(request, stream, head, { onError });
    if (socket === undefined) return say({ type: "fault", text: `client ${client} was refused` });
    const own = [room, table];
    const visit: Visit = {
      client: Number(client),
      rooms: own,
      isStalled: table.startsWith("stalled-"),
      ...ledger.totals.heardBy(own),
      said: 0,
    };
    const visitor = new Visitor(socket, () => this.#tallyOf(visit));
    // A client that is being closed may have said something before it knew.
    socket.onmessage = ({ data }) => {
      if (socket.readyState === WebSocket.OPEN) guarded(() => this.#repeat(visitor, visit, data));
    };
    socket.onclose = () => {
      this.#visits.delete(visitor);
      if (this.#stalled().length === 0) this.#stalledGone();
    };
    this.#enter(visitor, visit);
  }

  /** Tells the clients that do not read more and more, until all of them have been closed as slow. */
  async pour(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#stalledGone = resolve);
    for (;;) {
      const open = this.#stalled().filter(([{ isSlow }]) => !isSlow);
      if (open.length === 0) break;
      for (const [, { rooms: [, table] }] of open) {
        this.#local.broadcast(table, new Uint8Array(POUR_BYTES));
      }
      await new Promise((resolve) => setTimeout(resolve, POUR_PAUSE_MS));
    }
    say({ type: "poured" });
    await gone;
    say({ type: "freed" });
  }

  /** Closes all clients. */
  closeAll(): Promise<void> {
    return this.#closing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    const { size } = this;
    const closed = await this.#options.rooms.drain({ overMs: DRAIN_MS });
    if (closed === size) return;
    say({ type: "fault", text: `drain has closed ${closed} sockets of ${size}` });
  }

  #enter(visitor: Visitor, visit: Visit): void {
    const { rooms, presence, life } = this.#options;
    const [room, table] = visit.rooms;
    this.#visits.set(visitor, visit);
    presence.track(visitor, room, String(visit.client), { life });
    (visit.isStalled ? this.#local : rooms).join(visitor, table);
  }

  /** A client has said something, which goes to its rooms. */
  #repeat(
    visitor: Visitor,
    visit: Visit,
    data: string | ArrayBufferLike | ArrayBufferView,
  ): void {
    visit.said++;
    const { client, rooms: own } = visit;
    const audience = audienceOf(own, Math.random());
    const content = typeof data === "string" ? data : data.byteLength;
    const { number } = this.#options.ledger.broadcast(audience, content, {
      client,
      except: visitor,
    });
    if (!includes(audience, own)) return;
    visit.count++;
    visit.sum = addNumber(visit.sum, number);
  }

  /** What a client must have heard, if it is closed now. */
  #tallyOf(visit: Visit): string {
    const { count, sum } = this.#options.ledger.totals.heardBy(visit.rooms);
    return writeTally({
      count: count - visit.count,
      sum: (sum - visit.sum) >>> 0,
      said: visit.said,
    });
  }

  /** The clients that do not read. */
  #stalled(): [Visitor, Visit][] {
    return [...this.#visits].filter(([, { isStalled }]) => isStalled);
  }
}
