/**
 * A backplane to other machines that one of several workers holds for all: the *gateway*. With
 * `deno serve --parallel` a process is then one node of the mesh, at one address, however many cores
 * it uses.
 *
 * ```text
 *   worker ──┐                                    ┌── worker
 *   worker ──┼── gateway ══════ mesh ══════ gateway ──┼── worker
 *   worker ──┘   (a worker too)                    └── worker
 * ```
 *
 * **Who is the gateway.** The worker that has the lock `roomcast.<cluster>.gateway` of the Web Locks
 * API. Only one can have it, and it is free at the moment when its holder shuts down or ends, however
 * it ends; the next in line takes it and connects. There is no timeout to wait for, and never a time
 * with two gateways. A worker that cannot connect gives the lock to the next and tries again, 250 ms
 * to 30 s later.
 *
 * **Each message crosses once.** A worker hands what it publishes to the one worker that it takes for
 * the gateway, by its identity, and no other passes it on. What comes from outside the gateway hands
 * to all workers; they deliver, and pass nothing on. Between themselves workers need another
 * backplane, `broadcastChannelBackplane`; `compose` makes one of the two.
 *
 * **When the gateway changes.** One that shuts down says so, and passes on what it is handed until
 * every other worker has heard that, for a second at most; what comes later, `unconfirmed` or
 * `undelivered` counts. One that ends without a word takes with it what it was handed and had not
 * read, which the `gatewaydown` event of each worker counts; what workers hand to the next may wait
 * for two seconds, until the one that has ended counts as stuck. Until the next is there, messages to the
 * outside are reported as dropped, and those from outside are lost to this process: their senders
 * know it as a node that is away.
 *
 * Reports: on the gateway that of its link; on another worker the outside counts as one. What the
 * gateway could not pass on for others, its `undelivered` event counts.
 *
 * @module
 */

import type { FrameErrorCode } from "../codec/mod.ts";
import type { Backplane, PublishReport } from "../rooms/mod.ts";
import { checkBroadcast } from "./_check_broadcast.ts";
import { describe, platformRandom, requireMethods } from "./_options.ts";
import { Overflow } from "./_overflow.ts";
import { Receivers } from "./_receivers.ts";
import type { Lane, WorkerChannel } from "./_worker_channel.ts";
import { openWorkerChannel, resolveWorkerOptions, type WorkerSettings } from "./_worker_options.ts";
import type { BroadcastChannelOptions } from "./broadcast_channel.ts";
import { backplaneEvent, type BackplaneEventTarget } from "./events.ts";

export type { BackplaneTimers } from "./broker_backplane.ts";
export type { BackplaneEvent, BackplaneEventTarget } from "./events.ts";
export type { BroadcastChannelOptions, ChannelPort } from "./broadcast_channel.ts";

/** A backplane to the outside, as the gateway holds it: a mesh, for instance. */
export interface GatewayLink extends Backplane {
  /** Ends it. It must not come back. */
  shutdown(): Promise<void>;
}

/** What is needed of the Web Locks API. */
export interface GatewayLocks {
  /** Calls `callback` when the lock is free, and holds it until what that returns has resolved. */
  request(
    name: string,
    options: { signal: AbortSignal },
    callback: () => Promise<void>,
  ): Promise<unknown>;
}

/** Options of {@linkcode gatewayBackplane}. */
export interface GatewayOptions extends BroadcastChannelOptions {
  /**
   * Connects with the outside: called on the worker that becomes the gateway. What it resolves to
   * must reconnect by itself, carry all rooms (no `interest: "room"`), and be the same whichever
   * worker makes it: with `startMesh`, the same name. It may take 30 s, after which the lock goes to
   * the next in line, and a link that comes late is shut down. `signal` is aborted then, and if the
   * worker shuts down meanwhile.
   */
  connect: (signal: AbortSignal) => Promise<GatewayLink>;
  /** Default: `navigator.locks`. */
  locks?: GatewayLocks;
}

/** What each event of a gateway backplane tells. */
export interface GatewayEventDetails {
  /** A worker is the gateway now, and connected: this one if it is `here`. */
  gatewayup: { readonly worker: string; readonly here: boolean };
  /**
   * A worker is the gateway no longer. `unconfirmed` counts the messages that this worker had handed
   * to it and that it may not have read: each may have been passed on or be lost.
   */
  gatewaydown: { readonly worker: string; readonly here: boolean; readonly unconfirmed: number };
  /** This worker had the lock, and could not connect; or its link could not be shut down. */
  refused: { readonly cause: unknown };
  /** Messages of other workers that this one could not pass on: its link dropped them, or is gone. */
  undelivered: { readonly messages: number };
  /** Messages from outside that this worker was too slow for; at most so many, for some workers. */
  missed: { readonly messages: number };
  /** Something that came from another worker could not be decoded, and was dropped. */
  malformed: { readonly code: FrameErrorCode };
  /**
   * Messages did not fit what waits for other workers (`maxQueuedBytes`). `dropped` counts all
   * messages dropped so far, for whatever reason.
   */
  overflow: { readonly dropped: number };
}

