import type { Backplane, PublishReport } from "../backplane/backplane.ts";
import type { TypedEventTarget } from "../backplane/typed_event_target.ts";
import type { Address } from "./transport.ts";
import type { MeshEventMap, PeerInfo } from "./events.ts";
import type { MeshTotals } from "./totals.ts";
import { MeshNode } from "./node.ts";
import { type MeshOptions, resolveOptions } from "./options.ts";

/**
 * A running node: its links to all other nodes of the cluster, and the backplane over them.
 *
 * {@linkcode MeshEventMap} lists its events. What a listener throws goes to `console.error`.
 */
export interface Mesh
  extends
    TypedEventTarget<MeshEventMap>,
    Omit<Backplane, "addEventListener" | "removeEventListener">,
    AsyncDisposable {
  /** Full name of this node, `local@host:port`. */
  readonly name: string;
  /** 16 hexadecimal digits, chosen at random when this node started. */
  readonly incarnation: string;
  /** The incarnation. */
  readonly nodeId: string;
  /** Where this node listens. */
  readonly address: Address;
  /** The links as they are now, one for each connected node. */
  readonly peers: readonly PeerInfo[];
  /** What this node has sent and received since it started. */
  readonly totals: MeshTotals;
  /** Largest message that {@linkcode publish} takes, in bytes. */
  readonly maxMessageBytes: number;
  /**
   * Queues a message for every connected node that wants it, and returns at once. After shutdown,
   * it does nothing.
   *
   * @throws {FrameError} `wrong-tag`, `truncated`, `trailing-bytes` if it is not a message;
   * `message-too-long` above `maxMessageBytes`.
   */
  publish(message: Uint8Array, from?: Disposable): PublishReport;
  /**
   * Notes that a room is open on this node. With `interest: "room"`, peers are told before anything
   * that is published afterwards. Otherwise it does nothing. `Rooms` calls it.
   */
  openRoom(room: string): void;
  /** Notes that a room has been closed as often as it was opened. See {@linkcode openRoom}. */
  closeRoom(room: string): void;
  /**
   * Resolves when every seed, and every node that the seeds know, has answered or failed once, and
   * each peer has read which rooms are open here now. Resolves on shutdown as well, and never
   * rejects.
   */
  ready(): Promise<void>;
  /** See {@linkcode Backplane.subscribe}. Other errors than `FrameError` go to `console.error`. */
  subscribe(receive: (message: Uint8Array, from?: string) => void): Disposable;
  /**
   * Dials a node once, and resolves when the link is up. If the link is up already, it resolves at
   * once.
   *
   * @param target `host:port`, or a full name, which must then be that of the node that answers.
   * @throws {TypeError} rejects if `target` is not a string.
   * @throws {MeshError} rejects with a code that says why there is no link.
   */
  connect(target: string): Promise<PeerInfo>;
  /**
   * Makes the mesh no longer keep the process alive: the process ends when nothing else runs in it,
   * for example when `deno serve` has been told to stop. Then the other nodes notice, but get no
   * goodbye, so call {@linkcode shutdown} where you can. A dial under way ends first.
   */
  unref(): void;
  /** Makes the mesh keep the process alive again, as it does at first. */
  ref(): void;
  /**
   * Leaves the cluster: stops accepting, writes what is queued, says goodbye and closes, all within
   * about 2 s. Resolves when nothing is left running. May be called again.
   */
  shutdown(): Promise<void>;
}

/**
 * Starts a node. Resolves when it listens; links come up afterwards, each with a `peerup` event.
 *
 * @throws {TypeError} rejects for an option of the wrong shape.
 * @throws {RangeError} rejects for an option out of range.
 * @throws {MeshError} rejects with `listen-failed`, or with `shut-down` if `signal` is aborted.
 *
 * @example
 * ```ts
 * import { Rooms, startMesh } from "@roomcast/roomcast";
 *
 * const cookie = "a secret of at least 16 bytes";
 * await using a = await startMesh({ name: "a@127.0.0.1:0", cookie });
 * await using b = await startMesh({ name: "b@127.0.0.1:0", cookie });
 * await a.connect(b.name);
 *
 * const rooms = new Rooms({ backplane: a });
 * const { peers } = rooms.broadcast("lobby", "hello"); // received by the members on b
 * console.assert(peers === 1);
 * ```
 */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  return await MeshNode.start(resolveOptions(options));
}
