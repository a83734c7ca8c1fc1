import { checkFunction, checkObject, MAX_DELAY_MS, wholeNumber } from "../backplane/checks.ts";
import { GuardedEventTarget, MissedEvent } from "../backplane/mod.ts";
import {
  BroadcastView,
  decodeRoomClose,
  encodeRoomClose,
  ROOM_CLOSE,
  RoomNames,
} from "../codec/mod.ts";
import { Closer, type CloseReason } from "./_closer.ts";
import { Delivery } from "./_delivery.ts";
import { Drain } from "./_drain.ts";
import { Encoder } from "./_encoder.ts";
import { FrameEncoder } from "./_frame_encoder.ts";
import { NO_EXCEPTIONS, readExceptions } from "./_exceptions.ts";
import { type Listen, ListenerCalls, RoomListener } from "./_listeners.ts";
import type { Members, Recipients } from "./_members.ts";
import { Memberships } from "./_memberships.ts";
import { Outlet } from "./_outlet.ts";
import { IncomingPayload, OutgoingPayload, type Payload } from "./_payload.ts";
import { ReservedRooms } from "./_reserved_rooms.ts";
import { isReserved, normalName, roomName, targetNames } from "./_room_name.ts";
import { type CloseOptions, readCloseOptions } from "./close_options.ts";
import { type RoomsEventMap, SlowEvent } from "./events.ts";
import { type Message, messageContent } from "./message.ts";
import { resolveOptions, type RoomsOptions, type RoomsSettings } from "./options.ts";
import {
  type BroadcastReport,
  type DeliveryReport,
  NOTHING_SENT,
  type RoomsTotals,
  Totals,
} from "./reports.ts";
import { provideSeam } from "./reserved.ts";
import { CLOSING, type RoomSocket } from "./room_socket.ts";

/** RFC 6455's registry: *try again later*. Tells the client that it has missed something. */
const TOO_SLOW: CloseReason = { code: 1013, reason: "too much unsent" };

/** RFC 6455, section 7.4.1: the purpose of the connection has been fulfilled. */
const NORMAL_CLOSURE = 1000;

/** RFC 6455's registry: the service restarts. */
const SERVICE_RESTART = 1012;

const DRAIN_MS = 10_000;

/** Who does not receive a broadcast: a socket, a listener's handle or the members of a room. */
export type Excepted<S> = S | Disposable | string;

/** Options of {@linkcode Rooms.broadcast}. */
export interface BroadcastOptions<S> {
  /**
   * Who does not receive it, at most 64 entries. A socket or a listener is excluded on this `Rooms`
   * only. The members of a room are excluded on all nodes.
   */
  except?: Excepted<S> | readonly Excepted<S>[];
}

/** Options of {@linkcode Rooms.drain}. */
export interface DrainOptions extends CloseOptions {
  /** Time over which the sockets are closed, in milliseconds. Default: 10,000. */
  overMs?: number;
}

/**
 * Rooms of sockets. A broadcast reaches the members on this node at once and, through the
 * backplane, those on all other nodes.
 *
 * - Joining twice is one membership. Leaving a room that was never joined does nothing.
 * - Joining and leaving cost the same, however many rooms there are. The cost of a broadcast grows
 *   with its members.
 * - A socket that closes leaves everything by itself. A closing socket cannot join.
 * - A socket that is still connecting may join. It becomes a member when it opens, and until then
 *   nothing keeps it.
 * - A socket that fails or is slow never affects the others.
 * - A lone surrogate in a room's name or a text becomes U+FFFD, as in `WebSocket.send`.
 * - Names that begin with U+0000 are reserved: nobody can join, and nobody receives a broadcast.
 *
 * Events: `slow` when a member is too slow, `missed` when messages of other nodes did not arrive. What
 * a listener throws goes to `onError`.
 *
 * @example
 * ```ts
 * import { Rooms } from "@roomcast/roomcast/rooms";
 *
 * const rooms = new Rooms();
 *
 * function serve(request: Request): Response {
 *   if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
 *     return new Response("WebSockets only", { status: 426 });
 *   }
 *   const { socket, response } = Deno.upgradeWebSocket(request);
 *   socket.onopen = () => rooms.join(socket, "lobby");
 *   socket.onmessage = ({ data }) => {
 *     // Clients send what they like, and Deno's process ends if an event handler throws.
 *     if (typeof data !== "string" || data.length > 10_000) return socket.close(1008);
 *     rooms.broadcast("lobby", data, { except: socket });
 *   };
 *   return response;
 * }
 * ```
 */