/** What has gone through a gateway backplane so far. */
export interface GatewayStats {
  /** Messages from outside that have arrived at this worker. */
  readonly messagesIn: number;
  /** Messages of this worker on their way to the outside. */
  readonly messagesOut: number;
  /** Messages of other workers that this one has passed on. */
  readonly relayed: number;
  /** Messages of this worker that did not leave it, since there was no gateway or too much waited. */
  readonly dropped: number;
  /** Messages of other workers that this one could not pass on. */
  readonly undelivered: number;
  /** Messages handed to a gateway that was gone before it had said that it has read them. */
  readonly unconfirmed: number;
  /** Messages from outside that this worker was too slow for. */
  readonly missed: number;
  /** What could not be decoded. */
  readonly malformed: number;
}

/**
 * A backplane to the outside, shared by the workers of one process.
 *
 * Events: `gatewayup`, `gatewaydown`, `refused`, `undelivered`, `missed`, `malformed`, `overflow`;
 * see {@linkcode GatewayEventDetails} for what each tells.
 */
export interface GatewayBackplane
  extends BackplaneEventTarget<GatewayEventDetails>, Backplane, AsyncDisposable {
  /** Identity of this worker, 16 hexadecimal digits. */
  readonly id: string;
  /** Identity of the worker that is the gateway; undefined while there is none. */
  readonly gateway: string | undefined;
  /** Largest message that {@linkcode publish} takes, in bytes: that of the link, once it is known. */
  readonly maxMessageBytes: number;
  /** What has gone through so far. */
  readonly stats: GatewayStats;
  /**
   * Hands an encoded ROOM_BROADCAST to the outside, and returns at once. On the gateway the report
   * is that of its link. On other workers the outside counts as one: `peers` if there is a gateway,
   * `dropped` if there is none or too much waits for it.
   *
   * @throws {FrameError} `wrong-tag`, `truncated`, `trailing-bytes` if it is no room broadcast,
   * `message-too-long` above `maxMessageBytes`.
   */
  publish(message: Uint8Array): PublishReport;
  /** See {@linkcode Backplane.subscribe}. What `receive` throws but `FrameError` is an uncaught error. */
  subscribe(receive: (message: Uint8Array) => void): void;
  /**
   * Leaves. A gateway passes on what it was handed, shuts its link down and gives the lock away.
   * Resolves when nothing is left running; a `connect` that does not heed its signal is waited for 2 s
   * at most. May be called again.
   */
  shutdown(): Promise<void>;
}

/**
 * Makes this worker's end of a backplane that one worker holds for all.
 *
 * @throws {TypeError} for an option of the wrong shape, or where there are no Web Locks.
 * @throws {RangeError} for an option out of range.
 *
 * @example
 * ```ts
 * import { Rooms, startMesh } from "@roomcast/roomcast";
 * import { broadcastChannelBackplane } from "@roomcast/roomcast/backplanes/broadcast-channel";
 * import { compose } from "@roomcast/roomcast/backplanes/compose";
 * import { gatewayBackplane } from "@roomcast/roomcast/backplanes/gateway";
 *
 * const cluster = "chat";
 * const cookie = "a secret of at least 16 bytes";
 * await using workers = broadcastChannelBackplane({ cluster });
 * await using machines = gatewayBackplane({
 *   cluster,
 *   connect: () => startMesh({ name: "chat-1@127.0.0.1:0", cookie }),
 * });
 * const rooms = new Rooms({ backplane: compose(workers, machines) });
 * ```
 */
export function gatewayBackplane(options: GatewayOptions): GatewayBackplane {
  const { connect, locks = (navigator as { locks?: GatewayLocks }).locks } = options;
  if (typeof connect !== "function") {
    throw new TypeError(`connect must be a function, got ${describe(connect)}`);
  }
  if (locks === undefined) {
    throw new TypeError("locks must be given where navigator.locks (Web Locks) is missing");
  }
  requireMethods("locks", locks, ["request"]);
  return new Gateway(options, locks);
}

