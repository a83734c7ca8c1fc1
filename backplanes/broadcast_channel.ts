/**
 * A backplane between the workers of one process: the copies of a server that `deno serve --parallel`
 * runs, one on each core, or workers that you have started. It needs nothing but the platform.
 *
 * Every worker makes one, with the same `cluster`. Sockets on different workers then share rooms. To
 * reach other machines as well, see `gatewayBackplane` and `compose`.
 *
 * **Delivery** is at most once, from one worker in the order of publishing. What a worker is too slow
 * for is lost for it alone, and its `missed` event says how much: in Deno all channels of a process
 * share a ring of 256 posts, of which a worker that is further behind loses the oldest. Posts are few,
 * since what is published in one turn travels together and at most four posts of a worker are under
 * way unread, so that it takes a worker that is stuck for more than a second. It delays what the others
 * say to each other by one to two seconds, once; then they go on without waiting for it.
 *
 * **Peers.** Workers greet each other and give a sign of life each second. The report of a broadcast
 * counts the others that are known: none in the first milliseconds. A worker that is silent for six
 * seconds is down.
 *
 * **Speed.** Deno's channels carry some 35 MB a second to one other worker, less to several; a mesh of
 * as many processes carries many times that. See `docs/backplanes.md`.
 *
 * Everything in the process is trusted: any code in it can post on any channel.
 *
 * @example
 * ```ts
 * import { Rooms } from "@roomcast/roomcast";
 * import { broadcastChannelBackplane } from "@roomcast/roomcast/backplanes/broadcast-channel";
 *
 * await using backplane = broadcastChannelBackplane({ cluster: "chat" });
 * const rooms = new Rooms({ backplane });
 *
 * // What `deno serve` wants: export default { fetch: serve };
 * function serve(request: Request): Response {
 *   const { socket, response } = Deno.upgradeWebSocket(request);
 *   socket.onopen = () => rooms.join(socket, "lobby");
 *   socket.onmessage = ({ data }) => {
 *     if (typeof data !== "string" || data.length > 10_000) return socket.close(1008);
 *     rooms.broadcast("lobby", data, { except: socket });
 *   };
 *   return response;
 * }
 * ```
 *
 * @module
 */

import type { FrameErrorCode } from "../codec/mod.ts";
import type { Backplane, PublishReport } from "../rooms/mod.ts";
import { Overflow } from "./_overflow.ts";
import { Receivers } from "./_receivers.ts";
import { openWorkerChannel, resolveWorkerOptions } from "./_worker_options.ts";
import type { ChannelPort, WorkerChannel, WorkerDownReason } from "./_worker_channel.ts";
import { checkBroadcast } from "./_check_broadcast.ts";
import type { BackplaneTimers } from "./broker_backplane.ts";
import { backplaneEvent, type BackplaneEventTarget } from "./events.ts";

export type { BackplaneTimers } from "./broker_backplane.ts";
export type { BackplaneEvent, BackplaneEventTarget } from "./events.ts";
export type { ChannelPort, WorkerDownReason } from "./_worker_channel.ts";

/** Options of {@linkcode broadcastChannelBackplane}. */
export interface BroadcastChannelOptions {
  /**
   * Name of the cluster: workers of one process hear each other under one name. 1 to 64 ASCII
   * letters, digits, `-` and `_`.
   */
  cluster: string;
  /** Largest message, in bytes of the encoded broadcast; the same on all workers. Default: 16 MiB. */
  maxMessageBytes?: number;
  /**
   * Bytes that may wait until other workers have read what was posted before; what does not fit is
   * dropped and counted. A single message always fits. Default: 16 MiB.
   */
  maxQueuedBytes?: number;
  /** Default: the platform's. */
  timers?: BackplaneTimers;
  /** Gives random bytes, from which the worker's identity is made. Default: the platform's. */
  randomBytes?: (size: number) => Uint8Array;
  /** Opens a channel. Default: the platform's `BroadcastChannel`. */
  openChannel?: (name: string) => ChannelPort;
}

/** What each event of a backplane between workers tells. */
export interface WorkerEventDetails {
  /** Another worker has appeared. */
  peerup: { readonly peer: string };
  /** A worker is gone. */
  peerdown: { readonly peer: string; readonly reason: WorkerDownReason };
  /** This worker was too slow for some messages of another, which are lost for it. */
  missed: { readonly peer: string; readonly messages: number };
  /** Something that came over the channel could not be decoded, and was dropped. */
  malformed: { readonly code: FrameErrorCode };
  /**
   * A message did not fit what waits to be posted (`maxQueuedBytes`). Sent once when this begins, and
   * again only after half of that is posted; `dropped` counts all messages dropped so far.
   */
  overflow: { readonly dropped: number };
}

/** What has gone through a backplane between workers so far. */
export interface WorkerStats {
  /** Messages of other workers. */
  readonly messagesIn: number;
  /** Messages published while there were other workers. */
  readonly messagesOut: number;
  /** Bytes that wait to be posted. */
  readonly queuedBytes: number;
  /** Messages that did not fit `maxQueuedBytes`. */
  readonly dropped: number;
  /** Messages of other workers that this one was too slow for. */
  readonly missed: number;
  /** What could not be decoded. */
  readonly malformed: number;
}

