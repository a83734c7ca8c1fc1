/** Who is in which room, whichever instance has announced them. */

/**
 * Spare ids (those that have left) and spare rooms (those that are empty) stay in their maps until
 * they outnumber the others by more than this.
 */
const MAX_SPARE = 64;

/** Longer names do not stay, because they would take memory. */
const MAX_SPARE_NAME_LENGTH = 64;

/** What a roster reports, in {@linkcode Roster.settle}. */
export interface RosterEvents {
  /** An id has its first entry in a room. */
  joined(room: string, id: string, meta: string): void;
  /** An id has lost its last entry in a room. */
  left(room: string, id: string): void;
}

/** An event that waits: a leave if it has no meta. */
interface Waiting {
  readonly room: string;
  readonly id: string;
  readonly meta: string | undefined;
}

/** One socket in one room, in the list of its {@linkcode Person}. */
export class Entry {
  readonly person: Person;
  /** JSON, or empty. */
  meta: string;
  previous: Entry | undefined = undefined;
  next: Entry | undefined = undefined;

  constructor(person: Person, meta: string) {
    this.person = person;
    this.meta = meta;
  }

  get room(): string {
    return this.person.place.room;
  }

  get id(): string {
    return this.person.id;
  }
}

/** One id in one room. Its entries form a linked list, which takes less memory than an array. */
export class Person {
  readonly place: Place;
  readonly id: string;
  first: Entry | undefined = undefined;
  last: Entry | undefined = undefined;

  constructor(place: Place, id: string) {
    this.place = place;
    this.id = id;
  }
}

/** One room. */
export class Place {
  readonly room: string;
  readonly people: Map<string, Person> = new Map();
  /** How many of the people have an entry. The others are spare. */
  present = 0;

  constructor(room: string) {
    this.room = room;
  }
}

/**
 * Counts and lists, kept up to date entry by entry. Every question is answered from memory: a count
 * in constant time, a list in the time that it takes to build.
 *
 * When an id comes and goes, its key is not removed from a map and put back. That would take a
 * `Map` of V8 time in proportion to its size, because its chains keep what was deleted until the
 * table is rebuilt. Ids without entries stay as spare ones, and are removed together when they
 * outnumber the others.
 *
 * Events wait for `settle`. They run code of the application, which may change the roster again, so
 * the caller first stores the entries that it has added or removed.
 */
export class Roster {
  readonly #events: RosterEvents;
  readonly #places = new Map<string, Place>();
  readonly #waiting: Waiting[] = [];
  #isSettling = false;
  #isClosed = false;
  #spareRooms = 0;
  #people = 0;

  /** Begins empty. */
  constructor(events: RosterEvents) {
    this.#events = events;
  }

  /** Rooms with an entry. */
  get roomCount(): number {
    return this.#places.size - this.#spareRooms;
  }

  /** Ids in rooms; one in two rooms counts twice. */
  get idCount(): number {
    return this.#people;
  }

  /** Distinct ids in a room. */
  count(room: string): number {
    return this.#places.get(room)?.present ?? 0;
  }

  /** True if an id has an entry in a room. */
  has(room: string, id: string): boolean {
    return this.#places.get(room)?.people.get(id)?.first !== undefined;
  }

  /** The ids in a room, in no particular order, with the metas of their entries. */
  list(room: string): { id: string; metas: string[] }[] {
    const list: { id: string; metas: string[] }[] = [];
    for (const { id, first } of this.#places.get(room)?.people.values() ?? []) {
      if (first === undefined) continue;
      const metas = [];
      for (let entry: Entry | undefined = first; entry; entry = entry.next) metas.push(entry.meta);
      list.push({ id, metas });
    }
    return list;
  }

  /** Adds an entry. */
  add(room: string, id: string, meta: string): Entry {
    if (this.#isClosed) return new Entry(new Person(new Place(room), id), meta);
    const person = this.#personOf(room, id);
    const { place, last } = person;
    const entry = new Entry(person, meta);
    entry.previous = last;
    person.last = entry;
    if (last !== undefined) {
      last.next = entry;
    } else {
      person.first = entry;
      if (place.present++ === 0) this.#spareRooms--;
      this.#people++;
      this.#waiting.push({ room, id, meta });
    }
    return entry;
  }

  /** Removes an entry. The caller does so only once. */
  remove({ person, previous, next }: Entry): void {
    if (this.#isClosed) return;
    if (previous === undefined) person.first = next;
    else previous.next = next;
    if (next === undefined) person.last = previous;
    else next.previous = previous;
    if (person.first !== undefined) return;
    const { place, id } = person;
    place.present--;
    this.#people--;
    this.#discard(place, person);
    this.#waiting.push({ room: place.room, id, meta: undefined });
  }

  /**
   * Dispatches the events of all changes, in order. A call from within an event leaves them to the
   * outer call.
   */
  settle(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    try {
      for (let i = 0; i < this.#waiting.length; i++) {
        const { room, id, meta } = this.#waiting[i];
        if (meta === undefined) this.#events.left(room, id);
        else this.#events.joined(room, id, meta);
      }
    } finally {
      this.#waiting.length = 0;
      this.#isSettling = false;
    }
  }

  /** Forgets everything for good, without any event. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.length = 0;
    this.#places.clear();
    this.#spareRooms = 0;
    this.#people = 0;
  }

  #personOf(room: string, id: string): Person {
    let place = this.#places.get(room);
    if (place === undefined) {
      place = new Place(room);
      this.#places.set(room, place);
      this.#spareRooms++;
    }
    let person = place.people.get(id);
    if (person === undefined) {
      person = new Person(place, id);
      place.people.set(id, person);
    }
    return person;
  }

  #discard(place: Place, { id }: Person): void {
    const { people, room, present } = place;
    if (present > 0) {
      if (id.length > MAX_SPARE_NAME_LENGTH) people.delete(id);
      else if (people.size > 2 * present + MAX_SPARE) sweepPeople(place);
      return;
    }
    // An empty room keeps its name, for the same reason, but none of its people.
    people.clear();
    if (room.length > MAX_SPARE_NAME_LENGTH) {
      this.#places.delete(room);
      return;
    }
    this.#spareRooms++;
    if (this.#spareRooms > MAX_SPARE + this.roomCount) this.#sweepRooms();
  }

  #sweepRooms(): void {
    for (const { room, present } of this.#places.values()) {
      if (present === 0) this.#places.delete(room);
    }
    this.#spareRooms = 0;
  }
}

function sweepPeople({ people }: Place): void {
  for (const { id, first } of people.values()) {
    if (first === undefined) people.delete(id);
  }
}
