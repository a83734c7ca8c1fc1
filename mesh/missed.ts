/** Decides who is told about broadcasts that did not arrive, and when (`docs/wire.md`, MISSED). */

import { MAX_MISSED } from "../codec/mod.ts";
import type { PeerDownReason } from "./events.ts";

/** Counts the broadcasts that were meant for the peer of one link and not queued. */
export class MissedCount {
  #count = 0;

  /** Counts a broadcast. The count stops at 2³²−1. */
  add(): void {
    if (this.#count < MAX_MISSED) this.#count++;
  }

  /** How many the peer has not been told about. */
  get count(): number {
    return this.#count;
  }

  /** Returns the count, and resets it to 0. */
  take(): number {
    const count = this.#count;
    this.#count = 0;
    return count;
  }
}

/** Names that are remembered until a link to them is up again. */
const MAX_NAMES = 1024;

/**
 * Links that have ended without a goodbye: what was on its way is lost, and nobody can tell how
 * much. That is reported at once, and again when a link to that name is up, because messages are
 * lost until then.
 */
export class LostLinks {
  readonly #names = new Set<string>();

  /**
   * Notes that a link has ended. Returns true if that must be reported.
   *
   * @param isSucceeded another link to the same incarnation has replaced it. Then one report is
   * enough, when the new link is up.
   */
  down(name: string, reason: PeerDownReason, isSucceeded: boolean): boolean {
    if (reason === "goodbye" || reason === "shut-down") return false;
    this.#names.add(name);
    if (this.#names.size > MAX_NAMES) this.#forgetOldest();
    return !isSucceeded;
  }

  /** Notes that a link is up. Returns true if earlier losses must be reported. */
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
