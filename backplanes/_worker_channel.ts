/**
 * Messages between the workers of one process, over a `BroadcastChannel`.
 *
 * In Deno (2.9.6) all channels of a process share one ring of 256 posts, and a worker that is 257 of
 * them behind has lost the oldest without a word. So that nothing is lost silently, and rarely at all:
 *
 * - What is sent in one turn travels as one post.
 * - Of one worker at most {@linkcode WINDOW} posts are under way, until all others have acknowledged
 *   them; what is sent meanwhile is gathered, up to a limit. A worker that is stuck is waited for
 *   between one and two beats, not longer.
 * - Messages are numbered, so that a receiver knows how many it has missed.
 *
 * A post is an object with `kind` and `from`, the sender's identity, and:
 *
 * | kind | | sent |
 * | --- | --- | --- |
 * | `here` | `hello`: asks all others for a `here`; `posted`: number of the last data post; `sent`: messages so far, in each lane; `read`: for each worker its last post that was read; `state`: what the user of the channel says of itself | at the start, in answer to a `hello`, when the state changes, and each beat |
 * | `data` | `post`: its number, from 1; `lane`; `first`: number of the first message of this lane in it, from 0; `to`: in lane 1, the only worker it is for; `frames`: messages in the codec's framing | |
 * | `ack` | `to`, `post`: all posts of that worker up to this one have been read | every other post |
 * | `bye` | `sent`: all its messages, in each lane | at the end |
 *
 * Lane 0 is for all workers. Lane 1 is for one at a time; the others read over it. A worker is known
 * from its first post on, and gone when it says so or has been silent for {@linkcode SILENT_BEATS}.
 */

import { FRAME_HEADER_BYTES, FrameDecoder, FrameError, writeFrame } from "../codec/mod.ts";
import type { BackplaneTimers } from "./broker_backplane.ts";
import { describe } from "./_options.ts";

/** Data posts that may wait to be acknowledged. */
const WINDOW = 4;
const ACK_EVERY = 2;

/**
 * What one post carries, unless a single message is longer. Deno's channels take some 30 µs for each
 * KiB, whatever it comes in, so that larger posts would only hold other things up for longer.
 */
const POST_BYTES = 64 * 1024;

const BEAT_MS = 1_000;
const SILENT_BEATS = 5;

/** How long what waits may take to be posted in the end. */
const LEAVE_LIMIT_MS = 1_000;

/** Workers that are remembered. A process has some dozens of cores, and a stranger may post anything. */
const MAX_PEERS = 1024;

/** Posts to one worker whose reading is followed one by one. */
const MAX_UNREAD = 64;

/** What is needed of a `BroadcastChannel`. */
export interface ChannelPort {
  /** Posts to all others of the same name. */
  postMessage(message: unknown): void;
  /** Has `listener` called with what others post, in `data`. */
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  /** Ends it. */
  close(): void;
}

/** 0: for all workers. 1: for the worker that is named. */
export type Lane = 0 | 1;

/** Why a worker is gone: it has shut down, or is silent. */
export type WorkerDownReason = "goodbye" | "silent";

/** What a channel tells. */
export interface WorkerChannelListener {
  /** A message, lent for the duration of the call. May throw a `FrameError`. */
  onMessage(message: Uint8Array, lane: Lane, from: string): void;
  onPeerUp(id: string): void;
  /** `unread`: messages for it alone that it has not said to have read. */
  onPeerDown(id: string, reason: WorkerDownReason, unread: number): void;
  /** A worker has said something of itself. */
  onState(id: string, state: unknown): void;
  /** This worker was too slow for some messages of another. */
  onMissed(id: string, messages: number, lane: Lane): void;
  onMalformed(error: FrameError): void;
}

/** What a channel is made of. */
export interface WorkerChannelOptions {
  readonly name: string;
  /** Identity of this worker. */
  readonly id: string;
  readonly maxMessageBytes: number;
  readonly maxQueuedBytes: number;
  readonly timers: BackplaneTimers;
  readonly openChannel: (name: string) => ChannelPort;
  readonly listener: WorkerChannelListener;
}

/** A number for each lane. */
type Numbers = [number, number];

interface Peer {
  /** The number that its next message has, in each lane. */
  readonly expected: Numbers;
  /** Its last post that was read, and its last that was acknowledged. */
  read: number;
  acknowledged: number;
  /** Our last post that it has acknowledged, now and at the beat before. */
  hasRead: number;
  hadRead: number;
  /** Posts for it alone that it has not acknowledged, the oldest first. */
  readonly unread: { post: number; messages: number }[];
  /** Not waited for any more. */
  stuck: boolean;
  silentBeats: number;
}

