/** An id has joined a room: its first socket, on any node, is tracked there. */
export class PresenceJoinEvent<Meta = unknown> extends Event {
  /** The room. */
  readonly room: string;
  /** The id. */
  readonly id: string;
  /** The meta of that first socket; null if it has none. */
  readonly meta: Meta | null;

  /** Makes a `join` event. */
  constructor(room: string, id: string, meta: Meta | null) {
    super("join");
    this.room = room;
    this.id = id;
    this.meta = meta;
  }
}

/** An id has left a room: none of its sockets, on any node, is tracked there any more. */
export class PresenceLeaveEvent extends Event {
  /** The room. */
  readonly room: string;
  /** The id. */
  readonly id: string;

  /** Makes a `leave` event. */
  constructor(room: string, id: string) {
    super("leave");
    this.room = room;
    this.id = id;
  }
}

/** The events of `Presence`. */
export interface PresenceEventMap<Meta = unknown> {
  /** An id has joined a room. */
  join: PresenceJoinEvent<Meta>;
  /** An id has left a room. */
  leave: PresenceLeaveEvent;
}
