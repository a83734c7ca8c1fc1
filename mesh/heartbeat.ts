/** How late a deadline may be noticed, as a share of the timeout, before that is this node's delay. */
const LATE_SHARE = 0.2;

/** What a heartbeat asks for. */
export type HeartbeatStep =
  | { readonly action: "wait" | "ping"; readonly againMs: number }
  | { readonly action: "dead" };

/**
 * When to ping a peer, and when to give it up: a function of the times it is told.
 *
 * A pong that is overdue means that the link is dead, whatever TCP says, unless it may lie unread
 * here. A deadline noticed late was missed by this node, asleep or busy: then the peer gets its time
 * once more, and once only. And ping or pong may be on their way still, behind messages that take
 * long to cross: then the peer gets more time for as long as bytes move.
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

  /** The token of the ping in flight, or of the one before: 8 bytes that no other ping has had. */
  get token(): Uint8Array {
    const token = new Uint8Array(8);
    new DataView(token.buffer).setUint32(0, this.#pings);
    return token;
  }

  /**
   * What is due at `now`. `againMs`: when to ask again, unless {@linkcode pong} comes first.
   * `moving`: bytes have moved since it was last asked, and more of them are on their way.
   */
  step(now: number, moving = false): HeartbeatStep {
    const leftMs = this.#dueAt - now;
    if (leftMs > 0) return { action: "wait", againMs: leftMs };
    if (this.#sentAt === undefined) {
      this.#pings++;
      this.#sentAt = now;
      this.#lenient = true;
    } else if (moving || (this.#lenient && -leftMs > LATE_SHARE * this.#timeoutMs)) {
      this.#lenient &&= moving;
      this.#dueAt = now + this.#timeoutMs;
      return { action: "wait", againMs: this.#timeoutMs };
    } else {
      return { action: "dead" };
    }
    this.#dueAt = now + this.#timeoutMs;
    return { action: "ping", againMs: this.#timeoutMs };
  }

  /** Takes a pong. Gives the round trip in milliseconds, or undefined if it answers no ping. */
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
