import { checkString, describe } from "../backplane/checks.ts";
import { randomFraction } from "../backplane/clock.ts";
import { toHex } from "../codec/hex.ts";
import { GuardedEventTarget, type NodeDownEvent } from "../backplane/mod.ts";
import { checkRoom, PRESENCE_INSTANCE_BYTES } from "../codec/mod.ts";
import type { RoomSocket } from "../rooms/mod.ts";
import { type ReservedRoom, type RoomsSeam, seamOf } from "../rooms/reserved.ts";
import { Core, type Texts, type Tracked } from "./_core.ts";
import { LIMITS } from "./_limits.ts";
import { type PresenceEventMap, PresenceJoinEvent, PresenceLeaveEvent } from "./events.ts";
import { type PresenceOptions, type PresenceSettings, resolveOptions } from "./options.ts";

/** The room through which instances talk. Applications cannot use names like this. */
const ROOM = "\0presence";

/** A snapshot whose first part came in time may take this many times `readyTimeoutMs`. */
const MAX_READY_ROUNDS = 10;

/**
 * A `Rooms` with sockets of any type. To TypeScript, `Rooms<A>` is not a `Rooms<B>`, but both are
 * this.
 */
export interface AnyRooms {
  /** See `Rooms.join`. */
  join(socket: RoomSocket, room: string): boolean;
}

/** An id in a room, with the metas of its sockets. */
export interface PresenceListing<Meta = unknown> {
  /** The id. */
  id: string;
  /** One meta for each of its sockets, on all nodes; null for a socket that has none. */
  metas: (Meta | null)[];
}

/** Counts since a `Presence` was made. */
export interface PresenceTotals {
  /** Ids that joined a room: `join` events. */
  readonly joins: number;
  /** Ids that left a room: `leave` events. */
  readonly leaves: number;
  /** Times that this node missed messages of another and asked it for all its entries. */
  readonly gaps: number;
  /** Entries and instances of other nodes that were refused because of a limit. */
  readonly refused: number;
}

/** A socket in a room. */
interface Local {
  readonly tracked: Tracked;
  /** What to announce when the socket has opened. */
  waiting: Texts | undefined;
}

/**
 * Who is in which room, in the whole cluster. Every node keeps the answer in memory, so `count`,
 * `list` and `has` answer at once.
 *
 * An id is a user, a device or whatever the application tracks. It may have several sockets, on
 * several nodes. It joins a room with its first socket and leaves with its last.
 *
 * - What this node tracks is in its own lists at once. Other nodes are told at the end of the turn
 *   of the event loop.
 * - Events and lists agree. If you add the id of each `join` to a set and remove that of each
 *   `leave`, you have the ids that `list` gives.
 * - When a node says goodbye, is reported down by the backplane, or is silent for `timeoutMs`, its
 *   entries are gone.
 * - During a partition, each side sees its own entries. Afterwards both agree again, without a
 *   conflict, because each node alone decides about its own sockets.
 *
 * Several `Presence` on one `Rooms` or one backplane see each other's entries. Dispose a `Presence`
 * before its `Rooms`.
 *
 * Events: `join` when an id joins a room, `leave` when it has left. What a listener throws goes to
 * the `onError` of the `Rooms`.
 *
 * @example
 * ```ts
 * import { Presence } from "@roomcast/roomcast/presence";
 * import { Rooms } from "@roomcast/roomcast/rooms";
 *
 * const rooms = new Rooms();
 * using presence = new Presence<{ name: string }>(rooms);
 * presence.addEventListener("join", ({ room, id }) => console.log(`${id} is in ${room}`));
 * presence.addEventListener("leave", ({ room, id }) => console.log(`${id} has left ${room}`));
 *
 * function serve(request: Request): Response {
 *   const { socket, response } = Deno.upgradeWebSocket(request);
 *   // Whose socket it is: from a session, never from what the client says.
 *   const id = "ann";
 *   // It ends by itself when the socket closes.
 *   socket.onopen = () => presence.track(socket, "lobby", id, { name: "Ann" });
 *   return response;
 * }
 * ```
 */
