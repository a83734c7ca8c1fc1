/**
 * What carries broadcasts between nodes: the port that {@linkcode Rooms} speaks through. The mesh
 * implements it, and so can anything that takes bytes to other nodes.
 *
 * The rules that make it sound:
 *
 * - `publish` hands the message to every other node, never back to this one.
 * - What arrives is given to the receivers of this node and never published again.
 * - From one node, messages reach another in the order in which they were published.
 * - What is dropped is counted in the report, or reported by the backplane's own events.
 *
 * @example A backplane between the `Rooms` of one process
 * ```ts
 * import type { Backplane, PublishReport } from "@roomcast/roomcast/rooms";
 *
 * class Loopback implements Backplane {
 *   static readonly #all = new Set<Loopback>();
 *   readonly #receivers: ((message: Uint8Array) => void)[] = [];
 *
 *   constructor() {
 *     Loopback.#all.add(this);
 *   }
 *   publish(message: Uint8Array): PublishReport {
 *     const others = [...Loopback.#all].filter((other) => other !== this);
 *     for (const other of others) other.#receivers.forEach((receive) => receive(message));
 *     return { peers: others.length, dropped: 0 };
 *   }
 *   subscribe(receive: (message: Uint8Array) => void): void {
 *     this.#receivers.push(receive);
 *   }
 * }
 * ```
 */
export interface Backplane {
  /**
   * Largest message it carries, in bytes of the encoded ROOM_BROADCAST; 16 MiB if it does not say.
   * `Rooms` refuses a larger one before anybody has heard it.
   */
  readonly maxMessageBytes?: number;
  /**
   * Hands an encoded ROOM_BROADCAST to every other node, without waiting and without throwing.
   * The bytes do not change afterwards, so they may be kept.
   */
  publish(message: Uint8Array): PublishReport;
  /**
   * Has `receive` called with every message from another node. The bytes are only lent for the
   * duration of the call. `receive` throws a `FrameError` for a message that it cannot decode,
   * which the backplane drops, counts and reports.
   */
  subscribe(receive: (message: Uint8Array) => void): void;
  /**
   * Takes note that a room has its first member on this node: from here on messages for it are
   * wanted. A backplane without this method brings all rooms.
   *
   * Called within `join`, which does not wait for it: it must return at once, must not throw (what it
   * throws is an uncaught error, and the socket a member), and must not call the `Rooms` that calls
   * it. What this node publishes itself is not affected: its own
   * members hear it from the moment they have joined. What other nodes publish is heard from when
   * the subscription has taken effect in the engine; each backplane says when that is. Until then
   * the room is, for other nodes, as if the member had joined a little later.
   *
   * Calls for one room alternate, beginning with this one, and each is followed by one of
   * {@linkcode closeRoom} when the last member has left. Several `Rooms` may share a backplane: then
   * each has its own calls, and the room is wanted while it is open for any of them.
   */
  openRoom?(room: string): void;
  /** Takes note that the last member of a room on this node has left. See {@linkcode openRoom}. */
  closeRoom?(room: string): void;
}

/** What became of a published message. */
export interface PublishReport {
  /**
   * Nodes that it is on its way to. An engine that does not say how many nodes stand behind it (NATS,
   * Redis, the gateway of several workers) counts as one.
   */
  readonly peers: number;
  /**
   * Connected nodes that it is lost for, since what already waits for them fills the limit. An
   * engine that is out of reach counts as one.
   */
  readonly dropped: number;
}
