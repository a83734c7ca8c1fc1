import { decodePresenceHead, FrameError, presenceTextLength } from "../codec/mod.ts";
import { Authority } from "./_authority.ts";
import type { PresenceLimits } from "./_limits.ts";
import { Replica } from "./_replica.ts";
import { type Entry, Roster, type RosterEvents } from "./_roster.ts";

/** How late a step may come, as a share of the timeout, before that is this node's own delay. */
const LATE_SHARE = 0.2;

/** Options of a {@linkcode Core}. */
export interface CoreOptions extends RosterEvents {
  /** This instance's id: 16 hexadecimal digits. */
  readonly instance: string;
  /** What the backplane calls this node; empty if it has no name for it. */
  readonly node: string;
  /** Largest message that can be sent, in bytes. */
  readonly maxMessageBytes: number;
  /** Time without a message after which one is sent, in milliseconds. */
  readonly heartbeatIntervalMs: number;
  /** Time without a message after which another instance counts as gone, in milliseconds. */
  readonly timeoutMs: number;
  readonly limits: PresenceLimits;
  /** Sends a message to every other instance. */
  readonly send: (message: Uint8Array) => void;
  /** A number from 0 up to but not including 1. */
  readonly random: () => number;
}

/** A socket in a room, as this node tracks it. */
export interface Tracked {
  readonly key: number;
  entry: Entry;
}

/**
 * One instance: what it announces, what others have announced, and who is where for that. It knows
 * neither clock nor sockets; it is told the time, and says by its options' functions what to do.
 *
 * Those may call it again: an application may track somebody when it hears of somebody else. What
 * comes from outside meanwhile waits until what came before has been applied.
 */
export class Core {
  readonly roster: Roster;
  readonly #options: CoreOptions;
  readonly #authority: Authority;
  readonly #replica: Replica;
  readonly #inputs: (() => void)[] = [];
  #isBusy = false;
  #hasEnded = false;
  /** When a step was last promised to be needed. */
  #dueAt: number;

  /** Begins at `now`, alone and with nobody. */
  constructor(options: CoreOptions, now: number) {
    this.#options = options;
    this.roster = new Roster(options);
    this.#authority = new Authority(options, now);
    const ask = (instances: readonly string[]) => this.#authority.ask(instances);
    this.#replica = new Replica(this.roster, { ...options, ask });
    this.#dueAt = this.#authority.dueAt;
  }

  /** When {@linkcode step} is to be called, in milliseconds; it may become sooner by any call. */
  get dueAt(): number {
    return Math.min(this.#authority.dueAt, this.#replica.dueAt);
  }

  /** True if changes wait for {@linkcode flush}. */
  get hasPending(): boolean {
    return this.#authority.hasPending;
  }

  /** Other instances that are known. */
  get instanceCount(): number {
    return this.#replica.instanceCount;
  }

  /** Entries of other instances. */
  get remoteEntryCount(): number {
    return this.#replica.entryCount;
  }

  /** Entries and instances of others that were refused for a limit. */
  get refused(): number {
    return this.#replica.refused;
  }

  /** How often messages of others were missed, and a snapshot asked for. */
  get gaps(): number {
    return this.#replica.gaps;
  }

  /** Lets everybody know of this instance, and asks for what they have. */
  start(now: number): void {
    if (this.#hasEnded) return;
    this.#authority.heartbeat(now);
    this.#authority.ask([]);
  }

  /**
   * Tracks a socket in a room, in place of what `previous` says of it.
   *
   * @throws {FrameError} `id-too-long`, `meta-too-long`, or as `Authority.check`.
   */
  track(
    texts: { room: string; id: string; meta: string },
    previous: Tracked | undefined,
    now: number,
  ): Tracked {
    const { room, id, meta } = texts;
    const { maxIdBytes, maxMetaBytes } = this.#options.limits;
    checkSize("id", id, maxIdBytes);
    checkSize("meta", meta, maxMetaBytes);
    this.#authority.check(texts);
    const key = previous?.key ?? this.#authority.newKey();
    this.#authority.track({ key, ...texts }, now);
    if (previous === undefined) return { key, entry: this.roster.add(room, id, meta) };
    if (previous.entry.id === id) {
      previous.entry.meta = meta;
    } else {
      this.roster.remove(previous.entry);
      previous.entry = this.roster.add(room, id, meta);
    }
    return previous;
  }

  /** Ends what {@linkcode track} has begun. */
  untrack({ key, entry }: Tracked, now: number): void {
    if (this.#hasEnded) return;
    this.#authority.untrack(key, now);
    this.roster.remove(entry);
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

  /** Messages have been lost, or somebody has been out of reach who may not know of this instance. */
  missed(now: number): void {
    if (!this.#hasEnded) this.#authority.hello(now);
  }

  /** Does what is due, and gives when it is to be called again. */
  step(now: number): void {
    this.#enter(() => {
      if (this.#hasEnded) return;
      const lateMs = now - this.#dueAt;
      this.#authority.step(now);
      this.#replica.step(now, lateMs > LATE_SHARE * this.#options.timeoutMs);
      this.#dueAt = this.dueAt;
    });
  }

  /** Says good-bye, and forgets everybody. Nobody is told of by events. */
  end(now: number): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#replica.clear();
    this.roster.clear();
    this.#authority.gone(now);
  }

  #receive(bytes: Uint8Array, from: string | undefined, now: number): void {
    if (this.#hasEnded) return;
    const head = decodePresenceHead(bytes);
    const { instance, node: self } = this.#options;
    const node = from ?? head.node;
    if (head.instance === instance) {
      // An echo of what this instance has said, or somebody who pretends to be it.
      if (node === self) return;
      throw new FrameError("wrong-node", 1, `another node sends as presence instance ${instance}`);
    }
    const isForMe = head.kind === "ask" &&
      (head.instances.length === 0 || head.instances.includes(instance));
    if (isForMe) this.#authority.asked(now);
    this.#replica.receive(head, bytes, node, now);
  }

  /** Handles one input after the other: applying one runs code of the application. */
  #enter(input: () => void): void {
    this.#inputs.push(input);
    if (this.#isBusy) return;
    this.#isBusy = true;
    let failure: { readonly error: unknown } | undefined;
    for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
      try {
        next();
      } catch (error) {
        failure ??= { error };
      }
    }
    this.#isBusy = false;
    if (failure !== undefined) throw failure.error;
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