export class Rooms<S extends RoomSocket = RoomSocket> extends GuardedEventTarget<RoomsEventMap<S>>
  implements Disposable {
  readonly #settings: RoomsSettings;
  readonly #memberships: Memberships<S>;
  readonly #members: Members<S>;
  readonly #totals = new Totals();
  readonly #encoder = new Encoder();
  readonly #frames = new FrameEncoder();
  readonly #names = new RoomNames();
  readonly #closer: Closer<S>;
  readonly #delivery: Delivery<S>;
  readonly #listenerCalls: ListenerCalls;
  readonly #outlet: Outlet;
  readonly #reserved: ReservedRooms;
  readonly #hearMissed = (event: MissedEvent) => this.#missed(event);
  #drain: Drain<S> | undefined;
  #disposed = false;

  /**
   * Starts without members, and subscribes to the backplane if there is one.
   *
   * @throws {TypeError} for an option of the wrong type, such as a backplane without `publish`.
   * @throws {RangeError} for a limit that is not a whole number, or an unknown `slowSocket`.
   */
  constructor(options: RoomsOptions = {}) {
    const settings = resolveOptions(options);
    super(settings.onError);
    const { backplane, timers, onError } = settings;
    this.#settings = settings;
    this.#closer = new Closer(timers, onError);
    this.#delivery = new Delivery<S>(settings.maxBufferedBytes, {
      slow: (socket, isFirst) => this.#slow(socket, isFirst),
    });
    this.#listenerCalls = new ListenerCalls(onError);
    this.#outlet = new Outlet(backplane, (message, from) => this.#receive(message, from), onError);
    this.#memberships = new Memberships(this.#outlet, {
      opened: (socket) => this.#opened(socket),
      closed: (socket) => this.#closed(socket),
    }, onError);
    this.#members = this.#memberships.members;
    this.#reserved = new ReservedRooms(this.#outlet, onError);
    backplane?.addEventListener?.("missed", this.#hearMissed);
    this.#provideSeam();
  }

  /** Rooms with members on this node. */
  get roomCount(): number {
    return this.#members.roomCount;
  }

  /** Sockets that are in a room. */
  get socketCount(): number {
    return this.#members.socketCount;
  }

  /** True after the call of {@linkcode drain}, for good. */
  get draining(): boolean {
    return this.#drain !== undefined;
  }

  /** Counts since the start, messages of other nodes included. They outlive sockets and nodes. */
  get totals(): RoomsTotals {
    return this.#totals.snapshot;
  }

  /**
   * Makes a socket a member of a room. A socket that is still connecting becomes one when it opens:
   * until then it is in no list and no count, and {@linkcode leave} cancels. Listeners of `open`
   * that were added before the first `join` run before it is a member.
   *
   * @param room any text of at most 65,535 bytes of UTF-8.
   * @returns false if it is a member already, if it is closing or closed, if the name is reserved,
   * or while draining.
   * @throws {TypeError} if `room` is not a string.
   * @throws {FrameError} `room-too-long`, because no broadcast could name such a room.
   */
  join(socket: S, room: string): boolean {
    const name = roomName(room);
    if (isReserved(name) || this.#drain !== undefined || this.#disposed) return false;
    return this.#memberships.join(socket, name);
  }

  /**
   * Ends a membership.
   *
   * @returns false if there was none.
   * @throws {TypeError} if `room` is not a string.
   */
  leave(socket: S, room: string): boolean {
    return this.#memberships.leave(socket, normalName(room));
  }

  /**
   * Ends all memberships of a socket.
   *
   * @returns how many there were.
   */
  leaveAll(socket: S): number {
    return this.#memberships.leaveAll(socket);
  }

  /** The sockets of a room on this node, as they are now. */
  members(room: string): S[] {
    return this.#members.socketsOf(normalName(room));
  }

  /**
   * The rooms of a socket, as they are now. A close listener that was added before the first `join`
   * still finds all of them. One that was added later finds none, and so does any listener of a
   * socket that was closed as slow.
   */
  roomsOf(socket: S): string[] {
    return this.#memberships.roomsOf(socket);
  }

  /** The sockets that are in a room, each once, as they are now. */
  sockets(): IterableIterator<S> {
    return this.#members.sockets().values();
  }

  /**
   * Sends a message to the members of a room, or of several, on all nodes. It returns at once. If
   * it throws, nobody has received anything.
   *
   * @param room a name, or at most 64 names. A member of several rooms receives the message once.
   * @param message a text, or bytes, which are copied before this returns.
   * @throws {TypeError} if a room is not a string, the message neither text nor bytes, or `options`
   * not an object.
   * @throws {RangeError} for more than 64 rooms or exceptions.
   * @throws {FrameError} `room-too-long`, or `message-too-long` above `maxMessageBytes` or the
   * backplane's limit. It is a `RangeError`.
   *
   * @example
   * ```ts
   * import { Rooms } from "@roomcast/roomcast/rooms";
   * import { assertEquals } from "@std/assert";
   *
   * const rooms = new Rooms();
   * const report = rooms.broadcast("lobby", "is anybody there?");
   * assertEquals(report, { sent: 0, slow: 0, failed: 0, peers: 0, dropped: 0 });
   *
   * rooms.broadcast(["lobby", "hall"], Uint8Array.of(1, 2), { except: "user:ann" });
   * ```
   */
  broadcast(
    room: string | readonly string[],
    message: Message,
    options?: BroadcastOptions<S>,
  ): BroadcastReport {
    if (options !== undefined) checkObject("options", options, "except");
    const names = targetNames(room);
    const content = messageContent(message, this.#settings.maxMessageBytes);
    const except = options === undefined ? NO_EXCEPTIONS : readExceptions(options.except);
    const rooms = withoutRooms(names, except.rooms);
    if (rooms.length === 0 || this.#disposed) return { ...NOTHING_SENT };
    const recipients = this.#members.recipients(rooms, except);
    if (this.#outlet.backplane === undefined) {
      const delivery = this.#deliver(recipients, new OutgoingPayload(content, this.#frames));
      const { sent, slow, failed } = delivery;
      return { sent, slow, failed, peers: 0, dropped: 0 };
    }
    const encoded = this.#encoder.encode(rooms, except.rooms, content);
    this.#outlet.check(encoded);
    const delivery = this.#deliver(recipients, new OutgoingPayload(content, this.#frames, encoded));
    return this.#publish(encoded, delivery);
  }

  /**
   * Calls a function with each message for a room: a member without a socket. It is called in the
   * order of the broadcasts, after `broadcast` has returned, with a text or with bytes of its own.
   * It counts in `sent`. If it throws, or its promise rejects, the error goes to `onError`.
   *
   * A listener that broadcasts to its own room must pass its handle as `except`. Otherwise it
   * receives its own messages without end.
   *
   * @returns the handle. Disposing it ends the listening.
   * @throws {TypeError} if `room` is not a string or `listener` not a function.
   * @throws {RangeError} for a reserved name.
   * @throws {FrameError} `room-too-long`.
   *
   * @example
   * ```ts
   * import { Rooms } from "@roomcast/roomcast/rooms";
   *
   * const rooms = new Rooms();
   * using _audit = rooms.listen("orders", (message) => console.log(message));
   * rooms.broadcast("orders", "one more");
   * ```
   */
  listen(room: string, listener: Listen): Disposable {
    const name = roomName(room);
    checkFunction("listener", listener);
    if (isReserved(name)) {
      throw new RangeError(
        `names that begin with U+0000 are reserved, got ${JSON.stringify(name)}`,
      );
    }
    const handle = new RoomListener(name, listener, (ended) => {
      this.#memberships.removeListener(ended);
    });
    if (!this.#disposed) this.#memberships.addListener(handle);
    return handle;
  }

  /**
   * Closes the sockets in a room, on all nodes. Each stays a member until it has closed. A socket
   * that does not close within 5 s is terminated if possible, otherwise removed from its rooms.
   * Listeners stay, and so do sockets that join or open later.
   *
   * @returns a report like that of `broadcast`; `sent` counts the sockets that were told to close.
   * @throws {TypeError} if `room` or the reason is not a string, the code not a number, or
   * `options` not an object.
   * @throws {RangeError} for a code that is not allowed, or a reason above 123 bytes.
   * @throws {FrameError} `room-too-long`. It is a `RangeError`.
   *
   * @example
   * ```ts
   * import { Rooms } from "@roomcast/roomcast/rooms";
   *
   * const rooms = new Rooms();
   * rooms.disconnect("user:ann", { code: 4001, reason: "signed out" });
   * ```
   */
  disconnect(room: string, options: CloseOptions = {}): BroadcastReport {
    const name = roomName(room);
    const why = readCloseOptions(options, NORMAL_CLOSURE);
    if (isReserved(name) || this.#disposed) return { ...NOTHING_SENT };
    const encoded = encodeRoomClose(name, why.code, why.reason);
    this.#outlet.check(encoded);
    return this.#publish(encoded, this.#disconnect(name, why));
  }

  /**
   * Closes all sockets evenly over a time, for a restart. From now on nobody can join. Sockets that
   * have not closed 10 s after the last one was told to are terminated if possible, otherwise given
   * up.
   *
   * @returns resolves with the number of sockets that have closed. A second call returns the same
   * promise.
   * @throws {TypeError} if the time or the code is not a number, the reason not a string, or
   * `options` not an object.
   * @throws {RangeError} for a time that is not a whole number of milliseconds up to 2³¹−1, a code
   * that is not allowed, or a reason above 123 bytes.
   *
   * @example
   * ```ts
   * import { Rooms } from "@roomcast/roomcast/rooms";
   *
   * const rooms = new Rooms();
   * const closed = await rooms.drain({ overMs: 5_000 });
   * console.log(`${closed} sockets closed`);
   * ```
   */
  drain(options: DrainOptions = {}): Promise<number> {
    if (this.#drain !== undefined) return this.#drain.done;
    // First, because it checks that there is an object to read from.
    const why = readCloseOptions(options, SERVICE_RESTART);
    const overMs = wholeNumber("overMs", options.overMs, DRAIN_MS, { min: 0, max: MAX_DELAY_MS });
    const { timers } = this.#settings;
    this.#drain = new Drain({ overMs, why, owner: this }, this.#closer, timers);
    this.#drain.start(this.#members.sockets());
    return this.#drain.done;
  }

  /**
   * Unsubscribes from the backplane, closes the open rooms there, and forgets all sockets and
   * listeners without closing them. Afterwards nobody can join, and broadcasts reach nobody.
   */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#settings.backplane?.removeEventListener?.("missed", this.#hearMissed);
    this.#outlet[Symbol.dispose]();
    this.#closer[Symbol.dispose]();
    this.#drain?.[Symbol.dispose]();
    this.#delivery.clear();
    this.#memberships[Symbol.dispose]();
    this.#reserved[Symbol.dispose]();
  }

  /** Takes a message from another node, or from another `Rooms` on this backplane. */
  #receive(bytes: Uint8Array, from: string | undefined): void {
    if (bytes[0] === ROOM_CLOSE) {
      const { room, code, reason } = decodeRoomClose(bytes);
      this.#totals.received++;
      this.#disconnect(room, { code, reason });
      return;
    }
    const view = new BroadcastView(bytes);
    const names = view.rooms(this.#names);
    if (names.length === 1 && isReserved(names[0])) {
      this.#reserved.receive(names[0], view.messageBytes(), from);
      return;
    }
    const excepted = view.except(this.#names);
    const rooms = withoutRooms(names.length === 1 ? names : [...new Set(names)], excepted);
    const except = excepted.length === 0 ? NO_EXCEPTIONS : { rooms: excepted, members: [] };
    const recipients = this.#members.recipients(rooms, except);
    const { sockets, listeners } = recipients;
    // Most messages may be for rooms that have no member here: they are never decoded.
    if (sockets.length > 0 || listeners.length > 0) {
      const needsData = listeners.length > 0 || !takesFrames(sockets[0]);
      this.#deliver(recipients, new IncomingPayload(view, this.#frames, needsData));
    }
    this.#totals.received++;
  }

  #publish(encoded: Uint8Array, delivery: DeliveryReport): BroadcastReport {
    const { sent, slow, failed } = delivery;
    if (this.#outlet.backplane !== undefined) this.#totals.published++;
    const { peers, dropped } = this.#outlet.publish(encoded);
    return { sent, slow, failed, peers, dropped };
  }

  /**
   * Sends to a snapshot of members, because `send` and `close` run foreign code, which may join and
   * leave.
   */
  #deliver({ sockets, listeners }: Recipients<S>, payload: Payload): DeliveryReport {
    const report = this.#delivery.deliver(sockets, payload);
    if (listeners.length === 0) return this.#totals.add(report);
    this.#listenerCalls.add(listeners, payload.data);
    return this.#totals.add({ ...report, sent: report.sent + listeners.length });
  }

  #disconnect(name: string, why: CloseReason): DeliveryReport {
    let sent = 0;
    let failed = 0;
    for (const socket of this.#members.socketsOf(name)) {
      if (socket.readyState >= CLOSING) continue;
      // Before `close`, whose close event may come at once.
      this.#closer.watch(socket, () => this.#giveUp(socket));
      if (this.#closer.close(socket, why)) sent++;
      else failed++;
    }
    return { sent, slow: 0, failed };
  }

  /** It has not closed in time: its close event may never come. */
  #giveUp(socket: S): void {
    if (!this.#closer.terminate(socket)) this.leaveAll(socket);
  }

  #slow(socket: S, isFirst: boolean): void {
    if (this.#settings.closeSlow) {
      // It leaves its rooms now, because its close event comes late, or never.
      this.leaveAll(socket);
      this.#delivery.forget(socket);
      if (socket.terminate !== undefined) {
        this.#closer.watch(socket, () => this.#closer.terminate(socket));
      }
      this.#closer.close(socket, TOO_SLOW);
    }
    if (isFirst) this.dispatchEvent(new SlowEvent(socket));
  }

  #missed({ from, count }: MissedEvent): void {
    this.#totals.missed += count ?? 1;
    this.dispatchEvent(new MissedEvent(undefined, from, count));
  }

  /**
   * A socket that joined while it was connecting has opened. While draining, it is closed instead.
   */
  #opened(socket: S): boolean {
    if (this.#drain === undefined) return true;
    this.#closer.close(socket, this.#drain.why);
    return false;
  }

  #closed(socket: S): void {
    this.#closer.closed(socket);
    this.#delivery.forget(socket);
    this.#drain?.closed(socket);
  }

  #provideSeam(): void {
    const { backplane, timers, onError } = this.#settings;
    provideSeam(this, {
      backplane,
      timers,
      onError,
      isMember: (socket, room) => this.#members.has(socket as S, room),
      isWaiting: (socket, room) => this.#memberships.isWaiting(socket as S, room),
      openReserved: (room, receive) => this.#reserved.open(room, receive),
      watch: (watcher) => this.#memberships.watch(watcher),
    });
  }
}

function takesFrames({ sendFrame, sendPooledFrame }: RoomSocket): boolean {
  return sendFrame !== undefined || sendPooledFrame !== undefined;
}

function withoutRooms(names: readonly string[], excepted: readonly string[]): readonly string[] {
  if (excepted.length === 0) return names;
  return names.filter((name) => !excepted.includes(name));
}
