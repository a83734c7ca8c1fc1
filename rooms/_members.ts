/**
 * Who is in which room on this node: tables without side effects.
 *
 * Two tables mirror each other. Each room has a list of its sockets, and each socket knows its
 * rooms and its place in the list of each. So joining and leaving cost the same, however many
 * others there are.
 *
 * When a socket comes and goes, no table has an entry removed and put back. A `Map` or `Set` of V8
 * with n entries takes time in proportion to n for that, because its chains keep what was deleted
 * until the table is rebuilt. Sockets are remembered weakly, and emptied rooms are removed
 * together.
 */

import type { Exceptions } from "./_exceptions.ts";
import type { RoomListener } from "./_listeners.ts";

/** Emptied rooms are removed once they outnumber the others by more than this. */
const MAX_SPARE_ROOMS = 64;

/** Rooms with longer names are removed at once, because their names would take memory. */
const MAX_SPARE_NAME_LENGTH = 64;

const NO_LISTENERS: readonly RoomListener[] = [];

/** A room with its members on this node. */
export interface Room<S> {
  readonly name: string;
  /** In no particular order: when a socket leaves, the last one takes its place. */
  readonly sockets: S[];
  /** In the order in which they were added. */
  listeners: Set<RoomListener> | undefined;
}

/** What is known of a socket. */
export interface Entry<S> {
  readonly socket: S;
  /** Its rooms, and its place among the sockets of each. */
  readonly places: Map<Room<S>, number>;
  /** Rooms that it joins when it opens. */
  waiting: Set<string> | undefined;
  /** Its place in the list of all sockets that are in a room. */
  place: number;
}

/** The members that receive a broadcast. */
export interface Recipients<S> {
  readonly sockets: readonly S[];
  readonly listeners: readonly RoomListener[];
}

const NOBODY: Recipients<never> = { sockets: [], listeners: NO_LISTENERS };

/** True if a room has no members. */
export function isEmpty<S>(room: Room<S>): boolean {
  return room.sockets.length === 0 && !room.listeners?.size;
}

/** True for a room with one member. After a join, it means that the room had none before. */
export function hasOneMember<S>(room: Room<S>): boolean {
  return room.sockets.length + (room.listeners?.size ?? 0) === 1;
}

/** The members of all rooms on this node. */
export class Members<S extends object> {
  readonly #rooms = new Map<string, Room<S>>();
  #emptyRoomCount = 0;
  /** Every socket that has ever joined. */
  #entries = new WeakMap<S, Entry<S>>();
  /** Those that are in a room. */
  readonly #active: Entry<S>[] = [];

  /** Rooms with members. */
  get roomCount(): number {
    return this.#rooms.size - this.#emptyRoomCount;
  }

  /** Sockets that are in a room. */
  get socketCount(): number {
    return this.#active.length;
  }

  /** The sockets that are in a room, as they are now. */
  sockets(): S[] {
    return this.#active.map((entry) => entry.socket);
  }

  /** The sockets of a room, as they are now. */
  socketsOf(name: string): S[] {
    return this.#rooms.get(name)?.sockets.slice() ?? [];
  }

  /** The names of all rooms with members, as they are now. */
  roomNames(): string[] {
    return Array.from(this.#rooms.values()).filter((room) => !isEmpty(room)).map(({ name }) =>
      name
    );
  }

  /** What is known of a socket, if it has ever joined. */
  entryOf(socket: S): Entry<S> | undefined {
    return this.#entries.get(socket);
  }

  /** Remembers a socket that has never joined. */
  introduce(socket: S): Entry<S> {
    const entry: Entry<S> = { socket, places: new Map(), waiting: undefined, place: -1 };
    this.#entries.set(socket, entry);
    return entry;
  }

  /** True if a socket is in a room. */
  has(socket: S, name: string): boolean {
    const room = this.#rooms.get(name);
    return room !== undefined && this.#entries.get(socket)?.places.has(room) === true;
  }

  /** Adds a socket to a room, and returns the room; undefined if the socket is in it already. */
  join(entry: Entry<S>, name: string): Room<S> | undefined {
    const { socket, places } = entry;
    const room = this.#rooms.get(name);
    if (room !== undefined && places.has(room)) return undefined;
    const joined = this.#fill(name, room);
    places.set(joined, joined.sockets.push(socket) - 1);
    if (places.size === 1) entry.place = this.#active.push(entry) - 1;
    return joined;
  }

  /** Removes a socket from a room, and returns the room; undefined if the socket is not in it. */
  leave(entry: Entry<S>, name: string): Room<S> | undefined {
    const room = this.#rooms.get(name);
    const place = room && entry.places.get(room);
    if (room === undefined || place === undefined) return undefined;
    entry.places.delete(room);
    if (entry.places.size === 0) this.#deactivate(entry);
    this.#vacate(room, place);
    return room;
  }

