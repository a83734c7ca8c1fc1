import {
  decodePresenceHead,
  FrameError,
  type PresenceEntry,
  presenceTextLength,
} from "../codec/mod.ts";
import { Authority } from "./_authority.ts";
import type { PresenceLimits } from "./_limits.ts";
import { Replica } from "./_replica.ts";
import { type Entry, Roster, type RosterEvents } from "./_roster.ts";

/** If a step comes later than this share of the timeout, this process was frozen or busy. */
const LATE_SHARE = 0.2;

/** Options of a {@linkcode Core}. */
export interface CoreOptions extends RosterEvents {
  /** This instance's id: 16 hexadecimal digits. */
  readonly instance: string;
  /** The `nodeId` of the backplane; empty if it has none. */
  readonly node: string;
  /** Largest message that can be sent, in bytes, as it is at the moment. */
  readonly maxMessageBytes: number;
  /** Time without a message after which one is sent, in milliseconds. */
  readonly heartbeatIntervalMs: number;
  /** Time without a message after which another instance counts as gone, in milliseconds. */
  readonly timeoutMs: number;
  readonly limits: PresenceLimits;
  /** Sends a message to every other instance. */
  readonly send: (message: Uint8Array) => void;
  /** Gets what is wrong with a message that had to wait, so that its sender is no longer there to hear. */
  readonly onError: (error: unknown) => void;
  /** A number from 0 up to but not including 1. */
  readonly random: () => number;
}

/** A socket in a room, as this node tracks it. */
export interface Tracked {
  readonly key: number;
  /** Undefined while it is not tracked. */
  entry: Entry | undefined;
}

/** What is tracked of a socket. */
export type Texts = Omit<PresenceEntry, "key">;

/**
 * One instance: what it announces, what others have announced, and who is where as a result. It has
 * no clock and no sockets. It is told the time, and calls the functions in its options.
 *
 * Those functions may call it back, because an application may track somebody when it hears of
 * somebody else. A message that arrives meanwhile waits until the current one has been applied.
 */
export class Core {
  readonly roster: Roster;
  readonly #options: CoreOptions;
  readonly #authority: Authority;
  readonly #replica: Replica;
  readonly #inputs: (() => void)[] = [];
  #isBusy = false;
  #hasEnded = false;
  /** When the next step is due at the latest. If it comes much later, the process was frozen. */
  #tickAt: number;

  /** Begins at `now`, without entries or other instances. */
  constructor(options: CoreOptions, now: number) {
    this.#options = options;
    this.roster = new Roster(options);
    this.#authority = new Authority(options, now);
    const ask = (instances: readonly string[]) => this.#authority.ask(instances);
    this.#replica = new Replica(this.roster, { ...options, ask });
    this.#tickAt = now + options.heartbeatIntervalMs;
  }

