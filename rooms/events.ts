import type { MissedEvent } from "../backplane/mod.ts";

/**
 * A member has more than `maxBufferedBytes` unsent, so it was closed or skipped. The event is
 * dispatched once, and again only after the socket has had half of that or less.
 */
export class SlowEvent<S> extends Event {
  /** The member. */
  readonly socket: S;

  /** Makes a `slow` event. */
  constructor(socket: S) {
    super("slow");
    this.socket = socket;
  }
}

/** The events of `Rooms`. */
export interface RoomsEventMap<S> {
  /** Messages of other nodes did not arrive here. Now is the time to catch up. */
  missed: MissedEvent<undefined>;
  /** A member is slow. */
  slow: SlowEvent<S>;
}
