import {
  decodePresenceChanges,
  decodePresenceEntries,
  FrameError,
  type PresenceChange,
  type PresenceChanges,
  type PresenceEntry,
  type PresenceHead,
  type PresenceSnapshot,
} from "../codec/mod.ts";
import type { Assembly, Instance } from "./_instance.ts";
import { Budget, type PresenceLimits } from "./_limits.ts";
import type { Entry, Roster } from "./_roster.ts";

/** A question waits for a random part of this time, so that it can name several instances. */
export const ASK_GATHER_MS = 20;

/** Time after which a question without an answer is repeated. It doubles each time. */
export const ASK_RETRY_MS = 2_000;

/** Longest time between two questions. */
export const MAX_ASK_RETRY_MS = 10_000;

/**
 * An answer takes less time than this, and comes before any later heartbeat. So a heartbeat this
 * long after a question shows that the question or the answer was lost, or that the other node is
 * very busy.
 */
export const ANSWER_MS = 100;

/**
 * Heartbeats that may lead to another question. A busy node must not be asked more and more often.
 */
const MAX_HINTS = 2;

/** After lost messages, another question comes at least this long after the previous one. */
const MISSED_RETRY_MS = 250;

/** An instance that was silent for longer may have been out of reach. */
const SILENCE_MS = 2_000;

/** Options of a {@linkcode Replica}. */
export interface ReplicaOptions {
  /** Time without a message after which an instance counts as gone, in milliseconds. */
  readonly timeoutMs: number;
  readonly limits: PresenceLimits;
  /** Asks instances for snapshots. */
  readonly ask: (instances: readonly string[]) => void;
  /** A number from 0 up to but not including 1. */
  readonly random: () => number;
}

