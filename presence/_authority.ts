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

/** Largest message, in bytes. It keeps a receiver busy for some milliseconds at most. */
export const MAX_MESSAGE_BYTES: number = 256 * 1024;

/**
 * A snapshot waits for a random part of this time, so that one snapshot answers several questions,
 * and nodes do not all answer at once.
 */
export const ANSWER_GATHER_MS = 50;

/** Least time between two snapshots. Otherwise questions could keep this node busy. */
export const MIN_ANSWER_INTERVAL_MS = 250;

/** After a large snapshot, the next one waits longer, so that snapshots stay below this rate. */
const MAX_ANSWER_BYTES_PER_MS = 1024;

/**
 * A heartbeat that others need soon waits for a random part of this time. It is also the least time
 * between two such heartbeats.
 */
export const HELLO_GATHER_MS = 50;

/** Most parts of a snapshot. */
const MAX_PARTS = 0xffff;

/** Options of an {@linkcode Authority}. */
export interface AuthorityOptions extends PresenceSender {
  /**
   * Largest message that can be sent, in bytes. It may change, because a broker states its limit
   * only when it is reached.
   */
  readonly maxMessageBytes: number;
  /** Time without a message after which one is sent, in milliseconds. */
  readonly heartbeatIntervalMs: number;
  /** Sends a message to every other instance. */
  readonly send: (message: Uint8Array) => void;
  /** A number from 0 up to but not including 1. */
  readonly random: () => number;
}

/**
 * What this instance announces. No other instance may announce it. The others follow its numbered
 * changes, and ask for a snapshot when they have missed one.
 *
 * Changes are gathered until `flush`. A snapshot is sent when `step` finds it due, once for all
 * questions that have come by then.
 */
export class Authority {
  readonly #options: AuthorityOptions;
  readonly #overhead: number;
  readonly #entries = new Map<number, PresenceEntry>();
  /** Bytes of all entries in a snapshot. */
  #entryBytes = 0;
  #number = 0;
  #lastKey = 0;
  #pending: PresenceChange[] = [];
  #pendingBytes = 0;
  #heartbeatAt: number;
  #answerAt = Infinity;
  /** When the next snapshot may be sent. */
  #answerFrom = -Infinity;
  #helloAt = -Infinity;

  /** Begins without entries. */
  constructor(options: AuthorityOptions, now: number) {
    this.#options = options;
    this.#overhead = presenceOverhead(options);
    this.#heartbeatAt = now + options.heartbeatIntervalMs;
  }

  /** When {@linkcode step} must be called. */
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
   * Checks that another entry can be announced.
   *
   * @throws {FrameError} `message-too-long` if it alone does not fit a message, `over-limit` if a
   * snapshot would have too many parts, and what {@linkcode presenceEntryLength} throws.
   */
  check(texts: Omit<PresenceEntry, "key">): void {
    const size = presenceEntryLength(texts);
    if (size + 1 > this.#maxBytes) {
      throw new FrameError(
        "message-too-long",
        this.#maxBytes,
        `presence entry has ${size} bytes, at most ${this.#maxBytes - 1} fit into a message`,
      );
    }
    // Two neighbouring parts together hold more than one part can, which bounds their number.
    if (2 * (this.#entryBytes + size) / this.#maxBytes + 1 <= MAX_PARTS) return;
    throw new FrameError(
      "over-limit",
      0,
      `presence has ${this.#entries.size} entries on this node, no more fit into a snapshot`,
    );
  }

  /** A key for a new entry. No key is used twice: see the note on maps in `_roster.ts`. */
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

  /** Announces that an entry is gone. */
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
    this.#answerAt = Math.max(now, this.#answerFrom) + this.#options.random() * ANSWER_GATHER_MS;
  }

  /** Somebody may not know of this instance, or may have missed some of its messages. */
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

  /** Announces that all entries are gone, and ends. */
  gone(now: number): void {
    this.#pending = [];
    this.#entries.clear();
    this.#send(encodePresence({ kind: "gone", ...this.#sender }), now);
    this.#heartbeatAt = Infinity;
    this.#answerAt = Infinity;
  }

  /** What is left for entries in a message of either kind, in bytes. */
  get #maxBytes(): number {
    return Math.min(this.#options.maxMessageBytes, MAX_MESSAGE_BYTES) - this.#overhead;
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
    this.#answerFrom = now +
      Math.max(MIN_ANSWER_INTERVAL_MS, this.#entryBytes / MAX_ANSWER_BYTES_PER_MS);
    const parts = this.#cut();
    // Sending may run code of the application, which may track somebody.
    const number = this.#number;
    for (const [part, entries] of parts.entries()) {
      const head = { ...this.#sender, number, part, parts: parts.length };
      this.#send(encodePresenceSnapshot(head, entries), now);
    }
  }

  /** All entries, in lists that each fit into a message. */
  #cut(): PresenceEntry[][] {
    let part: PresenceEntry[] = [];
    const parts = [part];
    const maxBytes = this.#maxBytes;
    let bytes = 0;
    for (const entry of this.#entries.values()) {
      const size = presenceEntryLength(entry);
      if (bytes + size > maxBytes || part.length === PRESENCE_MAX_COUNT) {
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
    // The message has the number that a heartbeat would have, so the next heartbeat can wait.
    this.#heartbeatAt = now + this.#options.heartbeatIntervalMs;
    this.#options.send(message);
  }
}
