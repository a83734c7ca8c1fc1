/**
 * One link to one peer: everything after the handshake. It owns its connection, a loop that reads,
 * a loop that writes while something waits, and the timer of its heartbeat. When it ends, all four
 * end with it.
 */

import {
  checkGoodbye,
  decodeMissed,
  decodePeerList,
  decodePing,
  decodePong,
  encodeGoodbye,
  encodePing,
  encodePong,
  FEATURE_GOODBYE,
  FrameDecoder,
  FrameError,
  GOODBYE,
  MISSED,
  PEER_LIST,
  PING,
  PONG,
  ROOM_BROADCAST,
  ROOM_CLOSE,
  ROOM_INTEREST,
  ROOM_MESSAGE,
} from "../codec/mod.ts";
import type { Clock } from "../backplane/clock.ts";
import type { Announcements } from "./announcements.ts";
import type { PeerDownReason, PeerInfo } from "./events.ts";
import type { NodeIdentity } from "./handshake.ts";
import { Fences } from "./fences.ts";
import { Heartbeat } from "./heartbeat.ts";
import { isMeshLang, MESH_LANG_SEGMENT_BYTES } from "./mesh_lang.ts";
import type { RoomChanges } from "./room_changes.ts";
import { type Outcome, SendQueue } from "./send_queue.ts";
import type { Counters } from "./totals.ts";
import type { Address, Connection } from "./transport.ts";

const READ_BUFFER_BYTES = 256 * 1024;

/**
 * How long a link may deliver without a pause. A read can bring tens of thousands of messages, and
 * each may be for a thousand sockets: timers, other links and HTTP must get their turn in between.
 */
const TURN_MS = 20;

/** How many messages are delivered between two looks at the clock. */
const TURN_CHECK = 16;

/** How often, in each timeout, a peer that is sending learns at least that its bytes arrive. */
const ACKNOWLEDGEMENTS = 3;

/** The payload of an empty frame, which means nothing: the receiver skips it. */
const NOTHING = new Uint8Array(0);

/** What a link reports to its owner. */
export interface LinkListener {
  /**
   * A message for the members of rooms has come; the bytes are lent. Throws `FrameError` if it is
   * malformed.
   */
  onBroadcast(link: Link, message: Uint8Array): void;
  /** An announcement of the peer's rooms has come. Throws `FrameError` if it is malformed. */
  onInterest(link: Link, message: Uint8Array): void;
  /** The peer has dropped `count` broadcasts that were meant for this node. */
  onMissed(link: Link, count: number): void;
  /** A list of the peer's peers has come. */
  onPeerList(names: string[]): void;
  /** A message could not be decoded. */
  onMalformed(link: Link, error: FrameError): void;
  /** A message was dropped, the first of an episode. */
  onOverflow(link: Link): void;
  /** The peer does not know a message with this tag, the first of them on this link. */
  onUnsupported(link: Link, tag: number): void;
  /** The link has ended. */
  onDown(link: Link, reason: PeerDownReason, cause?: unknown): void;
}

/** Limits and timeouts of a link. */
export interface LinkLimits {
  readonly maxMessageBytes: number;
  readonly maxQueuedBytes: number;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
}

/** What a link is made from. */
export interface LinkOptions {
  readonly connection: Connection;
  readonly peer: NodeIdentity;
  readonly direction: PeerInfo["direction"];
  readonly limits: LinkLimits;
  readonly clock: Clock;
  /** Counts for the node as a whole. */
  readonly totals: Counters;
  readonly listener: LinkListener;
  /** What to tell the peer about this node's rooms; left out if nothing. */
  readonly announcements?: Announcements;
}

/** A link, which is up until it ends; see the head of the file. */
export class Link {
  readonly peer: NodeIdentity;
  readonly direction: PeerInfo["direction"];
  /** The other end, as the network knows it. */
  readonly remoteAddress: Address;
  /** Resolves when nothing of the link is left. Never rejects. */
  readonly ended: Promise<void>;