interface Here {
  readonly kind: "here";
  readonly from: string;
  readonly hello: boolean;
  readonly posted: number;
  readonly sent: Numbers;
  readonly read: Readonly<Record<string, number>>;
  readonly state: unknown;
}
interface Data {
  readonly kind: "data";
  readonly from: string;
  readonly post: number;
  readonly lane: Lane;
  readonly first: number;
  readonly to: string | undefined;
  readonly frames: Uint8Array;
}
interface Ack {
  readonly kind: "ack";
  readonly from: string;
  readonly to: string;
  readonly post: number;
}
interface Bye {
  readonly kind: "bye";
  readonly from: string;
  readonly sent: Numbers;
}
type Post = Here | Data | Ack | Bye;

interface Queued {
  readonly message: Uint8Array;
  /** In lane 1: who it is for. */
  readonly to: string | undefined;
}

/** This worker's end of a channel. */
export class WorkerChannel {
  readonly #options: WorkerChannelOptions;
  readonly #listener: WorkerChannelListener;
  readonly #port: ChannelPort;
  readonly #peers = new Map<string, Peer>();
  /** Of workers that went silent, what their next messages were: they may come back. */
  readonly #silent = new Map<string, Numbers>();
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #posted = 0;
  readonly #sent: Numbers = [0, 0];
  #flushing = false;
  #timer: unknown;
  /** What it has said of itself, and what it is to say next. */
  #state: unknown;
  #nextState: { readonly state: unknown } | undefined;
  #onDrained: () => void = () => {};
  #closing = false;
  #closed = false;

  /** Opens the channel and greets the others. */
  constructor(options: WorkerChannelOptions) {
    this.#options = options;
    this.#listener = options.listener;
    this.#port = options.openChannel(options.name);
    this.#port.addEventListener("message", ({ data }) => this.#receive(data));
    this.#sayHere(true);
    this.#scheduleBeat();
  }

  /** The other workers. */
  get peers(): ReadonlyMap<string, unknown> {
    return this.#peers;
  }