/** How long others may wait for a worker that has the lock to connect. */
const CONNECT_LIMIT_MS = 30_000;

/** How long a worker that shuts down waits for a link that is being made. */
const LEAVE_LIMIT_MS = 2_000;

/** How long others may take to hear that the gateway leaves. */
const HANDOVER_LIMIT_MS = 1_000;

/** Between attempts to connect: exponential, with full jitter. */
const MIN_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;

/** What a worker says of itself to the others. */
interface WorkerState {
  /**
   * `"up"`: it is the gateway. `"leaving"`: it passes on what it is handed before others have heard
   * this. `"connecting"`: it has the lock, so that no other is the gateway any more.
   */
  readonly role: "up" | "leaving" | "connecting" | undefined;
  /** The last worker that it has heard to be leaving, and hands nothing any more. */
  readonly left: string | undefined;
  /** With `"up"`: the largest message that its link takes. */
  readonly maxMessageBytes: number | undefined;
}

class Gateway extends EventTarget implements GatewayBackplane {
  readonly id: string;
  readonly #options: GatewayOptions;
  readonly #settings: WorkerSettings;
  readonly #locks: GatewayLocks;
  readonly #channel: WorkerChannel;
  readonly #receivers = new Receivers();
  /** The gateway, as far as this worker knows. */
  #gateway: string | undefined;
  #gatewayMaxMessageBytes: number | undefined;
  /** A gateway that leaves, and may still be reading what it was handed. */
  #leaving: string | undefined;
  /** The last worker that was heard to be leaving. */
  #left: string | undefined;
  /** Those of the others that have heard this one to be leaving. */
  readonly #leftBy = new Set<string>();
  #link: GatewayLink | undefined;
  #role: WorkerState["role"];
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #wakeUp: () => void = () => {};
  #onLeftChange: () => void = () => {};
  #shutdown: Promise<void> | undefined;
  #newlyUndelivered = 0;
  readonly #overflow: Overflow;
  #messagesIn = 0;
  #messagesOut = 0;
  #relayed = 0;
  #dropped = 0;
  #undelivered = 0;
  #unconfirmed = 0;
  #missed = 0;
  #malformed = 0;

