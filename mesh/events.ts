import type { FrameErrorCode } from "../codec/mod.ts";
import type { MeshErrorCode } from "./mesh_error.ts";

/** A link to another node, as it was when asked for. */
export interface PeerInfo {
  /** Full name, `local@host:port`. */
  readonly name: string;
  /**
   * 16 hexadecimal digits, chosen at random when the peer started: a restart shows in it. Empty for
   * a node of the original runtime.
   */
  readonly incarnation: string;
  /** True for a node of the original runtime. */
  readonly original: boolean;
  /** True if the link is encrypted. */
  readonly encrypted: boolean;
  /** Who dialled: `"outgoing"`, this node; `"incoming"`, the peer. */
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
  /** Room broadcasts that did not fit `maxQueuedBytes`, lost for this peer. */
  readonly dropped: number;
  /** Messages received that could not be decoded. */
  readonly malformed: number;
  /** Messages received with a tag that means nothing to roomcast. */
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
 * | `failed` | the connection broke |
 * | `heartbeat` | no answer to a ping in `heartbeatTimeoutMs`, while no bytes moved either way |
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

/**
 * An event of a mesh. What it tells stands in `detail`, as in every `CustomEvent`, and for
 * convenience on the event itself.
 */
export type MeshEvent<Detail> = CustomEvent<Detail> & Detail;

/** What each event of a mesh tells. */
export interface MeshEventDetails {
  /** A link has come up. */
  peerup: { readonly peer: PeerInfo };
  /**
   * A link is gone, with whatever was queued for it. With reason `replaced` the peer is connected
   * all the same: a `peerup` for its new link follows at once. `peers` always shows what is.
   */
  peerdown: { readonly peer: PeerInfo; readonly reason: PeerDownReason };
  /** A connection did not become a link, or a known node could not be reached. */
  refused: { readonly address: string; readonly code: MeshErrorCode };
  /** A message of a peer could not be decoded; it was dropped and the link goes on. */
  malformed: { readonly peer: PeerInfo; readonly code: FrameErrorCode };
  /**
   * A message did not fit what waits for a peer. Sent once when this begins, and again only after
   * half of the queue has drained; `dropped` counts all messages lost for the peer so far.
   */
  overflow: { readonly peer: PeerInfo; readonly dropped: number };
}

/** The events of a mesh, by name. */
export type MeshEventMap = {
  [Type in keyof MeshEventDetails]: MeshEvent<MeshEventDetails[Type]>;
};

/** Makes an event. */
export function meshEvent<Type extends keyof MeshEventDetails>(
  type: Type,
  detail: MeshEventDetails[Type],
): Event {
  return Object.assign(new CustomEvent(type, { detail }), detail);
}
