/**
 * Who is in which room on this node, and delivery to them.
 *
 * Two tables mirror each other: each room has a list of its members, each socket knows its rooms and
 * its place in the list of each, so that joining and leaving are the same work however many others
 * there are. Other nodes keep their own tables; membership never travels.
 *
 * Neither table has entries removed and put back as one socket comes and goes: a `Map` or `Set` of
 * V8 with n entries takes time in proportion to n for that (its chains keep what was deleted until
 * the table is built anew). Sockets are remembered weakly, and emptied rooms are swept out together.
 */

import {
  checkMessage,
  checkRoom,
  checkRoomBroadcast,
  FrameError,
  readMessage,
  readRoom,
  SESSION_MAX_FRAME_BYTES,
} from "../codec/mod.ts";
import { BroadcastEncoder } from "./_broadcast_encoder.ts";
import type { Backplane } from "../backplane/backplane.ts";
import { CLOSING, OPEN, type RoomSocket } from "./room_socket.ts";

/** RFC 6455's registry: *try again later*. Tells the client that it has missed something. */
const TRY_AGAIN_LATER = 1013;

/** Emptied rooms that may wait for the sweep, besides as many as there are others. */
const MAX_SPARE_ROOMS = 64;

/** Rooms with longer names do not wait, as their names would take memory. */
const MAX_SPARE_NAME_LENGTH = 64;

/** How long a slow socket may take to close before it is terminated, if it can be. */
const SLOW_CLOSE_GRACE_MS = 5_000;

/** Timers, to be replaced in tests. */
export interface RoomsTimers {
  /** Calls `callback` once after `delayMs` milliseconds. */
  setTimeout(callback: () => void, delayMs: number): unknown;
  /** Calls off what `setTimeout` has returned. */
  clearTimeout(timer: unknown): void;
}

/** Options of {@linkcode Rooms}. */
export interface RoomsOptions {
  /** Carries broadcasts to other nodes. Left out: this node is alone, and everything works. */
  backplane?: Backplane;
  /**
   * Unsent bytes above which a socket counts as slow. Default: 1 MiB. What it is sent within one turn
   * of the event loop counts, as the platform writes between turns: who broadcasts more than this at
   * once needs a higher limit, or turns in between.
   */
  maxBufferedBytes?: number;
  /**
   * What a broadcast does about a slow socket: `"close"` (the default) takes it out of all rooms and
   * closes it with 1013 so that its client knows it must resynchronise; `"skip"` leaves it in its
   * rooms, where it misses this message.
   */
  slowSocket?: "close" | "skip";
  /**
   * Largest message, in bytes of UTF-8. Default: 16 MiB. The backplane's own limit, which counts
   * the whole encoded broadcast, holds besides.
   */
  maxMessageBytes?: number;
  /** Default: the platform's. */
  timers?: RoomsTimers;
}

/** Options of {@linkcode Rooms.broadcast}. */
export interface BroadcastOptions<S> {
  /** A member that is not to hear it, usually the socket that the message came from. */
  except?: S;
}

/** What became of a message on this node. */
export interface DeliveryReport {
  /** Members that it was sent to. */
  readonly sent: number;
  /** Members that were too slow to be sent it: closed or skipped. */
  readonly slow: number;
  /** Members whose `send` threw. */
  readonly failed: number;
}

/** What became of a broadcast: here, and on its way to other nodes. */
export interface BroadcastReport extends DeliveryReport {
  /** Other nodes that it is on its way to; a broker between nodes counts as one. */
  readonly peers: number;
  /**
   * Connected nodes that it is lost for, since too much already waits for them; a broker that is
   * out of reach counts as one.
   */
  readonly dropped: number;
}

interface Room<S> {
  readonly name: string;
  /** In no particular order: the last takes the place of one that leaves. */
  readonly members: S[];
}

/** The rooms of a socket, and its place among the members of each. */
type Places<S> = Map<Room<S>, number>;