/**
 * What the other instances have announced.
 *
 * Each instance is the only authority on its entries, and its messages arrive in the order in which it
 * sent them, possibly with gaps. So there is nothing to merge. A change is applied if its number is
 * the next; otherwise the instance is asked for a snapshot. Its entries stay as they were until the
 * snapshot is complete. Then new entries are added before old ones are removed, so nobody seems to
 * leave and come back.
 */
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #roster: Roster;
  readonly #instances = new Map<string, Instance>();
  /** Instances by node, for those whose node has a name. */
  readonly #nodes = new Map<string, Set<Instance>>();
  readonly #held: Budget;
  readonly #staged: Budget;
  #refused = 0;
  #gaps = 0;
  #dueAt = Infinity;
  #askedAllAt = -Infinity;

  /** Starts without any instance. */
  constructor(roster: Roster, options: ReplicaOptions) {
    this.#roster = roster;
    this.#options = options;
    this.#held = new Budget(options.limits);
    this.#staged = new Budget(options.limits);
  }

  /** Instances that are known. */
  get instanceCount(): number {
    return this.#instances.size;
  }

  /** Entries of these instances. */
  get entryCount(): number {
    return this.#held.entries;
  }

  /** Entries and instances refused so far because of a limit. */
  get refused(): number {
    return this.#refused;
  }

  /** How often it has missed something so far and asked for a snapshot. */
  get gaps(): number {
    return this.#gaps;
  }

  /** True while a snapshot has arrived only in part. */
  get isReceiving(): boolean {
    for (const { assembly } of this.#instances.values()) if (assembly !== undefined) return true;
    return false;
  }

  /** When {@linkcode step} must be called. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /**
   * Takes a message of another instance, which runs on `node`. Its head has been decoded.
   *
   * @throws {FrameError} if it is malformed, or beyond a limit. What fits has been applied.
   */
  receive(head: PresenceHead, bytes: Uint8Array, node: string, now: number): void {
    if (head.kind === "gone") return this.#drop(this.#find(head.instance, node));
    const instance = this.#find(head.instance, node) ?? this.#meet(head.instance, node, now);
    // While it was out of reach, no question reached it.
    if (now - instance.heardAt > SILENCE_MS) this.#resetQuestion(instance);
    instance.heardAt = now;
    instance.deadline = now + this.#options.timeoutMs;
    instance.isExtended = false;
    try {
      if (head.kind === "heartbeat") this.#receiveHeartbeat(instance, head.number);
      else if (head.kind === "changes") this.#receiveChanges(instance, head, bytes);
      else if (head.kind === "snapshot") this.#receiveSnapshot(instance, head, bytes, now);
    } finally {
      // A message that was refused is missed, like one that was lost.
      this.#wantIfBehind(instance, now);
      if (head.kind === "heartbeat") this.#askIfOverdue(instance, now);
      this.#dueAt = Math.min(this.#dueAt, instance.deadline, instance.askAt);
    }
  }

  /** Messages were lost. A question or its answer may be among them, so it is asked again soon. */
  missed(now: number): void {
    for (const instance of this.#instances.values()) {
      if (instance.askAt === Infinity || now - instance.askedAt < MISSED_RETRY_MS) continue;
      instance.askDelayMs = ASK_RETRY_MS;
      instance.hints = 0;
      instance.askAt = Math.min(instance.askAt, now + this.#options.random() * ASK_GATHER_MS);
      this.#dueAt = Math.min(this.#dueAt, instance.askAt);
    }
  }

  /** Notes that everybody has been asked. */
  askedAll(now: number): void {
    this.#askedAllAt = now;
  }

  /** Drops all instances of a node, which is down. */
  nodeDown(node: string): void {
    for (const instance of this.#nodes.get(node) ?? []) this.#drop(instance);
  }

  /**
   * Drops instances that were silent for too long, and asks for what is missing.
   *
   * `isLate` says that this call comes much too late, because this process was frozen. Messages may
   * be waiting unread, so every deadline is extended, but only once until the next message of the
   * instance.
   */
  step(now: number, isLate: boolean): void {
    const wanted: string[] = [];
    let dueAt = Infinity;
    for (const instance of [...this.#instances.values()]) {
      if (isLate && !instance.isExtended) {
        instance.isExtended = true;
        instance.deadline = Math.max(instance.deadline, now + this.#options.timeoutMs);
      }
      if (now >= instance.deadline) {
        this.#drop(instance);
        continue;
      }
      if (now >= instance.askAt) {
        wanted.push(instance.id);
        instance.askedAt = now;
        instance.askAt = now + instance.askDelayMs;
        instance.askDelayMs = Math.min(2 * instance.askDelayMs, MAX_ASK_RETRY_MS);
      }
      dueAt = Math.min(dueAt, instance.deadline, instance.askAt);
    }
    this.#dueAt = dueAt;
    if (wanted.length > 0) this.#options.ask(wanted);
  }

  /** Forgets everybody, without any event. */
  clear(): void {
    for (const instance of this.#instances.values()) instance.isGone = true;
    this.#instances.clear();
    this.#nodes.clear();
    this.#dueAt = Infinity;
  }

  #find(id: string, node: string): Instance | undefined {
    const instance = this.#instances.get(id);
    if (instance === undefined || instance.node === node) return instance;
    throw new FrameError("wrong-node", 1, `presence instance ${id} belongs to another node`);
  }

  #meet(id: string, node: string, now: number): Instance {
    const { limits } = this.#options;
    const siblings = this.#nodes.get(node) ?? new Set();
    if (this.#instances.size >= limits.maxInstances) {
      throw this.#refuse(1, `there are ${limits.maxInstances} other instances of presence already`);
    }
    if (node !== "" && siblings.size >= limits.maxInstancesPerNode) {
      throw this.#refuse(1, `its node has ${limits.maxInstancesPerNode} instances already`);
    }
    const instance: Instance = {
      id,
      node,
      entries: new Map(),
      number: -1,
      latest: 0,
      isIncomplete: false,
      assembly: undefined,
      heardAt: now,
      deadline: now,
      isExtended: false,
      askAt: Infinity,
      askedAt: -Infinity,
      hints: 0,
      askDelayMs: ASK_RETRY_MS,
      isGone: false,
    };
    this.#instances.set(id, instance);
    if (node !== "") this.#nodes.set(node, siblings.add(instance));
    return instance;
  }

  #drop(instance: Instance | undefined): void {
    if (instance === undefined || instance.isGone) return;
    instance.isGone = true;
    const { id, node, entries } = instance;
    this.#instances.delete(id);
    const siblings = this.#nodes.get(node);
    siblings?.delete(instance);
    if (siblings?.size === 0) this.#nodes.delete(node);
    this.#abandon(instance);
    for (const entry of entries.values()) this.#held.release(entry);
    this.#removeAll(entries);
  }

  #mentioned(instance: Instance, number: number): void {
    instance.latest = Math.max(instance.latest, number);
  }

  #wantIfBehind(instance: Instance, now: number): void {
    const isBehind = instance.number < instance.latest;
    if (!isBehind && !(instance.isIncomplete && this.#held.isLow)) {
      this.#resetQuestion(instance);
    } else if (instance.askAt === Infinity) {
      if (instance.number >= 0) this.#gaps++;
      // A new instance may have received the question to everybody.
      const isAsked = instance.number < 0 && now < this.#askedAllAt + ASK_RETRY_MS;
      if (isAsked) instance.askedAt = this.#askedAllAt;
      instance.askAt = isAsked
        ? this.#askedAllAt + ASK_RETRY_MS
        : now + this.#options.random() * ASK_GATHER_MS;
    }
  }

  #askIfOverdue(instance: Instance, now: number): void {
    const isDueSoon = instance.askAt <= now + ASK_GATHER_MS;
    if (instance.askAt === Infinity || isDueSoon || instance.assembly !== undefined) return;
    if (instance.hints >= MAX_HINTS || now - instance.askedAt < ANSWER_MS) return;
    instance.hints++;
    instance.askAt = Math.min(instance.askAt, now + this.#options.random() * ASK_GATHER_MS);
  }

  #resetQuestion(instance: Instance): void {
    instance.askAt = Infinity;
    instance.hints = 0;
    instance.askDelayMs = ASK_RETRY_MS;
  }

  #receiveHeartbeat(instance: Instance, number: number): void {
    // It has never had entries, so there is nothing to ask for.
    if (number === 0 && instance.number < 0) instance.number = 0;
    this.#mentioned(instance, number);
  }

  #receiveChanges(instance: Instance, { first, count }: PresenceChanges, bytes: Uint8Array): void {
    const last = first + count - 1;
    this.#mentioned(instance, last);
    const { assembly } = instance;
    // No change is sent between two parts, so the missing parts are lost.
    if (assembly !== undefined && last > assembly.number) this.#abandon(instance);
    const known = instance.number;
    if (known < 0 || first > known + 1 || last <= known) return;
    const changes = decodePresenceChanges(bytes);
    instance.number = last;
    let refused = 0;
    for (const change of changes.slice(known + 1 - first)) {
      if (!this.#apply(instance, change)) refused++;
    }
    this.#countRefused(instance, refused);
  }

  /** Returns false if a limit prevents it. */
  #apply(instance: Instance, change: PresenceChange): boolean {
    const { entries } = instance;
    const key = typeof change === "number" ? change : change.key;
    const previous = entries.get(key);
    if (typeof change !== "number" && previous && isSame(previous, change)) {
      return this.#fits(change) && this.#changeMeta(instance, previous, change.meta);
    }
    if (previous !== undefined) {
      entries.delete(key);
      this.#held.release(previous);
    }
    const isAccepted = typeof change === "number" || this.#accept(instance, change);
    // It is removed after its replacement was added, as on the node that tracks it.
    if (previous !== undefined) this.#remove(previous);
    return isAccepted;
  }

  #accept(instance: Instance, entry: PresenceEntry): boolean {
    if (!this.#fits(entry)) return false;
    if (this.#held.take(entry)) {
      this.#add(instance.entries, entry);
      return true;
    }
    instance.isIncomplete = true;
    return false;
  }

  #changeMeta(instance: Instance, entry: Entry, meta: string): boolean {
    const { room, id } = entry;
    this.#held.release(entry);
    const fits = this.#held.take({ room, id, meta });
    if (fits) {
      entry.meta = meta;
    } else {
      this.#held.take(entry);
      instance.isIncomplete = true;
    }
    return fits;
  }

  #add(entries: Map<number, Entry>, { key, room, id, meta }: PresenceEntry): void {
    entries.set(key, this.#roster.add(room, id, meta));
    this.#roster.settle();
  }

  #remove(entry: Entry): void {
    this.#roster.remove(entry);
    this.#roster.settle();
  }

  #removeAll(entries: Map<number, Entry>): void {
    for (const entry of entries.values()) this.#remove(entry);
  }

  /** The sender's own limits may be larger. */
  #fits({ id, meta }: PresenceEntry): boolean {
    const { maxIdBytes, maxMetaBytes } = this.#options.limits;
    return id.length <= maxIdBytes && meta.length <= maxMetaBytes;
  }

  #receiveSnapshot(
    instance: Instance,
    { number, part, parts }: PresenceSnapshot,
    bytes: Uint8Array,
    now: number,
  ): void {
    this.#mentioned(instance, number);
    const isNews = number > instance.number ||
      (number === instance.number && instance.isIncomplete);
    if (!isNews || number < instance.latest) return;
    if (part === 0) {
      this.#abandon(instance);
      const entries = new Map<number, PresenceEntry>();
      instance.assembly = { number, parts, next: 0, entries, isIncomplete: false };
    }
    const { assembly } = instance;
    if (assembly === undefined) return;
    if (assembly.number !== number || assembly.parts !== parts || part > assembly.next) {
      return this.#abandon(instance);
    }
    if (part < assembly.next) return;
    let refused = 0;
    for (const entry of decodePresenceEntries(bytes)) {
      if (!this.#stage(assembly, entry)) refused++;
    }
    assembly.next = part + 1;
    // More is on its way, so there is no need to ask again yet.
    instance.askAt = now + ASK_RETRY_MS;
    try {
      this.#countRefused(instance, refused);
    } finally {
      if (assembly.next === parts) this.#replace(instance, assembly);
    }
  }

  #stage(assembly: Assembly, entry: PresenceEntry): boolean {
    const { entries } = assembly;
    if (!this.#fits(entry)) return false;
    const previous = entries.get(entry.key);
    if (previous !== undefined) this.#staged.release(previous);
    if (this.#staged.take(entry)) {
      entries.set(entry.key, entry);
      return true;
    }
    entries.delete(entry.key);
    assembly.isIncomplete = true;
    return false;
  }

  #abandon(instance: Instance): void {
    for (const entry of instance.assembly?.entries.values() ?? []) this.#staged.release(entry);
    instance.assembly = undefined;
  }

  /** Replaces the entries of an instance with those of a complete snapshot. */
  #replace(instance: Instance, { number, entries: staged, isIncomplete }: Assembly): void {
    const before = instance.entries;
    const entries = new Map<number, Entry>();
    this.#abandon(instance);
    instance.entries = entries;
    instance.number = number;
    for (const entry of before.values()) this.#held.release(entry);
    let refused = 0;
    for (const [key, entry] of staged) {
      if (this.#held.take(entry)) continue;
      staged.delete(key);
      refused++;
    }
    instance.isIncomplete = isIncomplete || refused > 0;
    for (const entry of staged.values()) {
      const previous = before.get(entry.key);
      if (previous !== undefined && isSame(previous, entry)) {
        previous.meta = entry.meta;
        entries.set(entry.key, previous);
        before.delete(entry.key);
      } else {
        this.#add(entries, entry);
      }
    }
    this.#removeAll(before);
    this.#countRefused(instance, refused);
  }

  #countRefused(instance: Instance, refused: number): void {
    if (refused > 0) throw this.#refuse(refused, `${refused} entries of ${instance.id} do not fit`);
  }

  #refuse(count: number, why: string): FrameError {
    this.#refused += count;
    return new FrameError("over-limit", 0, `presence refuses a message: ${why}`);
  }
}

function isSame(entry: Entry, { room, id }: PresenceEntry): boolean {
  return entry.room === room && entry.id === id;
}