  constructor(options: GatewayOptions, locks: GatewayLocks) {
    super();
    this.#options = options;
    this.#settings = resolveWorkerOptions(options);
    this.#locks = locks;
    this.#overflow = new Overflow(
      this.#settings.maxQueuedBytes,
      () => this.#emit("overflow", { dropped: this.#dropped }),
    );
    this.id = this.#settings.id;
    this.#channel = openWorkerChannel(this.#name, this.#settings, {
      onMessage: (message, lane) => this.#onMessage(message, lane),
      onPeerUp: () => {},
      onPeerDown: (id, _reason, unread) => this.#onPeerDown(id, unread),
      onState: (id, state) => this.#onState(id, state),
      onMissed: (_id, messages, lane) => this.#onMissed(messages, lane),
      onMalformed: ({ code }) => {
        this.#malformed++;
        this.#emit("malformed", { code });
      },
    });
    this.#running = this.#run();
  }

  get gateway(): string | undefined {
    return this.#link === undefined ? this.#gateway : this.id;
  }

  get maxMessageBytes(): number {
    const { maxMessageBytes } = this.#settings;
    const known = this.#link?.maxMessageBytes ?? this.#gatewayMaxMessageBytes ?? maxMessageBytes;
    return Math.min(maxMessageBytes, known);
  }

  get stats(): GatewayStats {
    return {
      messagesIn: this.#messagesIn,
      messagesOut: this.#messagesOut,
      relayed: this.#relayed,
      dropped: this.#dropped,
      undelivered: this.#undelivered,
      unconfirmed: this.#unconfirmed,
      missed: this.#missed,
      malformed: this.#malformed,
    };
  }

  publish(message: Uint8Array): PublishReport {
    checkBroadcast(message, this.maxMessageBytes);
    if (this.#shutdown !== undefined) return { peers: 0, dropped: 0 };
    if (this.#link !== undefined) {
      const report = this.#link.publish(message);
      if (report.peers > 0) this.#messagesOut++;
      return report;
    }
    this.#overflow.update(this.#channel.queuedBytes);
    if (this.#gateway !== undefined && this.#channel.send(message, this.#gateway)) {
      this.#messagesOut++;
      return { peers: 1, dropped: 0 };
    }
    if (this.#gateway !== undefined) this.#overflow.happened();
    this.#dropped++;
    return { peers: 0, dropped: 1 };
  }

  subscribe(receive: (message: Uint8Array) => void): void {
    this.#receivers.add(receive);
  }

  shutdown(): Promise<void> {
    this.#shutdown ??= this.#stop();
    return this.#shutdown;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  get #name(): string {
    return `roomcast.${this.#settings.cluster}.gateway`;
  }

  /** Waits for the lock, again and again until the end. */
  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.#locks.request(this.#name, { signal }, async () => {
          failures = await this.#hold() ? 0 : failures + 1;
        });
      } catch (cause) {
        if (signal.aborted) return;
        failures++;
        this.#emit("refused", { cause });
      }
      if (failures > 0) await this.#pause(failures);
    }
  }

  /** Is the gateway, until the end. False: could not become it. */
  async #hold(): Promise<boolean> {
    this.#setRole("connecting");
    try {
      const link = await this.#connect();
      if (link !== undefined) await this.#serve(link);
      return link !== undefined;
    } finally {
      this.#setRole(undefined);
    }
  }

  /** Undefined: there is no link, which has been told unless the worker shuts down. */
  async #connect(): Promise<GatewayLink | undefined> {
    const { timers } = this.#settings;
    const { signal } = this.#stopping;
    const attempt = new AbortController();
    const late = Promise.withResolvers<never>();
    const giveUp = (cause: unknown) => {
      attempt.abort(cause);
      late.reject(cause);
    };
    let timer = timers.setTimeout(
      () => giveUp(new Error(`connect has taken more than ${CONNECT_LIMIT_MS / 1_000} s`)),
      CONNECT_LIMIT_MS,
    );
    const onStop = () => {
      attempt.abort(signal.reason);
      // A link that is nearly there is better shut down before this worker says that it has ended.
      timers.clearTimeout(timer);
      timer = timers.setTimeout(() => giveUp(signal.reason), LEAVE_LIMIT_MS);
    };
    signal.addEventListener("abort", onStop);
    if (signal.aborted) onStop();
    try {
      return await Promise.race([this.#open(attempt.signal), late.promise]);
    } catch (cause) {
      if (!signal.aborted) this.#emit("refused", { cause });
      return undefined;
    } finally {
      timers.clearTimeout(timer);
      signal.removeEventListener("abort", onStop);
    }
  }

  /** A link that can be used, and is wanted still. */
  async #open(signal: AbortSignal): Promise<GatewayLink> {
    signal.throwIfAborted();
    const link = await this.#options.connect(signal);
    requireMethods("connect: the link", link, ["publish", "subscribe", "shutdown"]);
    try {
      signal.throwIfAborted();
      if (link.openRoom !== undefined) {
        throw new TypeError("connect: the link must carry all rooms, as one for several workers");
      }
      link.subscribe((message) => this.#onOutside(message));
      return link;
    } catch (cause) {
      await this.#end(link);
      throw cause;
    }
  }

  async #serve(link: GatewayLink): Promise<void> {
    const { signal } = this.#stopping;
    this.#link = link;
    this.#setRole("up");
    this.#emit("gatewayup", { worker: this.id, here: true });
    if (!signal.aborted) await new Promise<void>((resolve) => this.#wakeUp = resolve);
    this.#setRole("leaving");
    await this.#leftByAll();
    this.#link = undefined;
    await this.#end(link);
    this.#emit("gatewaydown", { worker: this.id, here: true, unconfirmed: 0 });
  }

  async #end(link: GatewayLink): Promise<void> {
    try {
      await link.shutdown();
    } catch (cause) {
      this.#emit("refused", { cause });
    }
  }

  /**
   * Resolves when no worker hands anything to this one any more. Each says so behind the last that it
   * has handed over, so that has been read by then.
   */
  async #leftByAll(): Promise<void> {
    const { timers } = this.#settings;
    let late = false;
    const timer = timers.setTimeout(() => {
      late = true;
      this.#onLeftChange();
    }, HANDOVER_LIMIT_MS);
    while (!late && [...this.#channel.peers.keys()].some((id) => !this.#leftBy.has(id))) {
      await new Promise<void>((resolve) => this.#onLeftChange = resolve);
    }
    timers.clearTimeout(timer);
  }

  async #pause(failures: number): Promise<void> {
    const { timers } = this.#settings;
    const [high, low] = (this.#options.randomBytes ?? platformRandom)(2);
    const longest = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** failures);
    const delay = MIN_RETRY_MS + (high << 8 | low) / 2 ** 16 * (longest - MIN_RETRY_MS);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = timers.setTimeout(resolve, delay);
    this.#wakeUp = resolve;
    if (!this.#stopping.signal.aborted) await promise;
    timers.clearTimeout(timer);
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp();
    await this.#running;
    await this.#channel.close();
  }

  #setRole(role: WorkerState["role"]): void {
    this.#role = role;
    // Whoever has the lock knows that no other is the gateway.
    if (role === "connecting") this.#lose();
    this.#sayState();
  }

  #sayState(): void {
    const maxMessageBytes = this.#role === "up" ? this.#link?.maxMessageBytes : undefined;
    const state: WorkerState = { role: this.#role, left: this.#left, maxMessageBytes };
    this.#channel.setState(state);
  }

  #onState(id: string, state: unknown): void {
    const { role, left, maxMessageBytes } = readState(state);
    if (left === this.id && this.#channel.peers.has(id)) this.#leftBy.add(id);
    this.#onLeftChange();
    // Posts come in one order everywhere, and a worker has the lock only after the one before it: the
    // last that speaks is right.
    if (role === "up") this.#follow(id, maxMessageBytes);
    else if (role === "leaving") this.#leave(id);
    else if (role === "connecting") this.#lose();
    else if (id === this.#gateway || id === this.#leaving) this.#lose();
  }

  #follow(id: string, maxMessageBytes: number | undefined): void {
    this.#gatewayMaxMessageBytes = maxMessageBytes;
    if (id === this.#gateway) return;
    this.#lose();
    this.#gateway = id;
    this.#emit("gatewayup", { worker: id, here: false });
  }

  /** Hands nothing more to a worker that leaves, and tells it so behind what it was handed. */
  #leave(id: string): void {
    if (id === this.#gateway) {
      this.#leaving = id;
      this.#gateway = undefined;
    }
    if (id === this.#left) return;
    this.#left = id;
    this.#sayState();
  }

  /** The gateway is gone, if there was one. `unread`: what it was handed and has not read. */
  #lose(unread?: number): void {
    const id = this.#gateway ?? this.#leaving;
    if (id === undefined) return;
    this.#gateway = this.#leaving = undefined;
    const unconfirmed = unread ?? this.#channel.giveUp(id);
    this.#unconfirmed += unconfirmed;
    this.#emit("gatewaydown", { worker: id, here: false, unconfirmed });
  }

  #onPeerDown(id: string, unread: number): void {
    this.#leftBy.delete(id);
    this.#onLeftChange();
    if (id === this.#gateway || id === this.#leaving) this.#lose(unread);
  }

  #onMessage(message: Uint8Array, lane: Lane): void {
    if (lane === 1) return this.#relay(message);
    this.#messagesIn++;
    this.#receivers.deliver(message);
  }

  /** From another worker, for the outside. */
  #relay(message: Uint8Array): void {
    // What was read is only lent, and what is published is kept.
    const report = this.#link?.publish(message.slice());
    if (report !== undefined && report.dropped === 0) {
      this.#relayed++;
      return;
    }
    this.#undelivered++;
    if (this.#newlyUndelivered++ > 0) return;
    queueMicrotask(() => {
      this.#emit("undelivered", { messages: this.#newlyUndelivered });
      this.#newlyUndelivered = 0;
    });
  }

  /** From outside, for all workers. */
  #onOutside(message: Uint8Array): void {
    // First here: what is malformed goes no further, and counts with the link that brought it.
    this.#receivers.deliver(message);
    this.#messagesIn++;
    this.#overflow.update(this.#channel.queuedBytes);
    if (this.#channel.send(message.slice())) return;
    this.#dropped++;
    this.#overflow.happened();
  }

  #onMissed(messages: number, lane: Lane): void {
    // Of what is for one worker at a time, the one that has missed it cannot tell whose it was: if it
    // was for this one, it was to be passed on.
    if (lane === 1 && this.#link === undefined) return;
    this.#missed += messages;
    this.#emit("missed", { messages });
  }

  #emit<Type extends keyof GatewayEventDetails>(
    type: Type,
    detail: GatewayEventDetails[Type],
  ): void {
    this.dispatchEvent(backplaneEvent(type, detail));
  }
}

function readState(state: unknown): WorkerState {
  const { role, left, maxMessageBytes } = (state ?? {}) as Partial<Record<string, unknown>>;
  return {
    role: role === "up" || role === "leaving" || role === "connecting" ? role : undefined,
    left: typeof left === "string" ? left : undefined,
    maxMessageBytes: isLimit(maxMessageBytes) ? maxMessageBytes : undefined,
  };
}

function isLimit(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number > 0;
}