/**
 * Rooms of sockets. A broadcast reaches the members on this node at once and, through the
 * backplane, those on all others.
 *
 * - Joining twice is one membership; leaving what was never joined does nothing.
 * - Join and leave cost the same however many rooms there are; a broadcast costs its members.
 * - A socket that closes leaves everything by itself. One that is closing cannot join any more.
 * - A socket that is still connecting may join, and hears nothing until it is open.
 * - A socket that fails or is slow never keeps the others from hearing.
 *
 * @example
 * ```ts
 * import { Rooms } from "@roomcast/roomcast/rooms";
 *
 * const rooms = new Rooms();
 *
 * function serve(request: Request): Response {
 *   const { socket, response } = Deno.upgradeWebSocket(request);
 *   socket.onopen = () => rooms.join(socket, "lobby");
 *   socket.onmessage = ({ data }) => {
 *     if (typeof data === "string") rooms.broadcast("lobby", data, { except: socket });
 *   };
 *   return response;
 * }
 * ```
 */
export class Rooms<S extends RoomSocket = WebSocket> {
  readonly #rooms = new Map<string, Room<S>>();
  #emptyRoomCount = 0;
  /** Every socket that has ever joined. Each has one close listener of ours. */
  readonly #sockets = new WeakMap<S, Places<S>>();
  #socketCount = 0;
  /** Slow sockets on their way out, with the timer that ends their patience. */
  readonly #closing = new Map<S, unknown>();
  readonly #encoder = new BroadcastEncoder();
  readonly #backplane: Backplane | undefined;
  readonly #maxBufferedBytes: number;
  readonly #maxMessageBytes: number;
  readonly #closeSlow: boolean;
  readonly #timers: RoomsTimers;
  #sent = 0;
  #slow = 0;
  #failed = 0;

  /**
   * Makes an empty registry, and subscribes to the backplane if there is one.
   *
   * @throws {RangeError} for a limit that is not a whole number, or an unknown `slowSocket`.
   */
  constructor(options: RoomsOptions = {}) {
    const { backplane, slowSocket = "close", timers = platformTimers } = options;
    if (slowSocket !== "close" && slowSocket !== "skip") {
      throw new RangeError(`slowSocket must be "close" or "skip", got ${String(slowSocket)}`);
    }
    this.#maxBufferedBytes = wholeNumber("maxBufferedBytes", options.maxBufferedBytes, 1024 * 1024);
    this.#maxMessageBytes = wholeNumber(
      "maxMessageBytes",
      options.maxMessageBytes,
      SESSION_MAX_FRAME_BYTES,
    );
    this.#closeSlow = slowSocket === "close";
    this.#timers = timers;
    this.#backplane = backplane;
    backplane?.subscribe((message) => this.#receive(message));
  }

  /** Rooms with members on this node. */
  get roomCount(): number {
    return this.#rooms.size - this.#emptyRoomCount;
  }

  /** Sockets that are in a room. */
  get socketCount(): number {
    return this.#socketCount;
  }

