/**
 * Which of two links to one node is kept (`docs/wire.md`, "Two links between the same two nodes").
 * Both ends decide alike, because the decision depends only on what both know.
 */

import { isSmallerName } from "./node_name.ts";

/** A link, or a handshake that would become one, as both of its ends know it. */
export interface Contender {
  /** The peer's incarnation; empty for a node of the Mesh runtime. */
  readonly incarnation: string;
  /** Name of the node that dialled. */
  readonly initiator: string;
}

/** What to do with a newcomer. */
export type Admission = "accept" | "replace" | "refuse" | "duplicate";

/**
 * Judges a handshake that would become a second link to a node.
 *
 * @param current the existing link, if there is one.
 * @param superseded incarnations of the node that others have already replaced.
 */
export function admit(
  current: Contender | undefined,
  newcomer: Contender,
  superseded: ReadonlySet<string>,
): Admission {
  if (current === undefined) return "accept";
  // A node of the Mesh runtime, restarted or not. The caller has checked that the current link is
  // alive, so if that link is to a node with an incarnation, there are two nodes.
  if (newcomer.incarnation === "") return current.incarnation === "" ? "refuse" : "duplicate";
  if (current.incarnation !== newcomer.incarnation) {
    // A restarted node never returns to an old incarnation. If a replaced incarnation comes back,
    // both are alive: two nodes have the same name, and would replace each other for ever.
    return superseded.has(newcomer.incarnation) ? "duplicate" : "replace";
  }
  // The same node dialled twice. It does so only when the first link is dead on its side.
  if (current.initiator === newcomer.initiator) return "replace";
  // Both dialled at once.
  return isSmallerName(newcomer.initiator, current.initiator) ? "replace" : "refuse";
}
