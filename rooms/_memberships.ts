import { guarded, type OnError } from "../backplane/errors.ts";
import type { RoomListener } from "./_listeners.ts";
import { type Entry, hasOneMember, isEmpty, Members } from "./_members.ts";
import type { Outlet } from "./_outlet.ts";
import type { MemberWatcher } from "./reserved.ts";
import { CLOSING, CONNECTING, OPEN, type RoomSocket } from "./room_socket.ts";

/** What else happens when a socket opens or closes. */
export interface SocketHooks<S> {
  /** A socket has opened. False if it must not become a member any more. */
  opened(socket: S): boolean;
  /** A socket has closed, and has left all rooms. */
  closed(socket: S): void;
}

/**
 * Handles joins and leaves. It keeps the tables, and follows each socket from connecting to closed.
 * It tells the backplane about rooms that open and close, and watchers about members that join and
 * leave.
 */
export class Memberships<S extends RoomSocket> implements Disposable {
  /** The tables. */
  readonly members: Members<S> = new Members();
  readonly #outlet: Outlet;
  readonly #hooks: SocketHooks<S>;
  readonly #onError: OnError;
  readonly #watchers = new Set<MemberWatcher>();

  /** Starts without members. `onError` gets what watchers throw. */
  constructor(outlet: Outlet, hooks: SocketHooks<S>, onError: OnError) {
    this.#outlet = outlet;
    this.#hooks = hooks;
    this.#onError = onError;
  }

  /** Makes a socket a member, now or when it opens. False if it is one already, or cannot be. */
  join(socket: S, name: string): boolean {
    const { readyState } = socket;
    // Its close event may have come already, and then nothing would ever remove it.
    if (readyState >= CLOSING) return false;
    const entry = this.#entryOf(socket) ?? this.#introduce(socket);
    if (readyState !== CONNECTING) return this.#enter(entry, name);
    entry.waiting ??= new Set();
    if (entry.waiting.has(name)) return false;
    entry.waiting.add(name);
    return true;
  }

  /** Ends a membership, or cancels a join. False if there was none. */
  leave(socket: S, name: string): boolean {
    const entry = this.#entryOf(socket);
    if (entry === undefined) return false;
    if (!entry.waiting?.delete(name)) {
      const room = this.members.leave(entry, name);
      if (room === undefined) return false;
      if (isEmpty(room)) this.#outlet.closed(name);
    }
    this.#tellLeft(socket, name);
    return true;
  }

  /** Ends all memberships of a socket, and returns how many there were. */
  leaveAll(socket: S): number {
    const entry = this.#entryOf(socket);
    if (entry === undefined) return 0;
    const waiting = entry.waiting ?? [];
    entry.waiting = undefined;
    const left = this.members.leaveAll(entry);
    // All places are vacated before foreign code is called, which may fill rooms again.
    const emptied = left.filter(isEmpty);
    for (const { name } of emptied) this.#outlet.closed(name);
    const names = [...left.map(({ name }) => name), ...waiting];
    for (const name of names) this.#tellLeft(socket, name);
    return names.length;
  }

  /** True if a socket will become a member when it opens. */
  isWaiting(socket: S, name: string): boolean {
    return this.#entryOf(socket)?.waiting?.has(name) === true;
  }

  /** The names of a socket's rooms. */
  roomsOf(socket: S): string[] {
    return Array.from(this.#entryOf(socket)?.places.keys() ?? [], (room) => room.name);
  }

  /** Makes a listener a member. */
  addListener(listener: RoomListener): void {
    const room = this.members.addListener(listener);
    if (hasOneMember(room)) this.#outlet.opened(room.name);
  }

  /** Ends the membership of a listener. */
  removeListener(listener: RoomListener): void {
    const room = this.members.removeListener(listener);
    if (room !== undefined && isEmpty(room)) this.#outlet.closed(room.name);
  }

  /** Tells a watcher about all joins and leaves from now on. */
  watch(watcher: MemberWatcher): Disposable {
    this.#watchers.add(watcher);
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) };
  }

  /** Ends all memberships, and forgets all sockets. */
  [Symbol.dispose](): void {
    const { members } = this;
    const left = this.#watchers.size === 0
      ? []
      : members.sockets().map((socket) => ({ socket, names: this.roomsOf(socket) }));
    const open = members.roomNames();
    members.clear();
    for (const name of open) this.#outlet.closed(name);
    for (const { socket, names } of left) {
      for (const name of names) this.#tellLeft(socket, name);
    }
  }

  /** What is known of a socket. It may have opened before our listener for that has run. */
  #entryOf(socket: S): Entry<S> | undefined {
    const entry = this.members.entryOf(socket);
    if (entry?.waiting !== undefined && socket.readyState === OPEN) this.#opened(entry);
    return entry;
  }

  #introduce(socket: S): Entry<S> {
    // Only the socket itself holds these listeners, so nothing is left of one that never opens.
    socket.addEventListener("close", () => this.#closed(socket), { once: true });
    if (socket.readyState === CONNECTING) {
      socket.addEventListener("open", () => void this.#entryOf(socket), { once: true });
    }
    // Last: a socket that cannot be listened to is no member, however often it tries to join.
    return this.members.introduce(socket);
  }

  #opened(entry: Entry<S>): void {
    const names = entry.waiting ?? [];
    entry.waiting = undefined;
    const mayJoin = this.#hooks.opened(entry.socket);
    for (const name of names) {
      if (mayJoin) this.#enter(entry, name);
      else this.#tellLeft(entry.socket, name);
    }
  }

  #closed(socket: S): void {
    this.leaveAll(socket);
    this.#hooks.closed(socket);
  }

  #enter(entry: Entry<S>, name: string): boolean {
    const room = this.members.join(entry, name);
    if (room === undefined) return false;
    if (hasOneMember(room)) this.#outlet.opened(name);
    for (const watcher of this.#watchers) {
      guarded(() => watcher.joined(entry.socket, name), this.#onError);
    }
    return true;
  }

  #tellLeft(socket: S, name: string): void {
    for (const watcher of this.#watchers) {
      guarded(() => watcher.left(socket, name), this.#onError);
    }
  }
}