  /**
   * What became of all messages delivered on this node so far, those from other nodes included,
   * whose delivery no report tells of.
   */
  get totals(): DeliveryReport {
    return { sent: this.#sent, slow: this.#slow, failed: this.#failed };
  }

  /**
   * Makes a socket a member of a room.
   *
   * @param room any text of at most 65,535 bytes of UTF-8.
   * @returns false if it already is one, or is closing or closed.
   * @throws {TypeError} if `room` is not a string.
   * @throws {FrameError} `room-too-long`, `ill-formed-text`: no broadcast could name such a room.
   */
  join(socket: S, room: string): boolean {
    checkString("room", room);
    checkRoom(room);
    // Its close event may have come already, and then nothing would ever take it out again.
    if (socket.readyState >= CLOSING) return false;
    const places = this.#placesOf(socket);
    let entry = this.#rooms.get(room);
    if (entry === undefined) {
      entry = { name: room, members: [] };
      this.#rooms.set(room, entry);
    } else {
      if (places.has(entry)) return false;
      if (entry.members.length === 0) this.#emptyRoomCount--;
    }
    const place = entry.members.push(socket) - 1;
    places.set(entry, place);
    if (places.size === 1) this.#socketCount++;
    if (place === 0) this.#tell("openRoom", room);
    return true;
  }

  /**
   * Ends a membership.
   *
   * @returns false if there was none.
   */
  leave(socket: S, room: string): boolean {
    const entry = this.#rooms.get(room);
    const places = this.#sockets.get(socket);
    const place = entry && places?.get(entry);
    if (entry === undefined || places === undefined || place === undefined) return false;
    places.delete(entry);
    if (places.size === 0) this.#socketCount--;
    if (this.#vacate(entry, place)) this.#tell("closeRoom", room);
    return true;
  }

  /**
   * Ends all memberships of a socket.
   *
   * @returns how many there were.
   */
  leaveAll(socket: S): number {
    const places = this.#sockets.get(socket);
    if (places === undefined || places.size === 0) return 0;
    const left = [...places];
    places.clear();
    this.#socketCount--;
    const emptied = left.filter(([entry, place]) => this.#vacate(entry, place));
    // Not before all places are vacated: what was copied above must not change under foreign code.
    for (const [{ name }] of emptied) this.#tell("closeRoom", name);
    return left.length;
  }

  /** The members of a room on this node, as they are now. */
  members(room: string): S[] {
    return this.#rooms.get(room)?.members.slice() ?? [];
  }

  /**
   * The rooms that a socket is in, as they are now. In a close listener of yours that was added
   * before the first `join` these are still all of them; one added later comes after ours and finds
   * none, and so does any listener of a socket that was closed as slow.
   */
  roomsOf(socket: S): string[] {
    return Array.from(this.#sockets.get(socket)?.keys() ?? [], (entry) => entry.name);
  }

  /**
   * Sends a text to the members of a room, on all nodes. It returns at once, and what it throws it
   * throws before anybody has heard anything.
   *
   * @param message any well-formed text up to the limits; usually JSON.
   * @throws {TypeError} if `room` or `message` is not a string (a binary message of a WebSocket is
   * none: check what clients send).
   * @throws {FrameError} `ill-formed-text` for a lone surrogate, `room-too-long`,
   * `message-too-long` above `maxMessageBytes` or the backplane's limit.
   *
   * @example
   * ```ts
   * import { Rooms } from "@roomcast/roomcast/rooms";
   * import { assertEquals } from "@std/assert";
   *
   * const report = new Rooms().broadcast("lobby", "is anybody there?");
   * assertEquals(report, { sent: 0, slow: 0, failed: 0, peers: 0, dropped: 0 });
   * ```
   */
  broadcast(room: string, message: string, options: BroadcastOptions<S> = {}): BroadcastReport {
    checkString("room", room);
    checkString("message", message);
    checkRoom(room);
    checkMessage(message, this.#maxMessageBytes);
    const backplane = this.#backplane;
    if (backplane === undefined) {
      const delivery = this.#deliver(this.members(room), message, options.except);
      return { ...delivery, peers: 0, dropped: 0 };
    }
    const bytes = this.#encode(room, message, backplane);
    const delivery = this.#deliver(this.members(room), message, options.except);
    const { peers, dropped } = backplane.publish(bytes);
    return { ...delivery, peers, dropped };
  }

  /** Tells the backplane, whose faults must not keep a socket in its rooms, or open. */
  #tell(what: "openRoom" | "closeRoom", room: string): void {
    try {
      this.#backplane?.[what]?.(room);
    } catch (error) {
      reportError(error);
    }
  }

  #encode(room: string, message: string, backplane: Backplane): Uint8Array {
    const bytes = this.#encoder.encode(room, message);
    const { maxMessageBytes = SESSION_MAX_FRAME_BYTES } = backplane;
    if (bytes.length <= maxMessageBytes) return bytes;
    throw new FrameError(
      "message-too-long",
      maxMessageBytes,
      `broadcast has ${bytes.length} bytes, room and lengths included, ` +
        `and the backplane carries at most ${maxMessageBytes}`,
    );
  }

  /** From another node: for the members here, and for nobody else. */
  #receive(bytes: Uint8Array): void {
    const roomEnd = checkRoomBroadcast(bytes);
    const members = this.members(readRoom(bytes, roomEnd));
    // Most messages may be for rooms that have no member here: their text is never decoded.
    if (members.length > 0) this.#deliver(members, readMessage(bytes, roomEnd));
  }

  /** Sends to a snapshot of members: `send` and `close` run foreign code, which may join and leave. */
  #deliver(members: readonly S[], message: string, except?: S): DeliveryReport {
    let sent = 0;
    let slow = 0;
    let failed = 0;
    for (const socket of members) {
      if (socket === except) continue;
      try {
        if (socket.readyState !== OPEN) continue;
        // Looked at before the queue grows: what `close` finds unsent it cannot get past.
        if (socket.bufferedAmount > this.#maxBufferedBytes) {
          slow++;
          if (this.#closeSlow) this.#dropSlow(socket);
        } else {
          socket.send(message);
          sent++;
        }
      } catch {
        failed++;
      }
    }
    this.#sent += sent;
    this.#slow += slow;
    this.#failed += failed;
    return { sent, slow, failed };
  }

  /** Gives up on a slow socket now: its close event comes late, or never. */
  #dropSlow(socket: S): void {
    this.leaveAll(socket);
    if (socket.terminate) {
      this.#timers.clearTimeout(this.#closing.get(socket));
      const timer = this.#timers.setTimeout(() => this.#terminate(socket), SLOW_CLOSE_GRACE_MS);
      this.#closing.set(socket, timer);
    }
    try {
      socket.close(TRY_AGAIN_LATER, "too much unsent");
    } catch {
      // It has been counted as slow, and it is out of all rooms.
    }
  }

  #terminate(socket: S): void {
    this.#closing.delete(socket);
    try {
      socket.terminate?.();
    } catch {
      // Nothing of ours is left to save.
    }
  }

