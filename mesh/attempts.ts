import type { Clock } from "./clock.ts";
import type { NodeIdentity } from "./handshake.ts";
import { MeshError, type MeshErrorCode } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import type { Address, Connection } from "./transport.ts";

/** A link in the making, from the first byte to the last proof. */
export class Attempt {
  /** The other end, as the network knows it. */
  readonly address: string;
  readonly incoming: boolean;
  /** Who the other side says it is. */
  peer: NodeIdentity | undefined;
  /** The other side has shown that it is: neither time nor strangers can end the attempt any more. */
  proven = false;

  readonly #abort = new AbortController();
  readonly #over = Promise.withResolvers<void>();

  constructor(address: Address, incoming: boolean) {
    this.address = formatAddress(address);
    this.incoming = incoming;
  }

  /** Resolves when the attempt is over, whatever came of it. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Aborted when the attempt is called off. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Has `connection` closed when the attempt is called off. */
  guard(connection: Connection): void {
    if (this.signal.aborted) connection.close();
    else this.signal.addEventListener("abort", () => connection.close(), { once: true });
  }

  /** What `work` resolves to. Rejects as soon as the attempt is called off. */
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

  /** Calls the attempt off. */
  cancel(code: MeshErrorCode, message: string): void {
    this.#abort.abort(new MeshError(code, this.address, message));
  }

  /** Says that it is over. */
  finish(): void {
    this.#over.resolve();
  }
}

/**
 * The attempts under way, each with a time limit. Incoming ones are limited in number too: anybody
 * can make them. One more pushes out the oldest, so that connections which stay silent cannot keep
 * out a node that answers at once.
 */
export class Attempts {
  readonly #running = new Set<Attempt>();
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #maxIncoming: number;

  constructor(options: { clock: Clock; timeoutMs: number; maxIncoming: number }) {
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.#maxIncoming = options.maxIncoming;
  }

  /**
   * Runs an attempt; `work` ends with the link in place, so that whoever waits for the attempt finds
   * it. If the attempt is called off, this rejects with the reason.
   *
   * @throws {MeshError} `timeout`, `too-many-handshakes`, `shut-down`, and what `work` throws.
   */
  async run<T>(attempt: Attempt, work: () => Promise<T>): Promise<T> {
    if (attempt.incoming) this.#makePlace();
    this.#running.add(attempt);
    const timer = this.#clock.setTimeout(() => {
      if (attempt.proven) return;
      attempt.cancel("timeout", `no link to ${attempt.address} in ${this.#timeoutMs} ms`);
    }, this.#timeoutMs);
    try {
      return await work();
    } catch (error) {
      throw attempt.signal.aborted ? attempt.signal.reason : error;
    } finally {
      this.#clock.clearTimeout(timer);
      this.#running.delete(attempt);
      attempt.finish();
    }
  }

  /** True if an attempt is under way with a node that goes by `name`. */
  has(name: string): boolean {
    for (const { peer } of this.#running) if (peer?.name === name) return true;
    return false;
  }

  /** Waits for the end of the attempts with a node that goes by `name`. */
  async settled(name: string): Promise<void> {
    // Of now: of those that begin meanwhile there need be no end.
    const now = [...this.#running].filter((attempt) => attempt.peer?.name === name);
    await Promise.all(now.map((attempt) => attempt.over));
  }

  /** The outgoing attempt that has committed itself to this very node, if there is one. */
  committedTo({ name, incarnation }: NodeIdentity): Attempt | undefined {
    return this.#running.values().find(({ incoming, peer }) =>
      !incoming && peer?.name === name && peer.incarnation === incarnation
    );
  }

  /** True if an attempt of the node that goes by `name` has proven itself, and waits. */
  isWaiting(name: string): boolean {
    return this.#running.values().some(({ peer, proven }) => proven && peer?.name === name);
  }

  /** Calls all attempts off. */
  cancelAll(code: MeshErrorCode, message: string): void {
    for (const attempt of this.#running) attempt.cancel(code, message);
  }

  #makePlace(): void {
    const incoming = [...this.#running].filter(({ incoming, proven }) => incoming && !proven);
    if (incoming.length < this.#maxIncoming) return;
    const [oldest] = incoming;
    // At once, and not when its connection has closed: until then it would be pushed out again.
    this.#running.delete(oldest);
    oldest.cancel("too-many-handshakes", "pushed out by newer connections");
  }
}