/**
 * A backplane between the workers of one process.
 *
 * Events: `peerup`, `peerdown`, `missed`, `malformed`, `overflow`; see
 * {@linkcode WorkerEventDetails} for what each tells.
 */
export interface BroadcastChannelBackplane
  extends BackplaneEventTarget<WorkerEventDetails>, Backplane, AsyncDisposable {
  /** Identity of this worker, 16 hexadecimal digits. */
  readonly id: string;
  /** Identities of the others. */
  readonly peers: readonly string[];
  /** Largest message that {@linkcode publish} takes, in bytes. */
  readonly maxMessageBytes: number;
  /** What has gone through so far. */
  readonly stats: WorkerStats;
  /**
   * Hands an encoded ROOM_BROADCAST to all other workers, and returns at once. `peers` is how many
   * there are; if too much waits already, that is what `dropped` is instead.
   *
   * @throws {FrameError} `wrong-tag`, `truncated`, `trailing-bytes` if it is no room broadcast,
   * `message-too-long` above `maxMessageBytes`.
   */
  publish(message: Uint8Array): PublishReport;
  /** See {@linkcode Backplane.subscribe}. What `receive` throws but `FrameError` is an uncaught error. */
  subscribe(receive: (message: Uint8Array) => void): void;
  /**
   * Posts what waits, within some 1 s, says goodbye and closes the channel. Resolves when nothing is
   * left running. May be called again.
   */
  shutdown(): Promise<void>;
}

/**
 * Makes this worker's end of a backplane between workers.
 *
 * @throws {TypeError} for an option of the wrong shape.
 * @throws {RangeError} for an option out of range.
 *
 * @example
 * ```ts
 * import { Rooms } from "@roomcast/roomcast";
 * import { broadcastChannelBackplane } from "@roomcast/roomcast/backplanes/broadcast-channel";
 *
 * await using backplane = broadcastChannelBackplane({ cluster: "chat" });
 * backplane.addEventListener("missed", ({ messages }) => console.warn(`missed ${messages}`));
 * const rooms = new Rooms({ backplane });
 * ```
 */
export function broadcastChannelBackplane(
  options: BroadcastChannelOptions,
): BroadcastChannelBackplane {
  return new Workers(options);
}

class Workers extends EventTarget implements BroadcastChannelBackplane {
  readonly id: string;
  readonly maxMessageBytes: number;
  readonly #channel: WorkerChannel;
  readonly #receivers = new Receivers();
  readonly #overflow: Overflow;
  #messagesIn = 0;
  #messagesOut = 0;
  #dropped = 0;
  #missed = 0;
  #malformed = 0;
  #shutdown: Promise<void> | undefined;

  constructor(options: BroadcastChannelOptions) {
    super();
    const settings = resolveWorkerOptions(options);
    this.id = settings.id;
    this.maxMessageBytes = settings.maxMessageBytes;
    this.#overflow = new Overflow(
      settings.maxQueuedBytes,
      () => this.#emit("overflow", { dropped: this.#dropped }),
    );
    this.#channel = openWorkerChannel(`roomcast.${settings.cluster}`, settings, {
      onMessage: (message) => {
        this.#receivers.deliver(message);
        this.#messagesIn++;
      },
      onPeerUp: (peer) => this.#emit("peerup", { peer }),
      onPeerDown: (peer, reason) => this.#emit("peerdown", { peer, reason }),
      onState: () => {},
      onMissed: (peer, messages) => {
        this.#missed += messages;
        this.#emit("missed", { peer, messages });
      },
      onMalformed: ({ code }) => {
        this.#malformed++;
        this.#emit("malformed", { code });
      },
    });
  }

  get peers(): readonly string[] {
    return [...this.#channel.peers.keys()];
  }

  get stats(): WorkerStats {
    return {
      messagesIn: this.#messagesIn,
      messagesOut: this.#messagesOut,
      queuedBytes: this.#channel.queuedBytes,
      dropped: this.#dropped,
      missed: this.#missed,
      malformed: this.#malformed,
    };
  }

  publish(message: Uint8Array): PublishReport {
    checkBroadcast(message, this.maxMessageBytes);
    const peers = this.#shutdown === undefined ? this.#channel.peers.size : 0;
    if (peers === 0) return { peers: 0, dropped: 0 };
    this.#overflow.update(this.#channel.queuedBytes);
    if (this.#channel.send(message)) {
      this.#messagesOut++;
      return { peers, dropped: 0 };
    }
    this.#dropped++;
    this.#overflow.happened();
    return { peers: 0, dropped: peers };
  }

  subscribe(receive: (message: Uint8Array) => void): void {
    this.#receivers.add(receive);
  }

  shutdown(): Promise<void> {
    this.#shutdown ??= this.#channel.close();
    return this.#shutdown;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #emit<Type extends keyof WorkerEventDetails>(type: Type, detail: WorkerEventDetails[Type]): void {
    this.dispatchEvent(backplaneEvent(type, detail));
  }
}