  /** Removes a socket from all its rooms, and returns them. */
  leaveAll(entry: Entry<S>): Room<S>[] {
    if (entry.places.size === 0) return [];
    const left = [...entry.places];
    entry.places.clear();
    this.#deactivate(entry);
    for (const [room, place] of left) this.#vacate(room, place);
    return left.map(([room]) => room);
  }

  /** Adds a listener to its room, and returns the room. */
  addListener(listener: RoomListener): Room<S> {
    const room = this.#fill(listener.room, this.#rooms.get(listener.room));
    room.listeners ??= new Set();
    room.listeners.add(listener);
    return room;
  }

  /** Removes a listener from its room, and returns the room; undefined if it is not in it. */
  removeListener(listener: RoomListener): Room<S> | undefined {
    const room = this.#rooms.get(listener.room);
    if (!room?.listeners?.delete(listener)) return undefined;
    if (room.listeners.size === 0) room.listeners = undefined;
    if (isEmpty(room)) this.#emptied(room);
    return room;
  }

  /** The members of some rooms, each socket once, without the exceptions. */
  recipients(names: readonly string[], except: Exceptions): Recipients<S> {
    return names.length === 1 ? this.#ofRoom(names[0], except) : this.#ofRooms(names, except);
  }

  #ofRoom(name: string, except: Exceptions): Recipients<S> {
    const room = this.#rooms.get(name);
    if (room === undefined) return NOBODY;
    return {
      sockets: this.#without(room.sockets, except),
      listeners: room.listeners === undefined
        ? NO_LISTENERS
        : withoutMembers([...room.listeners], except.members),
    };
  }

  #ofRooms(names: readonly string[], except: Exceptions): Recipients<S> {
    const sockets = new Set<S>();
    const listeners: RoomListener[] = [];
    for (const name of names) {
      const room = this.#rooms.get(name);
      if (room === undefined) continue;
      for (const socket of room.sockets) sockets.add(socket);
      if (room.listeners !== undefined) listeners.push(...room.listeners);
    }
    return {
      sockets: this.#without([...sockets], except),
      listeners: withoutMembers(listeners, except.members),
    };
  }

  /** Forgets everything. */
  clear(): void {
    this.#rooms.clear();
    this.#emptyRoomCount = 0;
    this.#entries = new WeakMap();
    this.#active.length = 0;
  }

  /** A copy without the exceptions. */
  #without(sockets: readonly S[], { rooms, members }: Exceptions): S[] {
    const others = withoutMembers(sockets, members);
    if (rooms.length === 0) return others;
    const excepted = rooms.map((name) => this.#rooms.get(name)).filter((room) =>
      room !== undefined
    );
    if (excepted.length === 0) return others;
    return others.filter((socket) => {
      const places = this.#entries.get(socket)?.places;
      return !excepted.some((room) => places?.has(room));
    });
  }

  #fill(name: string, room: Room<S> | undefined): Room<S> {
    if (room === undefined) {
      room = { name, sockets: [], listeners: undefined };
      this.#rooms.set(name, room);
    } else if (isEmpty(room)) this.#emptyRoomCount--;
    return room;
  }

  #deactivate(entry: Entry<S>): void {
    const last = this.#active.pop();
    if (last !== undefined && last !== entry) {
      this.#active[entry.place] = last;
      last.place = entry.place;
    }
    entry.place = -1;
  }

  #vacate(room: Room<S>, place: number): void {
    const { sockets } = room;
    const last = sockets.pop();
    if (last !== undefined && place < sockets.length) {
      sockets[place] = last;
      this.#entries.get(last)?.places.set(room, place);
    }
    if (isEmpty(room)) this.#emptied(room);
  }

  #emptied(room: Room<S>): void {
    if (room.name.length > MAX_SPARE_NAME_LENGTH) {
      this.#rooms.delete(room.name);
      return;
    }
    this.#emptyRoomCount++;
    if (this.#emptyRoomCount > MAX_SPARE_ROOMS + this.roomCount) this.#sweep();
  }

  /** Deletes the emptied rooms. It visits every room, but only after as many have been emptied. */
  #sweep(): void {
    for (const room of this.#rooms.values()) {
      if (isEmpty(room)) this.#rooms.delete(room.name);
    }
    this.#emptyRoomCount = 0;
  }
}

/** A copy of `all` without `members`, of which there are usually none or one. */
function withoutMembers<T extends object>(all: readonly T[], members: readonly object[]): T[] {
  if (members.length === 0) return all.slice();
  if (members.length === 1) {
    const [excepted] = members;
    return all.filter((member) => member !== excepted);
  }
  const excepted = new Set(members);
  return all.filter((member) => !excepted.has(member));
}
