import type { Clock } from "../backplane/clock.ts";
import type { NodeIdentity } from "./handshake.ts";
import { MeshError, type MeshErrorCode } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import type { Address, Connection } from "./transport.ts";

/** A link in the making, from the first byte to the last proof. */
export class PendingHandshake {
  /** The other end, as the network knows it. */
  readonly address: string;
  /** The other end's host. */
  readonly hostname: string;
  readonly incoming: boolean;
  /** True if a known node lives at that host. */
  readonly isKnown: boolean;
  /** The other side has said something. */
  hasSpoken = false;
  /** The identity that the other side claims. */
  peer: NodeIdentity | undefined;
  /**
   * The other side has proven itself, so neither the time limit nor strangers can end the handshake
   * any more.
   */
  proven = false;

  readonly #abort = new AbortController();
  readonly #over = Promise.withResolvers<void>();

  constructor(address: Address, incoming: boolean, isKnown = false) {
    this.address = formatAddress(address);
    this.hostname = address.hostname;
    this.incoming = incoming;
    this.isKnown = isKnown;
  }

  /** Resolves when the handshake is over, successful or not. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Aborted when the handshake is cancelled. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Closes `connection` when the handshake is cancelled. */
  guard(connection: Connection): void {
    if (this.signal.aborted) connection.close();
    else this.signal.addEventListener("abort", () => connection.close(), { once: true });
  }

  /** What `work` resolves to. Rejects as soon as the handshake is cancelled. */
  async unlessCancelled<T>(work: Promise<T>): Promise<T> {
    const { promise: cancelled, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(this.signal.reason);
    this.signal.addEventListener("abort", onAbort);
    try {
      this.signal.throwIfAborted();
      return await Promise.race([work, cancelled]);
    } finally {
      this.signal.removeEventListener("abort", onAbort);
    }
  }

  /** Cancels the handshake. */
  cancel(code: MeshErrorCode, message: string): void {
    this.#abort.abort(new MeshError(code, this.address, message));
  }

  /** Marks the handshake as over. */
  finish(): void {
    this.#over.resolve();
  }
}

/** The share of the places that one unknown address may hold while others need them. */
const ADDRESS_SHARE = 1 / 4;

/**
 * The handshakes under way, each with a time limit. Incoming ones are limited in number too,
 * because anybody can begin one. One more pushes another out, so that silent connections, or
 * connections from one address, cannot keep out a node that answers at once.
 */
export class PendingHandshakes {
  readonly #running = new Set<PendingHandshake>();
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #maxIncoming: number;

  constructor(options: { clock: Clock; timeoutMs: number; maxIncoming: number }) {
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.#maxIncoming = options.maxIncoming;
  }

  /**
   * Runs a handshake. `work` ends with the link in place, so that code that waits for the handshake
   * finds it. If the handshake is cancelled, this rejects with the reason.
   *
   * @throws {MeshError} `timeout`, `too-many-handshakes`, `shut-down`, and what `work` throws.
   */
  async run<T>(handshake: PendingHandshake, work: () => Promise<T>): Promise<T> {
    if (handshake.incoming) this.#makePlace();
    this.#running.add(handshake);
    const timer = this.#clock.setTimeout(() => {
      if (handshake.proven) return;
      handshake.cancel("timeout", `no link to ${handshake.address} in ${this.#timeoutMs} ms`);
    }, this.#timeoutMs);
    try {
      return await work();
    } catch (error) {
      throw handshake.signal.aborted ? handshake.signal.reason : error;
    } finally {
      this.#clock.clearTimeout(timer);
      this.#running.delete(handshake);
      handshake.finish();
    }
  }

  /** True if a handshake is under way with a node of this name. */
  has(name: string): boolean {
    for (const { peer } of this.#running) if (peer?.name === name) return true;
    return false;
  }

  /** Waits for the end of the handshakes under way with a node of this name. */
  async settled(name: string): Promise<void> {
    // Only those of now: new ones might begin for ever.
    const now = [...this.#running].filter((handshake) => handshake.peer?.name === name);
    await Promise.all(now.map((handshake) => handshake.over));
  }

  /** The outgoing handshake that has committed itself to exactly this node, if there is one. */
  committedTo({ name, incarnation }: NodeIdentity): PendingHandshake | undefined {
    return this.#running.values().find(({ incoming, peer }) =>
      !incoming && peer?.name === name && peer.incarnation === incarnation
    );
  }

  /** True if a node of this name has proven itself and waits. */
  isWaiting(name: string): boolean {
    return this.#running.values().some(({ peer, proven }) => proven && peer?.name === name);
  }

  /** Cancels all handshakes. */
  cancelAll(code: MeshErrorCode, message: string): void {
    for (const handshake of this.#running) handshake.cancel(code, message);
  }

  #makePlace(): void {
    const incoming = [...this.#running].filter(({ incoming, proven }) => incoming && !proven);
    if (incoming.length < this.#maxIncoming) return;
    const victim = this.#leastWelcome(incoming);
    // Now, not when its connection has closed: until then it would be chosen again.
    this.#running.delete(victim);
    victim.cancel("too-many-handshakes", "pushed out by other connections");
  }

  /**
   * See `MeshOptions.maxPendingHandshakes`. Of several equal ones it is the oldest, which comes
   * first.
   */
  #leastWelcome(candidates: readonly PendingHandshake[]): PendingHandshake {
    const places = new Map<string, number>();
    for (const { hostname } of candidates) places.set(hostname, (places.get(hostname) ?? 0) + 1);
    const most = Math.max(1, ADDRESS_SHARE * this.#maxIncoming);
    const welcome = ({ hostname, isKnown, hasSpoken }: PendingHandshake) =>
      isKnown ? 4 + Number(hasSpoken) : 2 * Number((places.get(hostname) ?? 0) <= most) +
        Number(hasSpoken);
    return candidates.reduce((a, b) => welcome(b) < welcome(a) ? b : a);
  }
}
