import type { MissedEvent, NodeDownEvent } from "./events.ts";

/**
 * What carries messages between nodes: the port that `Rooms` speaks through. The mesh and the
 * brokers implement it, and so can anything that takes bytes to other nodes.
 *
 * A message is an encoded ROOM_BROADCAST, ROOM_MESSAGE or ROOM_CLOSE (`docs/wire.md` has the
 * layouts). Every implementation follows these rules:
 *
 * - `publish` hands a message to every other node, and to the other subscriptions on this node.
 * - A message that arrives goes to the subscriptions on this node, and is never published again.
 * - Messages from one node reach another in the order in which they were published.
 * - A dropped message is counted in the report or reported by an event.
 *
 * @example A backplane between the nodes of one process
 * ```ts
 * import { type Backplane, type PublishReport, Receivers } from "@roomcast/roomcast/backplane";
 *
 * class Loopback implements Backplane {
 *   static readonly #all = new Set<Loopback>();
 *   readonly nodeId: string = crypto.randomUUID();
 *   readonly #receivers = new Receivers();
 *
 *   constructor() {
 *     Loopback.#all.add(this);
 *   }
 *   publish(message: Uint8Array, from?: Disposable): PublishReport {
 *     const others = [...Loopback.#all].filter((other) => other !== this);
 *     for (const other of others) other.#receivers.deliver(message, this.nodeId);
 *     this.#receivers.deliverLocally(message, this.nodeId, from);
 *     return { peers: others.length, dropped: 0 };
 *   }
 *   subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable {
 *     return this.#receivers.add(receive);
 *   }
 * }
 * ```
 */
export interface Backplane {
  /**
   * Largest message that it carries, in bytes of the encoded message; 16 MiB if left out. `Rooms`
   * refuses a larger one before it reaches anybody.
   */
  readonly maxMessageBytes?: number;
  /**
   * Identifies this node until it stops; a restarted node has another. Other nodes receive it as
   * `from`.
   */
  readonly nodeId?: string;
  /**
   * Queues a message for every other node, and gives it at once to every subscription on this node
   * except `from`. It returns without waiting. The bytes must not change afterwards, because a
   * backplane may keep them.
   *
   * @param from the subscription that publishes, which does not receive its own message.
   * @throws {FrameError} only for bytes that are not a message; see {@linkcode checkMessage}.
   */
  publish(message: Uint8Array, from?: Disposable): PublishReport;
  /**
   * Calls `receive` with every message from another node, and from other subscriptions on this
   * node, until the subscription is disposed. The bytes are lent for the duration of the call.
   *
   * `receive` throws a `FrameError` for a message that it cannot decode. The backplane drops,
   * counts and reports such a message.
   */
  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable;
  /**
   * Notes that a room has its first member on this node, so messages for it are wanted from now on.
   * A backplane without this method delivers the messages of all rooms.
   *
   * `join` calls it and does not wait: it must return at once, must not throw and must not call the
   * `Rooms` that calls it. It does not affect what this node publishes itself. Messages of other
   * nodes arrive once the announcement has reached them; {@linkcode ready} tells when.
   *
   * Calls for one room alternate with those of {@linkcode closeRoom}. Several `Rooms` may share a
   * backplane. Each makes its own calls, and the room stays wanted while one of them has it open.
   */
  openRoom?(room: string): void;
  /** Notes that the last member of a room on this node has left. See {@linkcode openRoom}. */
  closeRoom?(room: string): void;
  /**
   * Resolves when this node receives what reachable nodes publish from then on, for the rooms that
   * were open at the call.
   */
  ready?(): Promise<void>;
  // Generic, so that a class that extends `EventTarget` implements these methods.
  /** Calls `listener` whenever this node has missed messages. */
  addEventListener?<E extends MissedEvent>(type: "missed", listener: (event: E) => void): void;
  /** Calls `listener` whenever another node is gone. */
  addEventListener?<E extends NodeDownEvent>(type: "nodedown", listener: (event: E) => void): void;
  /** Removes a listener. */
  removeEventListener?<E extends MissedEvent>(type: "missed", listener: (event: E) => void): void;
  /** Removes a listener. */
  removeEventListener?<E extends NodeDownEvent>(
    type: "nodedown",
    listener: (event: E) => void,
  ): void;
}

/** What became of a published message. */
export interface PublishReport {
  /**
   * Nodes that the message was queued for. A broker does not say how many nodes it serves, so it
   * counts as one.
   */
  readonly peers: number;
  /**
   * Nodes that wanted the message and will not get it, because their queue is full or because they
   * cannot decode it. A broker that is out of reach counts as one.
   */
  readonly dropped: number;
}
