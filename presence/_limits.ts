/** How much this node holds of what others announce. Anything beyond is refused and counted. */
export interface PresenceLimits {
  /** Largest id, in bytes of UTF-8 for the ids of this node, in UTF-16 units for those of others. */
  readonly maxIdBytes: number;
  /** Largest meta, counted in the same way. */
  readonly maxMetaBytes: number;
  /** Entries of all other instances together. As many again may be held while snapshots arrive. */
  readonly maxEntries: number;
  /** UTF-16 units of room, id and meta of all these entries together. */
  readonly maxTextUnits: number;
  /** Other instances. */
  readonly maxInstances: number;
  /** Instances of one node. */
  readonly maxInstancesPerNode: number;
}

/**
 * The default limits. They are far above what a cluster needs, and a process survives reaching
 * them.
 */
export const LIMITS: PresenceLimits = {
  maxIdBytes: 256,
  maxMetaBytes: 4_096,
  maxEntries: 1_000_000,
  maxTextUnits: 128 * 1024 * 1024,
  maxInstances: 1_024,
  maxInstancesPerNode: 16,
};

/** What counts against a limit. */
export interface Texts {
  readonly room: string;
  readonly id: string;
  readonly meta: string;
}

/** Counts what is held against its limits. */
export class Budget {
  readonly #maxEntries: number;
  readonly #maxTextUnits: number;
  #entries = 0;
  #textUnits = 0;

  /** Begins with nothing. */
  constructor({ maxEntries, maxTextUnits }: PresenceLimits) {
    this.#maxEntries = maxEntries;
    this.#maxTextUnits = maxTextUnits;
  }

  /** Entries that are held. */
  get entries(): number {
    return this.#entries;
  }

  /** True if no more than half of what is allowed is held. */
  get isLow(): boolean {
    return 2 * this.#entries <= this.#maxEntries && 2 * this.#textUnits <= this.#maxTextUnits;
  }

  /** Takes what an entry needs. Returns false if that is too much. */
  take(texts: Texts): boolean {
    const units = unitsOf(texts);
    if (this.#entries >= this.#maxEntries || this.#textUnits + units > this.#maxTextUnits) {
      return false;
    }
    this.#entries++;
    this.#textUnits += units;
    return true;
  }

  /** Releases what {@linkcode take} has taken. */
  release(texts: Texts): void {
    this.#entries--;
    this.#textUnits -= unitsOf(texts);
  }
}

function unitsOf({ room, id, meta }: Texts): number {
  return room.length + id.length + meta.length;
}
