import type {
  MalformedEvent,
  MissedEvent,
  NodeDownEvent,
  OverflowEvent,
  RefusedEvent,
} from "../backplane/events.ts";
import type { MeshErrorCode } from "./mesh_error.ts";

/** A snapshot of a link to another node. */
export interface PeerInfo {
  /** Full name, `local@host:port`. */
  readonly name: string;
  /**
   * 16 hexadecimal digits, chosen at random when the peer started, so a restart changes it. Empty
   * for a node of the Mesh runtime.
   */
  readonly incarnation: string;
  /** True for a node of the Mesh runtime. */
  readonly meshLang: boolean;
  /** True if the link is encrypted. */
  readonly encrypted: boolean;
  /** Who dialled: this node (`"outgoing"`) or the peer (`"incoming"`). */
  readonly direction: "outgoing" | "incoming";
  /** When the link came up, in milliseconds since 1970. */
  readonly since: number;
  /** Bytes read. */
  readonly bytesIn: number;
  /** Bytes written. */
  readonly bytesOut: number;
  /** Room broadcasts received. */
  readonly messagesIn: number;
  /** Room broadcasts queued for the peer. */
  readonly messagesOut: number;
  /** Bytes that wait to be written. */
  readonly queuedBytes: number;
  /**
   * Room broadcasts that this peer did not get: they did not fit `maxQueuedBytes`, or it cannot decode
   * them.
   */
  readonly dropped: number;
  /** Messages received that could not be decoded. */
  readonly malformed: number;
  /** Messages received with a tag that roomcast does not know. */
  readonly ignored: number;
  /** Time from the last ping to its pong in milliseconds; undefined before the first. */
  readonly roundTripMs: number | undefined;
}

/**
 * Why a link is gone.
 *
 * | reason | meaning |
 * | --- | --- |
 * | `goodbye` | the peer has shut down |
 * | `closed` | the peer closed the connection, or its process ended |
 * | `failed` | the connection broke; see `cause` |
 * | `heartbeat` | no answer to a ping in `heartbeatTimeoutMs`, and nothing else from the peer |
 * | `frame-too-long` | the peer sent a frame above `maxMessageBytes`; the stream cannot be trusted |
 * | `replaced` | a newer link to the peer took its place |
 * | `shut-down` | this node has been shut down |
 */
export type PeerDownReason =
  | "goodbye"
  | "closed"
  | "failed"
  | "heartbeat"
  | "frame-too-long"
  | "replaced"
  | "shut-down";

/** A link has come up. */
export class PeerUpEvent extends Event {
  /** The link as it is now. */
  readonly peer: PeerInfo;

  /** Makes a `peerup` event. */
  constructor(peer: PeerInfo) {
    super("peerup");
    this.peer = peer;
  }
}

/**
 * A link is gone, with whatever was queued for it. With reason `replaced` the peer is still
 * connected: a `peerup` for its new link follows at once.
 */
export class PeerDownEvent extends Event {
  /** The link as it was at its end. */
  readonly peer: PeerInfo;
  /** Why it ended. */
  readonly reason: PeerDownReason;
  /** The error that ended it, if there was one. Usually an `Error`. */
  readonly cause: unknown;

  /** Makes a `peerdown` event. */
  constructor(peer: PeerInfo, reason: PeerDownReason, cause?: unknown) {
    super("peerdown");
    this.peer = peer;
    this.reason = reason;
    this.cause = cause;
  }
}

/**
 * A peer does not know a kind of message, because it runs an older roomcast or the Mesh runtime, so
 * it does not get those broadcasts. The event is dispatched once for each link.
 */
export class UnsupportedEvent extends Event {
  /** The link. */
  readonly peer: PeerInfo;
  /** The tag of the first such message: `ROOM_MESSAGE` or `ROOM_CLOSE`. */
  readonly tag: number;

  /** Makes an `unsupported` event. */
  constructor(peer: PeerInfo, tag: number) {
    super("unsupported");
    this.peer = peer;
    this.tag = tag;
  }
}

/** The events of a mesh, by type. */
export interface MeshEventMap {
  /** A link has come up. */
  peerup: PeerUpEvent;
  /** A link is gone. */
  peerdown: PeerDownEvent;
  /** A connection did not become a link, or a known node could not be reached. */
  refused: RefusedEvent<MeshErrorCode>;
  /** A message of a peer could not be decoded. */
  malformed: MalformedEvent<PeerInfo>;
  /** A message did not fit the queue of a link. */
  overflow: OverflowEvent<PeerInfo>;
  /**
   * Messages of a peer did not reach this node. With a count, the peer had no space for that many.
   * Without a count, a link has ended without a goodbye, or a link to that node is up again. `from`
   * is the incarnation of `peer`.
   */
  missed: MissedEvent<PeerInfo>;
  /** A peer does not know a kind of message. */
  unsupported: UnsupportedEvent;
  /** A node is gone. A link that is replaced by another to the same node does not count. */
  nodedown: NodeDownEvent;
}