  /** Bytes that wait to be posted. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * Takes back what waits for one worker alone. Returns how many messages for it there were that it
   * has not said to have read; those are counted once.
   */
  giveUp(id: string): number {
    const waiting = this.#queue.filter(({ to }) => to === id);
    this.#queue = this.#queue.filter(({ to }) => to !== id);
    for (const { message } of waiting) this.#queuedBytes -= FRAME_HEADER_BYTES + message.length;
    let messages = waiting.length;
    for (const unread of this.#peers.get(id)?.unread.splice(0) ?? []) messages += unread.messages;
    this.#flush();
    return messages;
  }

  /**
   * Sends a message to all others, or to one. It is kept until it is posted. False: too much waits,
   * and it was dropped.
   */
  send(message: Uint8Array, to?: string): boolean {
    if (this.#peers.size === 0 || this.#closing) return true;
    const size = FRAME_HEADER_BYTES + message.length;
    if (this.#queuedBytes > 0 && this.#queuedBytes + size > this.#options.maxQueuedBytes) {
      return false;
    }
    this.#queue.push({ message, to });
    this.#queuedBytes += size;
    this.#wake();
    return true;
  }

  /**
   * Tells the others something of this worker, now and at each beat. Behind what waits for one worker
   * alone, which must read that first.
   */
  setState(state: unknown): void {
    this.#nextState = { state };
    this.#flush();
  }

  /** Posts what waits, if the others keep up, says goodbye and closes. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#queue.length > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onDrained = resolve;
      const timer = this.#options.timers.setTimeout(resolve, LEAVE_LIMIT_MS);
      await promise;
      this.#options.timers.clearTimeout(timer);
      // One worker that is stuck must not cost the others what is left.
      this.#flush(true);
    }
    this.#options.timers.clearTimeout(this.#timer);
    this.#post({ kind: "bye", from: this.#options.id, sent: [...this.#sent] });
    this.#closed = true;
    this.#port.close();
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#peers.clear();
  }

  #wake(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    // Whatever is sent in the rest of this turn travels in the same post.
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(regardless = false): void {
    while (this.#queue.length > 0 && !this.#closed && (regardless || this.#isWindowOpen())) {
      this.#postNext();
    }
    this.#sayNextState();
    if (this.#queue.length === 0) this.#onDrained();
  }

  #sayNextState(): void {
    if (this.#nextState === undefined || this.#queue.some(({ to }) => to !== undefined)) return;
    this.#state = this.#nextState.state;
    this.#nextState = undefined;
    this.#sayHere(false);
  }

  #isWindowOpen(): boolean {
    for (const { hasRead, stuck } of this.#peers.values()) {
      if (!stuck && this.#posted - hasRead >= WINDOW) return false;
    }
    return true;
  }

  #postNext(): void {
    const { to } = this.#queue[0];
    let count = 0;
    let size = 0;
    for (const queued of this.#queue) {
      const next = size + FRAME_HEADER_BYTES + queued.message.length;
      if (queued.to !== to || (count > 0 && next > POST_BYTES)) break;
      size = next;
      count++;
    }
    const frames = new Uint8Array(size);
    let at = 0;
    for (const { message } of this.#queue.slice(0, count)) at = writeFrame(message, frames, at);
    this.#queue = this.#queue.slice(count);
    this.#queuedBytes -= size;
    const lane = to === undefined ? 0 : 1;
    const first = this.#sent[lane];
    this.#sent[lane] += count;
    const post = ++this.#posted;
    if (to !== undefined) this.#noteUnread(to, post, count);
    this.#post({ kind: "data", from: this.#options.id, post, lane, first, to, frames });
  }

  #noteUnread(to: string, post: number, messages: number): void {
    const unread = this.#peers.get(to)?.unread;
    const last = unread?.at(-1);
    if (last === undefined || unread === undefined || unread.length < MAX_UNREAD) {
      unread?.push({ post, messages });
    } else {
      // A worker that is stuck: no need to know it so exactly.
      last.post = post;
      last.messages += messages;
    }
  }

  #sayHere(hello: boolean): void {
    this.#post({
      kind: "here",
      from: this.#options.id,
      hello,
      posted: this.#posted,
      sent: [...this.#sent],
      read: Object.fromEntries(Array.from(this.#peers, ([id, { read }]) => [id, read])),
      state: this.#state,
    });
  }

  #post(post: Post): void {
    if (!this.#closed) this.#port.postMessage(post);
  }

  #scheduleBeat(): void {
    this.#timer = this.#options.timers.setTimeout(() => this.#beat(), BEAT_MS);
  }

  #beat(): void {
    this.#scheduleBeat();
    this.#sayHere(false);
    for (const [id, peer] of this.#peers) {
      if (++peer.silentBeats > SILENT_BEATS) {
        this.#forget(id, "silent");
        continue;
      }
      peer.stuck = this.#posted - peer.hasRead >= WINDOW && peer.hasRead === peer.hadRead;
      peer.hadRead = peer.hasRead;
    }
    this.#flush();
  }

  #forget(id: string, reason: WorkerDownReason): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    const unread = this.giveUp(id);
    this.#peers.delete(id);
    if (reason === "silent" && this.#silent.size < MAX_PEERS) this.#silent.set(id, peer.expected);
    this.#listener.onPeerDown(id, reason, unread);
    if (this.#peers.size === 0) {
      this.#queue = [];
      this.#queuedBytes = 0;
    }
    this.#flush();
  }

  #receive(data: unknown): void {
    if (this.#closed) return;
    try {
      const post = checkPost(data);
      // A worker may have several channels of one name, but only one of this identity.
      if (post.from !== this.#options.id) this.#read(post);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#listener.onMalformed(error);
    }
  }

  #read(post: Post): void {
    if (post.kind === "bye") return this.#readBye(post);
    const peer = this.#peers.get(post.from) ?? this.#meet(post);
    if (peer === undefined) return;
    peer.silentBeats = 0;
    switch (post.kind) {
      case "here":
        return this.#readHere(peer, post);
      case "data":
        return this.#readData(peer, post);
      case "ack":
        if (post.to === this.#options.id) this.#acknowledged(peer, post.post);
    }
  }

  /** Takes a worker on with its first post: what it sent before was not for us, unless it was silent. */
  #meet(post: Here | Data | Ack): Peer | undefined {
    if (this.#peers.size >= MAX_PEERS) return undefined;
    const known = this.#silent.get(post.from);
    this.#silent.delete(post.from);
    const expected: Numbers = known ?? (post.kind === "here" ? [...post.sent] : [-1, -1]);
    const read = post.kind === "here" ? post.posted : 0;
    const peer: Peer = {
      expected,
      read,
      acknowledged: read,
      hasRead: this.#posted,
      hadRead: this.#posted,
      unread: [],
      stuck: false,
      silentBeats: 0,
    };
    this.#peers.set(post.from, peer);
    this.#listener.onPeerUp(post.from);
    return peer;
  }

  #readBye({ from, sent }: Bye): void {
    const peer = this.#peers.get(from);
    if (peer === undefined) return;
    this.#expectAll(peer, from, sent);
    this.#forget(from, "goodbye");
  }

  #readHere(peer: Peer, post: Here): void {
    this.#expectAll(peer, post.from, post.sent);
    peer.read = Math.max(peer.read, post.posted);
    // An acknowledgement may have been lost, or was not due yet.
    const read = post.read[this.#options.id];
    if (read !== undefined) this.#acknowledged(peer, read);
    if (post.hello) this.#sayHere(false);
    this.#listener.onState(post.from, post.state);
  }

  #readData(peer: Peer, post: Data): void {
    const { lane, from } = post;
    this.#expect(peer, from, lane, post.first);
    peer.read = post.post;
    if (peer.read - peer.acknowledged >= ACK_EVERY) this.#acknowledge(from, peer);
    const decoder = new FrameDecoder({ maxLength: this.#options.maxMessageBytes });
    const isOurs = post.to === undefined || post.to === this.#options.id;
    for (const message of decoder.push(post.frames)) {
      peer.expected[lane]++;
      if (isOurs) this.#hand(message, lane, from);
    }
    decoder.finish();
  }

  #hand(message: Uint8Array, lane: Lane, from: string): void {
    try {
      this.#listener.onMessage(message, lane, from);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      // The others of the same post are none the worse for it.
      this.#listener.onMalformed(error);
    }
  }

  /** It posts in order: what it has sent by now and we have not read, the ring has lost. */
  #expectAll(peer: Peer, id: string, sent: Numbers): void {
    for (const lane of [0, 1] as const) this.#expect(peer, id, lane, sent[lane]);
  }