  /** When {@linkcode step} must be called, in milliseconds. Any call may make it sooner. */
  get dueAt(): number {
    return Math.min(this.#tickAt, this.#authority.dueAt, this.#replica.dueAt);
  }

  /** True if changes wait for {@linkcode flush}. */
  get hasPending(): boolean {
    return this.#authority.hasPending;
  }

  /** Other instances that are known. */
  get instanceCount(): number {
    return this.#replica.instanceCount;
  }

  /** Entries of this instance. */
  get localEntryCount(): number {
    return this.#authority.entryCount;
  }

  /** Entries of other instances. */
  get remoteEntryCount(): number {
    return this.#replica.entryCount;
  }

  /** Entries and instances of others that were refused because of a limit. */
  get refused(): number {
    return this.#replica.refused;
  }

  /** How often it has missed messages of others and asked for a snapshot. */
  get gaps(): number {
    return this.#replica.gaps;
  }

  /** True while a snapshot has arrived only in part. */
  get isReceiving(): boolean {
    return this.#replica.isReceiving;
  }

  /** Announces this instance to all others, and asks for their entries. */
  start(now: number): void {
    if (this.#hasEnded) return;
    this.#authority.heartbeat(now);
    this.#authority.ask([]);
    this.#replica.askedAll(now);
  }

  /** A handle for a socket in a room, which is not tracked yet. */
  newTracked(): Tracked {
    return { key: this.#authority.newKey(), entry: undefined };
  }

  /**
   * Checks that {@linkcode track} can take this.
   *
   * @throws {FrameError} `id-too-long`, `meta-too-long`, or as `Authority.check`.
   */
  check(texts: Texts): void {
    const { maxIdBytes, maxMetaBytes } = this.#options.limits;
    checkSize("id", texts.id, maxIdBytes);
    checkSize("meta", texts.meta, maxMetaBytes);
    this.#authority.check(texts);
  }

  /** Tracks a socket in a room. It replaces what was tracked under this handle before. */
  track(tracked: Tracked, texts: Texts, now: number): void {
    if (this.#hasEnded) return;
    const { room, id, meta } = texts;
    this.#authority.track({ key: tracked.key, ...texts }, now);
    const previous = tracked.entry;
    if (previous?.id === id && previous.room === room) {
      previous.meta = meta;
      return;
    }
    tracked.entry = this.roster.add(room, id, meta);
    this.#guard(() => {
      // The new entry comes first, as it does on other nodes.
      this.roster.settle();
      if (previous === undefined) return;
      this.roster.remove(previous);
      this.roster.settle();
    });
  }

  /** Stops tracking a socket in a room. */
  untrack(tracked: Tracked, now: number): void {
    const { key, entry } = tracked;
    if (this.#hasEnded || entry === undefined) return;
    tracked.entry = undefined;
    this.#authority.untrack(key, now);
    this.roster.remove(entry);
    this.#guard(() => this.roster.settle());
  }

  /** Sends the changes since it was last called. */
  flush(now: number): void {
    this.#authority.flush(now);
  }

  /**
   * Takes a message. The bytes are only lent.
   *
   * @param from the node that it comes from, if the backplane says so.
   * @throws {FrameError} if it is malformed, or beyond a limit.
   */
  receive(bytes: Uint8Array, from: string | undefined, now: number): void {
    if (this.#isBusy) {
      const copy = bytes.slice();
      this.#inputs.push(() => this.#receive(copy, from, now));
    } else {
      this.#enter(() => this.#receive(bytes, from, now));
    }
  }

  /** A node is down. */
  nodeDown(node: string): void {
    this.#enter(() => this.#replica.nodeDown(node));
  }

  /** Messages were lost, or a node that may not know of this instance is within reach again. */
  missed(now: number): void {
    if (this.#hasEnded) return;
    this.#authority.hello(now);
    this.#replica.missed(now);
  }

  /** Does what is due. */
  step(now: number): void {
    this.#enter(() => {
      if (this.#hasEnded) return;
      const { heartbeatIntervalMs, timeoutMs } = this.#options;
      const lateMs = now - this.#tickAt;
      if (lateMs >= 0) this.#tickAt = now + heartbeatIntervalMs;
      this.#authority.step(now);
      this.#replica.step(now, lateMs > LATE_SHARE * timeoutMs);
    });
  }

  /** Says goodbye and forgets everybody, without any event. */
  end(now: number): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#replica.clear();
    this.roster.close();
    this.#authority.gone(now);
    this.#tickAt = Infinity;
  }

  #receive(bytes: Uint8Array, from: string | undefined, now: number): void {
    if (this.#hasEnded) return;
    const head = decodePresenceHead(bytes);
    const { instance, node: self } = this.#options;
    const node = from ?? head.node;
    if (head.instance === instance) {
      // An echo of this instance's own message, unless another node uses its id.
      if (node === self) return;
      throw new FrameError(
        "wrong-node",
        1,
        `another node uses the id of presence instance ${instance}`,
      );
    }
    const isForMe = head.kind === "ask" &&
      (head.instances.length === 0 || head.instances.includes(instance));
    if (isForMe) this.#authority.asked(now);
    this.#replica.receive(head, bytes, node, now);
  }

  /** Handles an input, after those before it. */
  #enter(input: () => void): void {
    if (this.#isBusy) this.#inputs.push(input);
    else this.#guard(input);
  }

  /** Does something that may run code of the application, and then handles what came in meanwhile. */
  #guard(act: () => void): void {
    if (this.#isBusy) return act();
    this.#isBusy = true;
    try {
      act();
    } finally {
      this.#catchUp();
      this.#isBusy = false;
    }
  }

  /** Handles what has waited. Whoever is here now has nothing to do with its faults. */
  #catchUp(): void {
    for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
      try {
        next();
      } catch (error) {
        this.#options.onError(error);
      }
    }
  }
}

function checkSize(what: "id" | "meta", text: string, maxBytes: number): void {
  const size = presenceTextLength(text);
  if (size <= maxBytes) return;
  throw new FrameError(
    `${what}-too-long`,
    maxBytes,
    `${what} has ${size} bytes, at most ${maxBytes} are allowed`,
  );
}
