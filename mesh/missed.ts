/** Who is told, and when, of broadcasts that did not arrive (`docs/wire.md`, MISSED). */

import { MAX_MISSED } from "../codec/mod.ts";
import type { PeerDownReason } from "./events.ts";

/** Counts, for one link, the broadcasts that were meant for the peer and not queued. */
export class MissedCount {
  #count = 0;

  /** Counts one more. The count stops at 2³²−1. */
  add(): void {
    if (this.#count < MAX_MISSED) this.#count++;
  }

  /** How many the peer has not been told of. */
  get count(): number {
    return this.#count;
  }

  /** The count, which begins again at 0. */
  take(): number {
    const count = this.#count;
    this.#count = 0;
    return count;
  }
}

/** Names that are remembered until a link to them is up again. */
const MAX_NAMES = 1024;

/**
 * Links that have ended without a goodbye: what was on its way is lost, and nobody can tell how much.
 * That is to be reported at once, and again when a link to that name is up: only then has everything
 * been said that this node could not hear.
 */
export class LostLinks {
  readonly #names = new Set<string>();

  /**
   * Notes that a link has ended. True: report it.
   *
   * @param isSucceeded another link to the same incarnation has taken its place. Then one report is
   * enough: that when this link is up.
   */
  down(name: string, reason: PeerDownReason, isSucceeded: boolean): boolean {
    if (reason === "goodbye" || reason === "shut-down") return false;
    this.#names.add(name);
    if (this.#names.size > MAX_NAMES) this.#forgetOldest();
    return !isSucceeded;
  }

  /** Notes that a link is up. True: report what was lost before. */
  up(name: string): boolean {
    return this.#names.delete(name);
  }

  #forgetOldest(): void {
    for (const name of this.#names) {
      this.#names.delete(name);
      return;
    }
  }
}