  /** The next message of a lane has this number. */
  #expect(peer: Peer, id: string, lane: Lane, number: number): void {
    const missed = number - peer.expected[lane];
    const known = peer.expected[lane] >= 0;
    peer.expected[lane] = number;
    if (known && missed > 0) this.#listener.onMissed(id, missed, lane);
  }

  #acknowledged(peer: Peer, post: number): void {
    if (post > this.#posted || post <= peer.hasRead) return;
    peer.hasRead = post;
    peer.stuck = false;
    while (peer.unread.length > 0 && peer.unread[0].post <= post) peer.unread.shift();
    this.#flush();
  }

  #acknowledge(id: string, peer: Peer): void {
    peer.acknowledged = peer.read;
    this.#post({ kind: "ack", from: this.#options.id, to: id, post: peer.read });
  }
}

/**
 * Checks what somebody has posted.
 *
 * @throws {FrameError} `wrong-tag` if it is no post of a worker.
 */
function checkPost(data: unknown): Post {
  if (typeof data !== "object" || data === null) throw noPost(describe(data));
  const post = data as Partial<Record<string, unknown>>;
  if (typeof post.from !== "string" || post.from.length > 64) throw noPost("no sender");
  if (isHere(post) || isData(post) || isAck(post) || isBye(post)) {
    return post as unknown as Post;
  }
  throw noPost("an unknown kind, or fields that do not fit it");
}

function isHere(post: Partial<Record<string, unknown>>): boolean {
  return post.kind === "here" && typeof post.hello === "boolean" && isCount(post.posted) &&
    areNumbers(post.sent) &&
    typeof post.read === "object" && post.read !== null && Object.values(post.read).every(isCount);
}

function isData(post: Partial<Record<string, unknown>>): boolean {
  return post.kind === "data" && isCount(post.post) && isCount(post.first) &&
    (post.lane === 0 && post.to === undefined || post.lane === 1 && typeof post.to === "string") &&
    post.frames instanceof Uint8Array;
}

function isAck(post: Partial<Record<string, unknown>>): boolean {
  return post.kind === "ack" && typeof post.to === "string" && isCount(post.post);
}

function isBye(post: Partial<Record<string, unknown>>): boolean {
  return post.kind === "bye" && areNumbers(post.sent);
}

function areNumbers(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function noPost(found: string): FrameError {
  return new FrameError("wrong-tag", 0, `no post of a worker: ${found}`);
}