  readonly #connection: Connection;
  readonly #limits: LinkLimits;
  readonly #clock: Clock;
  readonly #totals: Counters;
  readonly #listener: LinkListener;
  readonly #queue: SendQueue;
  readonly #fences = new Fences();
  readonly #heartbeat: Heartbeat;
  readonly #since: number;
  #timer: unknown;
  #down = false;
  #leaving = false;
  #halfClosed = false;
  #writing: Promise<void> | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #messagesIn = 0;
  #messagesOut = 0;
  #malformed = 0;
  #ignored = 0;
  #roundTripMs: number | undefined;
  /** Resolves at the next pong that answers one of our pings, or at the end. */
  #alive = Promise.withResolvers<boolean>();
  /** Payloads delivered. */
  #delivered = 0;
  /** The ping in flight has not been written yet. */
  #isPingQueued = false;
  /** When this node last wrote something. */
  #writtenAt: number;

  /**
   * Starts a link. `opening`, if given, is the first payload that travels: the acceptor's ACK,
   * which nothing may overtake.
   */
  constructor(options: LinkOptions, opening?: Uint8Array) {
    const { connection, peer, direction, limits, clock, totals, listener, announcements } = options;
    this.peer = peer;
    this.direction = direction;
    this.remoteAddress = connection.remoteAddress;
    this.#connection = connection;
    this.#limits = limits;
    this.#clock = clock;
    this.#totals = totals;
    this.#listener = listener;
    this.#queue = new SendQueue({
      features: peer.features,
      maxQueuedBytes: limits.maxQueuedBytes,
      segmentBytes: isMeshLang(peer) ? MESH_LANG_SEGMENT_BYTES : undefined,
      announcements,
      onOverflow: () => listener.onOverflow(this),
      onUnsupported: (tag) => listener.onUnsupported(this, tag),
    });
    this.#since = this.#writtenAt = clock.now();
    this.#heartbeat = new Heartbeat({
      intervalMs: limits.heartbeatIntervalMs,
      timeoutMs: limits.heartbeatTimeoutMs,
    }, this.#since);
    // It is the first of the urgent frames, so no ping can precede it.
    if (opening) this.#sendUrgent(opening);
    if (announcements) this.#wake();
    this.ended = this.#run();
  }

  /** The link as it is now. */
  get info(): PeerInfo {
    return {
      name: this.peer.name,
      incarnation: this.peer.incarnation,
      meshLang: isMeshLang(this.peer),
      encrypted: this.#connection.binding !== undefined,
      direction: this.direction,
      since: this.#since,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      messagesIn: this.#messagesIn,
      messagesOut: this.#messagesOut,
      queuedBytes: this.#queue.queuedBytes,
      dropped: this.#queue.dropped,
      malformed: this.#malformed,
      ignored: this.#ignored,
      roundTripMs: this.#roundTripMs,
    };
  }

  /** Queues a message for the members of rooms. */
  publish(message: Uint8Array): Outcome {
    if (this.#down || this.#leaving) return "unwanted";
    const outcome = this.#queue.publish(message);
    if (outcome === "queued") this.#messagesOut++;
    else if (outcome === "dropped") this.#totals.dropped++;
    this.#wake();
    return outcome;
  }

  /**
   * Queues a payload that is not a message for rooms, before all messages for rooms. Pongs do not
   * overtake it. It is lost if too many such payloads wait, or if the link is ending.
   */
  send(payload: Uint8Array): void {
    if (!this.#down && !this.#leaving) this.#sendUrgent(payload);
  }

  /** Tells the peer which rooms this node has opened and closed. */
  announce(changes: RoomChanges): void {
    if (this.#down || this.#leaving) return;
    this.#queue.announce(changes);
    this.#wake();
  }

  /** Resolves when the peer has read everything that is announced now, or when the link ends. */
  async exchanged(): Promise<void> {
    if (this.#down || this.#leaving || isMeshLang(this.peer)) return;
    const { token, passed } = this.#fences.add();
    this.#queue.pushFence(token);
    this.#wake();
    await passed;
  }

  /** Asks the peer to prove at once that it is alive. */
  doubt(): void {
    this.#heartbeat.doubt(this.#clock.now());
    this.#beat();
  }

  /** Resolves to true as soon as the peer has proven that it is alive, to false if the link ends. */
  probe(): Promise<boolean> {
    this.doubt();
    return this.#alive.promise;
  }

  /** Writes what waits, says goodbye, and waits for the peer to close; ends after `limitMs`. */
  async leave(limitMs: number): Promise<void> {
    this.#leaving = true;
    const timer = this.#clock.setTimeout(() => this.end("shut-down"), limitMs);
    await this.#writing;
    if (this.peer.features & FEATURE_GOODBYE) this.#sendUrgent(encodeGoodbye());
    await this.#writing;
    // If we closed with unread bytes of the peer, or wrote after our end of the stream, TCP would
    // throw away what is on its way. So we end our side first, and answer no more pings.
    this.#halfClosed = true;
    this.#clock.clearTimeout(this.#timer);
    await Promise.race([this.#closeWrite(), this.ended]);
    await this.ended;
    this.#clock.clearTimeout(timer);
  }

  /** Ends the link at once. What waits is lost. */
  end(reason: PeerDownReason, cause?: unknown): void {
    if (this.#down) return;
    this.#down = true;
    this.#clock.clearTimeout(this.#timer);
    this.#alive.resolve(false);
    this.#fences.end();
    try {
      this.#connection.close();
    } catch {
      // The error concerns only the transport. For the mesh, the link is over.
    }
    this.#listener.onDown(this, this.#leaving ? "shut-down" : reason, cause);
  }

  async #run(): Promise<void> {
    this.#beat();
    await this.#readAll();
    await this.#writing;
  }

  async #readAll(): Promise<void> {
    const decoder = new FrameDecoder({ maxLength: this.#limits.maxMessageBytes });
    const buffer = new Uint8Array(READ_BUFFER_BYTES);
    let turnEnd = this.#clock.now() + TURN_MS;
    // If the transport fails at once, the owner must know the link already.
    await undefined;
    try {
      while (!this.#down) {
        const askedAt = this.#clock.now();
        const size = await this.#connection.read(buffer);
        if (size === null) return this.end("closed");
        // Deno may finish many reads in one turn if all are ready, so a read alone is not a pause.
        const now = this.#clock.now();
        if (now - askedAt >= 1) turnEnd = now + TURN_MS;
        this.#bytesIn += size;
        this.#totals.bytesIn += size;
        this.#heartbeat.moved(now);
        const deliveredBefore = this.#delivered;
        const payloads = decoder.push(buffer.subarray(0, size))[Symbol.iterator]();
        while (!this.#deliver(payloads, turnEnd)) {
          // A pong may be queued after messages that this node has not delivered yet.
          this.#heartbeat.moved(this.#clock.now());
          await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, 0));
          turnEnd = this.#clock.now() + TURN_MS;
        }
        if (this.#down) return;
        // An empty frame is not answered with an empty frame: two nodes would never stop.
        if (this.#delivered > deliveredBefore || decoder.inFrame) this.#acknowledge(now);
      }
    } catch (error) {
      this.end(error instanceof FrameError ? "frame-too-long" : "failed", error);
    }
  }

  /**
   * Delivers payloads. False: the turn is over, and there are more. Not a part of the loop that
   * reads: V8 optimizes a function when it is called again, and that one runs as long as the link.
   */
  #deliver(payloads: Iterator<Uint8Array>, turnEnd: number): boolean {
    for (let next = payloads.next(); !next.done; next = payloads.next()) {
      // Nobody wants what follows a goodbye, or the end of a replaced link.
      if (this.#down) return true;
      this.#receive(next.value);
      if (++this.#delivered % TURN_CHECK === 0 && this.#clock.now() > turnEnd) return false;
    }
    return true;
  }

  /**
   * Sends an empty frame if something has arrived and nothing has been sent to the peer for a
   * while. The peer's ping may wait for minutes in the buffers of a slow path. Until then, this is
   * how the peer knows that its bytes arrive. Even so, a TLS record of 16 KiB takes 2 s at 64
   * kbit/s.
   */
  #acknowledge(now: number): void {
    if (now - this.#writtenAt < this.#limits.heartbeatTimeoutMs / ACKNOWLEDGEMENTS) return;
    if (this.#writing === undefined && !isMeshLang(this.peer)) this.#sendUrgent(NOTHING);
  }

  #receive(payload: Uint8Array): void {
    try {
      this.#dispatch(payload);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#malformed++;
      this.#totals.malformed++;
      this.#listener.onMalformed(this, error);
    }
  }

  #dispatch(payload: Uint8Array): void {
    switch (payload[0]) {
      case ROOM_BROADCAST:
      case ROOM_MESSAGE:
      case ROOM_CLOSE:
        this.#messagesIn++;
        this.#totals.received++;
        return this.#listener.onBroadcast(this, payload);
      case ROOM_INTEREST:
        return this.#listener.onInterest(this, payload);
      case MISSED:
        return this.#takeMissed(decodeMissed(payload));
      case PEER_LIST:
        return this.#listener.onPeerList(decodePeerList(payload));
      case PING:
        return this.#sendUrgent(encodePong(decodePing(payload)));
      case PONG:
        return this.#takePong(decodePong(payload));
      case GOODBYE:
        checkGoodbye(payload);
        return this.end("goodbye");
      default:
        // This is how a protocol stays extensible.
        this.#ignored++;
    }
  }

  #takeMissed(count: number): void {
    this.#totals.missed += count;
    this.#listener.onMissed(this, count);
  }

  #takePong(token: Uint8Array): void {
    if (this.#fences.pass(token)) return;
    const roundTripMs = this.#heartbeat.pong(token, this.#clock.now());
    if (roundTripMs !== undefined) {
      this.#roundTripMs = roundTripMs;
      this.#alive.resolve(true);
      this.#alive = Promise.withResolvers();
    }
    this.#beat();
  }

  /** Does what the heartbeat asks for, and sets a timer for the next time. */
  #beat(): void {
    if (this.#down || this.#halfClosed) return;
    this.#clock.clearTimeout(this.#timer);
    const step = this.#heartbeat.step(this.#clock.now());
    if (step.action === "dead") return this.end("heartbeat");
    if (step.action === "ping") {
      this.#isPingQueued = true;
      this.#sendUrgent(encodePing(this.#heartbeat.token));
    }
    this.#timer = this.#clock.setTimeout(() => this.#beat(), step.againMs);
  }

  async #closeWrite(): Promise<void> {
    try {
      await this.#connection.closeWrite();
    } catch {
      // The connection has broken. The reading loop notices that as well.
    }
  }

  #sendUrgent(payload: Uint8Array): void {
    if (this.#halfClosed) return;
    this.#queue.pushUrgent(payload);
    this.#wake();
  }

  #wake(): void {
    this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // Whatever is sent in the rest of this turn travels in the same write.
    await undefined;
    try {
      for (let bytes = this.#queue.take(); bytes; bytes = this.#queue.take()) {
        for (let at = 0; at < bytes.length;) {
          const size = await this.#connection.write(at === 0 ? bytes : bytes.subarray(at));
          at += size;
          this.#bytesOut += size;
          this.#totals.bytesOut += size;
          this.#writtenAt = this.#clock.now();
          if (this.#isPingQueued) this.#heartbeat.moved(this.#writtenAt);
        }
        this.#queue.written();
        // The ping is among the urgent frames, and these are taken first.
        if (!this.#queue.hasUrgent) this.#isPingQueued = false;
      }
    } catch (error) {
      this.end("failed", error);
    }
    this.#writing = undefined;
  }
}