export class Presence<Meta = unknown> extends GuardedEventTarget<PresenceEventMap<Meta>>
  implements Disposable {
  readonly #rooms: AnyRooms;
  readonly #seam: RoomsSeam;
  readonly #settings: PresenceSettings;
  readonly #core: Core;
  readonly #channel: ReservedRoom;
  readonly #watching: Disposable;
  /** Weak, so that nothing is left of a socket that never opens. */
  readonly #locals = new WeakMap<RoomSocket, Map<string, Local>>();
  readonly #hearMissed = () => {
    this.#core.missed(this.#now);
    this.#arm();
  };
  readonly #hearNodeDown = ({ nodeId }: NodeDownEvent) => {
    this.#core.nodeDown(nodeId);
    this.#arm();
  };
  readonly #ready: Promise<void>;
  readonly #listened: ReadonlySet<string>;
  #joins = 0;
  #leaves = 0;
  #peers = 0;
  #timer: unknown;
  #timerAt = Infinity;
  #endWaiting: (() => void) | undefined;
  #disposed = false;

  /**
   * Begins to follow what other nodes track. {@linkcode ready} tells when it has caught up.
   *
   * @throws {TypeError} if `rooms` is not a `Rooms`, or for an option of the wrong type.
   * @throws {RangeError} for an option out of range.
   */
  constructor(rooms: AnyRooms, options: PresenceOptions = {}) {
    const settings = resolveOptions(options);
    const seam = seamOf(rooms);
    const listened = new Set<string>();
    super(seam.onError, listened);
    const { backplane } = seam;
    const { heartbeatIntervalMs, timeoutMs, maxIdBytes, maxMetaBytes, randomBytes } = settings;
    this.#rooms = rooms;
    this.#seam = seam;
    this.#settings = settings;
    this.#listened = listened;
    const channel = seam.openReserved(ROOM, (message, from) => this.#receive(message, from));
    this.#channel = channel;
    this.#core = new Core({
      instance: toHex(randomBytes(PRESENCE_INSTANCE_BYTES)),
      node: backplane?.nodeId ?? "",
      get maxMessageBytes() {
        return channel.maxMessageBytes;
      },
      heartbeatIntervalMs,
      timeoutMs,
      limits: { ...LIMITS, maxIdBytes, maxMetaBytes },
      random: () => randomFraction(randomBytes),
      send: (message) => {
        this.#peers = channel.publish(message).peers;
      },
      onError: seam.onError,
      joined: (room, id, meta) => this.#joined(room, id, meta),
      left: (room, id) => this.#left(room, id),
    }, this.#now);
    this.#watching = seam.watch({
      joined: (socket, room) => this.#entered(socket, room),
      left: (socket, room) => void this.#end(socket, room),
    });
    backplane?.addEventListener?.("missed", this.#hearMissed);
    backplane?.addEventListener?.("nodedown", this.#hearNodeDown);
    this.#arm();
    this.#ready = this.#begin();
    // `ready` reports an error to its caller.
    this.#ready.catch(() => {});
  }

  /** Sockets that are tracked on this node; one in two rooms counts twice. */
  get localCount(): number {
    return this.#core.localEntryCount;
  }

  /** Sockets that are tracked on other nodes, as far as this node knows. */
  get remoteCount(): number {
    return this.#core.remoteEntryCount;
  }

  /** Rooms in which somebody is tracked, on any node. */
  get roomCount(): number {
    return this.#core.roster.roomCount;
  }

  /** Counts since the start. They outlive sockets and nodes. */
  get totals(): PresenceTotals {
    const { gaps, refused } = this.#core;
    return { joins: this.#joins, leaves: this.#leaves, gaps, refused };
  }

  /**
   * Tracks a socket in a room under an id. The socket joins the room if it is not in it. Tracking
   * ends when the socket leaves the room or closes. Called again, it replaces id and meta.
   *
   * A socket that is still connecting is tracked once it opens.
   *
   * @param id whose socket it is: any text of at most `maxIdBytes`. A lone surrogate becomes
   * U+FFFD.
   * @param meta anything that JSON can express, of at most `maxMetaBytes`. Listings and events have
   * a copy made from the JSON.
   * @returns false if the socket cannot join the room; see `Rooms.join`.
   * @throws {TypeError} if `room` or `id` is not a string, or `meta` cannot be JSON.
   * @throws {FrameError} `room-too-long`, `id-too-long`, `meta-too-long`, `message-too-long` if all
   * of them together do not fit a message of the backplane. It is a `RangeError`.
   */
  track(socket: RoomSocket, room: string, id: string, meta?: Meta): boolean {
    const texts = {
      room: checkText("room", room),
      id: checkText("id", id),
      meta: meta === undefined ? "" : toJson(meta),
    };
    checkRoom(texts.room);
    this.#core.check(texts);
    if (this.#disposed || !this.#join(socket, texts.room)) return false;
    const local = this.#localOf(socket, texts.room);
    if (this.#seam.isMember(socket, texts.room)) this.#announce(local, texts);
    else local.waiting = texts;
    return true;
  }

  /**
   * Ends the tracking of a socket in a room. It does not leave the room.
   *
   * @returns false if it was not tracked there.
   * @throws {TypeError} if `room` is not a string.
   */
  untrack(socket: RoomSocket, room: string): boolean {
    return this.#end(socket, checkText("room", room));
  }

  /**
   * How many ids are in a room, on all nodes together. Takes constant time.
   *
   * @throws {TypeError} if `room` is not a string.
   */
  count(room: string): number {
    return this.#core.roster.count(checkText("room", room));
  }

  /**
   * Who is in a room, on all nodes together, in no particular order.
   *
   * @throws {TypeError} if `room` is not a string.
   */
  list(room: string): PresenceListing<Meta>[] {
    return this.#core.roster.list(checkText("room", room)).map(({ id, metas }) => ({
      id,
      metas: metas.map((meta) => fromJson<Meta>(meta)),
    }));
  }

  /**
   * True if an id is in a room, on any node. Takes constant time.
   *
   * @throws {TypeError} if `room` or `id` is not a string.
   */
  has(room: string, id: string): boolean {
    return this.#core.roster.has(checkText("room", room), checkText("id", id));
  }

  /**
   * Waits `readyTimeoutMs` for the answers of other nodes, and up to ten times as long for an
   * answer whose first part came in time. When it resolves, counts and lists hold what the
   * reachable nodes had. It resolves at once if there is no other node, or after disposal.
   *
   * @throws what the backplane's own `ready` rejects with.
   */
  ready(): Promise<void> {
    return this.#ready;
  }

  /**
   * Tells the other nodes that this one has ended its tracking, and forgets everybody. Sockets stay
   * in their rooms. No `leave` is dispatched.
   */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const { backplane } = this.#seam;
    backplane?.removeEventListener?.("missed", this.#hearMissed);
    backplane?.removeEventListener?.("nodedown", this.#hearNodeDown);
    this.#watching[Symbol.dispose]();
    this.#settings.clock.clearTimeout(this.#timer);
    this.#core.end(this.#now);
    this.#channel[Symbol.dispose]();
    this.#endWaiting?.();
  }

  get #now(): number {
    return this.#settings.clock.now();
  }

  /** Asks the other nodes when the backplane can reach them, and waits for their answers. */
  async #begin(): Promise<void> {
    try {
      await this.#seam.backplane?.ready?.();
    } finally {
      this.#core.start(this.#now);
      this.#arm();
    }
    if (this.#disposed || this.#peers === 0) return;
    // It waits for an answer that has arrived in part, though not for ever.
    for (let rounds = 0; rounds === 0 || this.#core.isReceiving; rounds++) {
      if (rounds === MAX_READY_ROUNDS || this.#disposed) return;
      await this.#wait(this.#settings.readyTimeoutMs);
    }
  }

  #wait(ms: number): Promise<void> {
    const { clock } = this.#settings;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = clock.setTimeout(resolve, ms);
    this.#endWaiting = () => {
      clock.clearTimeout(timer);
      resolve();
    };
    return promise;
  }

  #join(socket: RoomSocket, room: string): boolean {
    const { isMember, isWaiting } = this.#seam;
    return isMember(socket, room) || isWaiting(socket, room) || this.#rooms.join(socket, room);
  }

  #localOf(socket: RoomSocket, room: string): Local {
    let rooms = this.#locals.get(socket);
    if (rooms === undefined) {
      rooms = new Map();
      this.#locals.set(socket, rooms);
    }
    let local = rooms.get(room);
    if (local === undefined) {
      local = { tracked: this.#core.newTracked(), waiting: undefined };
      rooms.set(room, local);
    }
    return local;
  }

  #announce(local: Local, texts: Texts): void {
    local.waiting = undefined;
    this.#core.track(local.tracked, texts, this.#now);
    this.#arm();
  }

  #entered(socket: RoomSocket, room: string): void {
    const local = this.#locals.get(socket)?.get(room);
    if (local?.waiting !== undefined) this.#announce(local, local.waiting);
  }

  #end(socket: RoomSocket, room: string): boolean {
    const rooms = this.#locals.get(socket);
    const local = rooms?.get(room);
    if (local === undefined) return false;
    rooms?.delete(room);
    this.#core.untrack(local.tracked, this.#now);
    this.#arm();
    return true;
  }

  #receive(message: Uint8Array, from: string | undefined): void {
    try {
      this.#core.receive(message, from, this.#now);
    } finally {
      this.#arm();
    }
  }

  /**
   * One timer for all: pending changes are sent at the end of the turn, the rest when it is due.
   */
  #arm(): void {
    if (this.#disposed) return;
    const { clock } = this.#settings;
    const dueAt = this.#core.hasPending ? -Infinity : this.#core.dueAt;
    if (dueAt >= this.#timerAt) return;
    clock.clearTimeout(this.#timer);
    this.#timerAt = dueAt;
    this.#timer = clock.setTimeout(() => this.#run(), Math.max(0, dueAt - clock.now()));
  }

  #run(): void {
    this.#timerAt = Infinity;
    this.#core.flush(this.#now);
    this.#core.step(this.#now);
    this.#arm();
  }

  #joined(room: string, id: string, meta: string): void {
    this.#joins++;
    if (!this.#listened.has("join")) return;
    this.dispatchEvent(new PresenceJoinEvent(room, id, fromJson<Meta>(meta)));
  }

  #left(room: string, id: string): void {
    this.#leaves++;
    if (this.#listened.has("leave")) this.dispatchEvent(new PresenceLeaveEvent(room, id));
  }
}

function checkText(what: string, text: unknown): string {
  checkString(what, text);
  return text.toWellFormed();
}

function toJson(meta: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(meta);
  } catch (cause) {
    throw new TypeError("meta must be a value that JSON can express", { cause });
  }
  if (json !== undefined) return json;
  throw new TypeError(`meta must be a value that JSON can express, got ${describe(meta)}`);
}

function fromJson<Meta>(json: string): Meta | null {
  return json === "" ? null : JSON.parse(json);
}
