import type { Clock } from "../backplane/clock.ts";

/** How many seconds' worth of handshakes may come at once, as when a cluster starts. */
const BURST_SECONDS = 10;

/** The share of the rate that a single unknown address may use. */
const ADDRESS_SHARE = 1 / 4;

/**
 * What a connection that has led to no handshake counts. It takes much less of the processor than one
 * that has, and health checks should leave the rate to others.
 */
const SILENT_SHARE = 1 / 20;

/** How many addresses are remembered. Beyond that the one seen longest ago is forgotten. */
const MAX_ADDRESSES = 1_024;

/** A token bucket, which fills at a steady rate. */
interface Bucket {
  tokens: number;
  filledAt: number;
}

/**
 * Limits the handshakes of a node, because each one costs processor time and anybody can begin one.
 * Unknown addresses share `perSecond`, and one of them may use a quarter of it, so that others
 * still get in. Each address of a known node has the whole rate to itself.
 */
export class HandshakeRate {
  readonly #perSecond: number;
  readonly #clock: Clock;
  readonly #unknown: Bucket;
  /** One bucket for each address; the one used last is at the end. */
  readonly #addresses = new Map<string, Bucket>();

  /** Allows a burst at first. */
  constructor(options: { perSecond: number; clock: Clock }) {
    this.#perSecond = options.perSecond;
    this.#clock = options.clock;
    this.#unknown = this.#full(1);
  }

  /**
   * Admits one more connection, which may lead to a handshake. Returns false if there are too many.
   */
  admit(hostname: string, isKnown: boolean): boolean {
    const share = isKnown ? 1 : ADDRESS_SHARE;
    const own = this.#addresses.get(hostname) ?? this.#full(share);
    this.#addresses.delete(hostname);
    this.#addresses.set(hostname, own);
    if (this.#addresses.size > MAX_ADDRESSES) this.#forgetOne();
    if (!this.#has(own, share)) return false;
    if (!isKnown && !this.#has(this.#unknown, 1)) return false;
    own.tokens--;
    if (!isKnown) this.#unknown.tokens--;
    return true;
  }

  /** A connection has ended without a handshake, so most of what it used comes back. */
  refund(hostname: string, isKnown: boolean): void {
    const own = this.#addresses.get(hostname);
    if (own !== undefined) own.tokens += 1 - SILENT_SHARE;
    if (!isKnown) this.#unknown.tokens += 1 - SILENT_SHARE;
  }

  #forgetOne(): void {
    for (const oldest of this.#addresses.keys()) {
      this.#addresses.delete(oldest);
      return;
    }
  }

  #full(share: number): Bucket {
    return { tokens: this.#capacity(share), filledAt: this.#clock.now() };
  }

  #has(bucket: Bucket, share: number): boolean {
    const now = this.#clock.now();
    const gained = share * this.#perSecond * (now - bucket.filledAt) / 1_000;
    bucket.tokens = Math.min(this.#capacity(share), bucket.tokens + gained);
    bucket.filledAt = now;
    return bucket.tokens >= 1;
  }

  /** A single unknown address cannot use up the whole burst. */
  #capacity(share: number): number {
    const part = share < 1 ? 0.75 : 1;
    return Math.max(1, part * BURST_SECONDS * this.#perSecond);
  }
}
