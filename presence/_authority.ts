import {
  encodePresence,
  encodePresenceChanges,
  encodePresenceSnapshot,
  FrameError,
  PRESENCE_INSTANCE_BYTES,
  PRESENCE_MAX_COUNT,
  type PresenceChange,
  presenceChangeLength,
  type PresenceEntry,
  presenceEntryLength,
  presenceOverhead,
  type PresenceSender,
} from "../codec/mod.ts";

/** Largest message, in bytes: receivers are busy with one for some milliseconds at most. */
export const MAX_MESSAGE_BYTES = 256 * 1024;

/** What a snapshot is waited with, at random within this: more may ask, and not all answer at once. */
export const ANSWER_GATHER_MS = 50;

/** Time between two snapshots, so that those who ask cannot keep this node busy. */
export const MIN_ANSWER_INTERVAL_MS = 250;

/** What a heartbeat that somebody needs is waited with, at random within this. */
export const HELLO_GATHER_MS = 50;

/** Parts that a snapshot may have. */
const MAX_PARTS = 0xffff;

/** Options of an {@linkcode Authority}. */
export interface AuthorityOptions extends PresenceSender {
  /** Largest message that can be sent, in bytes. */
  readonly maxMessageBytes: number;
  /** Time without a message after which one is sent, in milliseconds. */
  readonly heartbeatIntervalMs: number;
  /** Sends a message to every other instance. */
  readonly send: (message: Uint8Array) => void;
  /** A number from 0 up to but not including 1. */
  readonly random: () => number;
}

/**
 * What this instance announces: the only one that may. Others follow its numbered changes, and ask for
 * a snapshot when they have missed one.
 *
 * Changes are gathered until {@linkcode flush}, snapshots until {@linkcode step} finds them due:
 * one answer for all who have asked.
 */
export class Authority {
  readonly #options: AuthorityOptions;
  readonly #maxBytes: number;
  readonly #entries = new Map<number, PresenceEntry>();
  /** Bytes of all entries in a snapshot. */
  #entryBytes = 0;
  #number = 0;
  #lastKey = 0;
  #pending: PresenceChange[] = [];
  #pendingBytes = 0;
  #heartbeatAt: number;
  #answerAt = Infinity;
  #answeredAt = -Infinity;
  #helloAt = -Infinity;

  /** Begins without entries. */
  constructor(options: AuthorityOptions, now: number) {
    this.#options = options;
    // Room for entries of one message, whatever kind it is.
    this.#maxBytes = Math.min(options.maxMessageBytes, MAX_MESSAGE_BYTES) -
      presenceOverhead(options);
    this.#heartbeatAt = now + options.heartbeatIntervalMs;
  }

