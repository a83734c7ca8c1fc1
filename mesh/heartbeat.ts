/**
 * A deadline that is noticed later than this share of the timeout shows that this node was delayed.
 */
const LATE_SHARE = 0.2;

/** What a heartbeat asks for. */
export type HeartbeatStep =
  | { readonly action: "wait" | "ping"; readonly againMs: number }
  | { readonly action: "dead" };

/**
 * Decides when to ping a peer and when to give it up, from the times that it is told.
 *
 * A pong is overdue when it has not come within the timeout. The timeout starts again whenever
 * something arrives from the peer, and whenever bytes are written while the ping still waits in the
 * queue: on a slow link, ping and pong have to wait for whatever was queued before them. Bytes that
 * are written after the ping prove nothing, because the system's buffer takes them even after a
 * cut.
 *
 * So a peer that falls silent is given up at most an interval and a timeout later, plus a fifth of
 * a timeout, by which a timer may be late. If a deadline is noticed later than that, this node
 * itself slept or was busy. Then the peer gets one more timeout, once for each ping.
 */
export class Heartbeat {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  #pings = 0;
  /** When the next ping is due, or the pong of the one in flight. */
  #dueAt: number;
  #sentAt: number | undefined;
  #lenient = true;

  /** Begins with an interval in which nothing is asked. */
  constructor(options: { intervalMs: number; timeoutMs: number }, now: number) {
    this.#intervalMs = options.intervalMs;
    this.#timeoutMs = options.timeoutMs;
    this.#dueAt = now + options.intervalMs;
  }

  /**
   * The token of the ping in flight, or else of the last one: 8 bytes that no other ping has had.
   */
  get token(): Uint8Array {
    const token = new Uint8Array(8);
    new DataView(token.buffer).setUint32(0, this.#pings);
    return token;
  }

  /**
   * Returns what is due at `now`. `againMs` is when to ask again, unless {@linkcode pong} comes
   * first.
   */
  step(now: number): HeartbeatStep {
    const leftMs = this.#dueAt - now;
    if (leftMs > 0) return { action: "wait", againMs: leftMs };
    if (this.#sentAt === undefined) {
      this.#pings++;
      this.#sentAt = now;
      this.#lenient = true;
      this.#dueAt = now + this.#timeoutMs;
      return { action: "ping", againMs: this.#timeoutMs };
    }
    if (!this.#lenient || -leftMs <= LATE_SHARE * this.#timeoutMs) return { action: "dead" };
    this.#lenient = false;
    this.#dueAt = now + this.#timeoutMs;
    return { action: "wait", againMs: this.#timeoutMs };
  }

  /**
   * Restarts the timeout of the pong, because something has arrived from the peer, or the ping has
   * moved up in the queue.
   */
  moved(now: number): void {
    if (this.#sentAt !== undefined) this.#dueAt = Math.max(this.#dueAt, now + this.#timeoutMs);
  }

  /** Takes a pong. Returns the round trip in milliseconds, or undefined if it answers no ping. */
  pong(token: Uint8Array, now: number): number | undefined {
    if (this.#sentAt === undefined) return undefined;
    const expected = this.token;
    if (!token.every((byte, i) => byte === expected[i])) return undefined;
    const roundTripMs = now - this.#sentAt;
    this.#dueAt = Math.max(now, this.#sentAt + this.#intervalMs);
    this.#sentAt = undefined;
    return roundTripMs;
  }

  /** Makes a ping due now, if none is in flight: somebody doubts that the peer is alive. */
  doubt(now: number): void {
    if (this.#sentAt === undefined) this.#dueAt = now;
  }
}
