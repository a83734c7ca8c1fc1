import type { PresenceEntry } from "../codec/mod.ts";
import type { Entry } from "./_roster.ts";

/** Parts of a snapshot that has begun to arrive. */
export interface Assembly {
  readonly number: number;
  readonly parts: number;
  next: number;
  readonly entries: Map<number, PresenceEntry>;
  /** Something was refused because of a limit on what is held. */
  isIncomplete: boolean;
}

/** What is known of another instance. */
export interface Instance {
  readonly id: string;
  readonly node: string;
  /** Its entries, as they were after change `number`. */
  entries: Map<number, Entry>;
  /** -1: nothing is known yet. */
  number: number;
  /** The highest number that it has mentioned. Above `number`: something has been missed. */
  latest: number;
  /** Something was refused because of a limit on what is held. */
  isIncomplete: boolean;
  assembly: Assembly | undefined;
  heardAt: number;
  /** When it counts as gone, unless a message comes first. */
  deadline: number;
  /** The deadline has been extended since its last message. */
  isExtended: boolean;
  /** When to ask it for a snapshot. */
  askAt: number;
  /** When it was last asked. */
  askedAt: number;
  /** Heartbeats so far that showed that an answer is overdue. */
  hints: number;
  askDelayMs: number;
  /** It has been dropped. */
  isGone: boolean;
}