  /** When {@linkcode step} is to be called. */
  get dueAt(): number {
    return Math.min(this.#heartbeatAt, this.#answerAt);
  }

  /** Entries that are announced. */
  get entryCount(): number {
    return this.#entries.size;
  }

  /** True if changes wait for {@linkcode flush}. */
  get hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /**
   * Checks that an entry can be announced, besides those that are.
   *
   * @throws {FrameError} `message-too-long` if it alone does not fit a message, `over-limit` if all
   * entries no longer fit a snapshot, and as {@linkcode presenceEntryLength} does.
   */
  check(texts: Omit<PresenceEntry, "key">): void {
    const size = presenceEntryLength(texts);
    if (size + 1 > this.#maxBytes) {
      throw new FrameError(
        "message-too-long",
        this.#maxBytes,
        `presence entry has ${size} bytes, the backplane leaves ${this.#maxBytes - 1} for one`,
      );
    }
    // Two parts in succession hold more than one part can, so there are never more than this.
    if (2 * (this.#entryBytes + size) / this.#maxBytes + 1 <= MAX_PARTS) return;
    throw new FrameError(
      "over-limit",
      0,
      `presence has ${this.#entries.size} entries on this node, a snapshot holds no more`,
    );
  }

  /** A key for a new entry. None is used twice: see the note on maps in `_roster.ts`. */
  newKey(): number {
    return ++this.#lastKey;
  }

  /** Announces an entry that {@linkcode check} has accepted, in place of the one with this key. */
  track(entry: PresenceEntry, now: number): void {
    const { key } = entry;
    const previous = this.#entries.get(key);
    if (previous !== undefined) this.#entryBytes -= presenceEntryLength(previous);
    this.#entries.set(key, entry);
    this.#entryBytes += presenceEntryLength(entry);
    this.#change(entry, now);
  }

  /** Announces that an entry has gone. */
  untrack(key: number, now: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#entryBytes -= presenceEntryLength(entry);
    this.#change(key, now);
  }

  /** Sends the changes that have been gathered. */
  flush(now: number): void {
    if (this.#pending.length === 0) return;
    const changes = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    const first = this.#number - changes.length + 1;
    this.#send(encodePresenceChanges({ ...this.#sender, first }, changes), now);
  }

  /** Somebody has asked for a snapshot. */
  asked(now: number): void {
    if (this.#answerAt < Infinity) return;
    const earliest = Math.max(now, this.#answeredAt + MIN_ANSWER_INTERVAL_MS);
    this.#answerAt = earliest + this.#options.random() * ANSWER_GATHER_MS;
  }

  /** Somebody may not know of this instance, or may have missed something of it. */
  hello(now: number): void {
    const earliest = Math.max(now, this.#helloAt + HELLO_GATHER_MS);
    const at = earliest + this.#options.random() * HELLO_GATHER_MS;
    this.#heartbeatAt = Math.min(this.#heartbeatAt, at);
  }

  /** Asks instances for snapshots: all of them if the list is empty. */
  ask(instances: readonly string[]): void {
    const most = Math.max(1, Math.floor(this.#maxBytes / PRESENCE_INSTANCE_BYTES));
    for (let at = 0; at === 0 || at < instances.length; at += most) {
      const some = instances.slice(at, at + most);
      this.#options.send(encodePresence({ kind: "ask", ...this.#sender, instances: some }));
    }
  }

  /** Sends a heartbeat. */
  heartbeat(now: number): void {
    this.flush(now);
    this.#helloAt = now;
    this.#send(encodePresence({ kind: "heartbeat", ...this.#sender, number: this.#number }), now);
  }

  /** Sends what is due. */
  step(now: number): void {
    if (now >= this.#answerAt) this.#answer(now);
    if (now >= this.#heartbeatAt) this.heartbeat(now);
  }

  /** Says that all entries have gone, and that there will be no others. */
  gone(now: number): void {
    this.#pending = [];
    this.#entries.clear();
    this.#send(encodePresence({ kind: "gone", ...this.#sender }), now);
    this.#heartbeatAt = Infinity;
    this.#answerAt = Infinity;
  }

  get #sender(): PresenceSender {
    const { instance, node } = this.#options;
    return { instance, node };
  }

  #change(change: PresenceChange, now: number): void {
    const size = presenceChangeLength(change);
    const isFull = this.#pendingBytes + size > this.#maxBytes ||
      this.#pending.length === PRESENCE_MAX_COUNT;
    if (isFull) this.flush(now);
    this.#number++;
    this.#pending.push(change);
    this.#pendingBytes += size;
  }

  #answer(now: number): void {
    this.flush(now);
    this.#answerAt = Infinity;
    this.#answeredAt = now;
    const parts = this.#cut();
    for (const [part, entries] of parts.entries()) {
      const head = { ...this.#sender, number: this.#number, part, parts: parts.length };
      this.#send(encodePresenceSnapshot(head, entries), now);
    }
  }

  /** All entries, in as many lists as it takes to send them. */
  #cut(): PresenceEntry[][] {
    let part: PresenceEntry[] = [];
    const parts = [part];
    let bytes = 0;
    for (const entry of this.#entries.values()) {
      const size = presenceEntryLength(entry);
      if (bytes + size > this.#maxBytes || part.length === PRESENCE_MAX_COUNT) {
        part = [];
        parts.push(part);
        bytes = 0;
      }
      part.push(entry);
      bytes += size;
    }
    return parts;
  }

  #send(message: Uint8Array, now: number): void {
    // The number in it says what a heartbeat would: that can wait.
    this.#heartbeatAt = now + this.#options.heartbeatIntervalMs;
    this.#options.send(message);
  }
}
