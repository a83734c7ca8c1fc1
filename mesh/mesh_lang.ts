/**
 * Nodes of the Mesh language runtime, and what is different for them:
 *
 * - They send no extension in the handshake, so they have neither incarnation nor features.
 * - Their proof covers only the other side's challenge, so somebody in the middle can pass it on. A
 *   node accepts such a proof only if it was started with `allowMeshLang`. Otherwise an attacker
 *   gains nothing by removing the extension from a message.
 * - They take messages of up to 16 MiB, and lose the link for a longer one.
 * - They have no rule for two links. As acceptor they refuse a name that they have a session with;
 *   given two sessions, they may keep both and use one. So they are never given two. While one of
 *   our dials is committed to such a node, or a link to it proves to be alive, its own dials get no
 *   ACK. They get one if that dial fails or the link is dead.
 * - For up to 500 ms after a session has ended, they still list it. During that time they get no
 *   ACK either.
 * - Their names may lack the port, and have an IPv6 host without brackets.
 * - If two of them dial each other at the same moment, the session ends half open. So of two of
 *   them, only the one with the larger name is told about the other.
 */

import { SESSION_MAX_FRAME_BYTES } from "../codec/mod.ts";
import type { Clock } from "../backplane/clock.ts";
import type { NodeIdentity, Proofs } from "./handshake.ts";
import { MeshError } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import type { Peers } from "./peers.ts";
import type { PendingHandshakes } from "./pending_handshakes.ts";
import type { Connection } from "./transport.ts";

/**
 * Most bytes of one write to such a node: whole frames, and so few that the system takes all of
 * them at once. Such a node loses the stream if more than 100 ms pass inside a frame. The rest of a
 * longer write would wait for this event loop, which could cost the link. For our own nodes, longer
 * writes are faster.
 */
export const MESH_LANG_SEGMENT_BYTES: number = 48 * 1024;

/** True for a node of the Mesh runtime. */
export function isMeshLang({ incarnation }: { readonly incarnation: string }): boolean {
  return incarnation === "";
}

/** The identity of a node that has sent no extension. */
export function meshLangIdentity(name: string): NodeIdentity {
  return { name, incarnation: "", features: 0 };
}

/** The error for a node that has sent no extension and therefore is not let in. */
export function meshLangRefused(name: string, { remoteAddress }: Connection): MeshError {
  const message = `${name} at ${formatAddress(remoteAddress)} uses the Mesh runtime's handshake, ` +
    `which is not accepted`;
  return new MeshError("mesh-lang-handshake", name, message);
}

/** Each side's proof covers the other's challenge. Bound proofs never cover just these 32 bytes. */
export function meshLangProofs(acceptorsChallenge: Uint8Array): Proofs {
  return { byReply: () => acceptorsChallenge, byAck: ({ challenge }) => challenge };
}

/** The longest message that a cluster with such nodes carries, in bytes. */
export function meshLangLimit(maxMessageBytes: number): number {
  return Math.min(maxMessageBytes, SESSION_MAX_FRAME_BYTES);
}

/**
 * How long after the end of a session such a node may still list it, with a margin. When it cleans
 * up, it removes whichever session has that name, and leaves the new one half open.
 */
const DEAD_SESSION_MS = 600;

/** When sessions with such nodes last ended. */
export class DeadSessions {
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #endedAt = new Map<string, number>();

  /** Counts from the start of this node: an earlier node of its name had ended by then. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  /** A link to a node has ended. */
  ended(name: string): void {
    const now = this.#clock.now();
    for (const [name, at] of this.#endedAt) {
      if (now - at > DEAD_SESSION_MS) this.#endedAt.delete(name);
    }
    this.#endedAt.set(name, now);
  }

  /** How long a node may still list a session that has ended, in milliseconds. */
  leftMs(name: string): number {
    const endedAt = Math.max(this.#startedAt, this.#endedAt.get(name) ?? 0);
    return Math.max(0, Math.ceil(endedAt + DEAD_SESSION_MS - this.#clock.now()));
  }
}

/**
 * What such a node must wait for when it dials, if anything: the end of our own dial, or the answer
 * to a ping on the existing link. It resolves to true if that link stays.
 */
export function meshLangRival(
  peer: NodeIdentity,
  pending: PendingHandshakes,
  peers: Peers,
): Promise<boolean> | undefined {
  const dial = pending.committedTo(peer);
  return dial?.over.then(() => false) ?? peers.get(peer.name)?.probe();
}