  #placesOf(socket: S): Places<S> {
    let places = this.#sockets.get(socket);
    if (places === undefined) {
      places = new Map();
      socket.addEventListener("close", () => this.#forget(socket), { once: true });
      this.#sockets.set(socket, places);
    }
    return places;
  }

  #forget(socket: S): void {
    this.leaveAll(socket);
    this.#timers.clearTimeout(this.#closing.get(socket));
    this.#closing.delete(socket);
  }

  /** Takes the member at `place` out of a room. True if it was the last. */
  #vacate(room: Room<S>, place: number): boolean {
    const { members } = room;
    const last = members.pop();
    if (last !== undefined && place < members.length) {
      members[place] = last;
      this.#sockets.get(last)?.set(room, place);
    }
    if (members.length > 0) return false;
    if (room.name.length > MAX_SPARE_NAME_LENGTH) {
      this.#rooms.delete(room.name);
      return true;
    }
    this.#emptyRoomCount++;
    if (this.#emptyRoomCount > MAX_SPARE_ROOMS + this.roomCount) this.#sweep();
    return true;
  }

  /** Deletes the emptied rooms: work for each room, but only after as many have been emptied. */
  #sweep(): void {
    for (const { name, members } of this.#rooms.values()) {
      if (members.length === 0) this.#rooms.delete(name);
    }
    this.#emptyRoomCount = 0;
  }
}

const platformTimers: RoomsTimers = {
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as number | undefined),
};

function checkString(what: string, value: unknown): void {
  if (typeof value === "string") return;
  const found = value === null
    ? "null"
    : typeof value === "object"
    ? value.constructor?.name ?? "an object"
    : typeof value;
  throw new TypeError(`${what} must be a string, got ${found}`);
}

function wholeNumber(option: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new RangeError(`${option} must be a whole number of bytes, got ${String(value)}`);
}
