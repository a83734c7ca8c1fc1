import { HEARTBEAT_TOKEN_BYTES } from "../codec/mod.ts";

/** Offset of the mark in a token. In the token of a heartbeat, these bytes are zero. */
const MARK_START = 4;

/**
 * Pings that overtake nothing. The peer answers each one after it has read everything that was sent
 * before, so the answer shows that all of that has arrived.
 */
export class Fences {
  readonly #waiting = new Map<number, () => void>();
  #count = 0;

  /** The token of a new ping, and a promise that resolves with its pong, or at the end. */
  add(): { token: Uint8Array; passed: Promise<void> } {
    const number = this.#count++;
    const { promise: passed, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(number, resolve);
    const token = new Uint8Array(HEARTBEAT_TOKEN_BYTES);
    const view = new DataView(token.buffer);
    view.setUint32(0, number);
    view.setUint32(MARK_START, 1);
    return { token, passed };
  }

  /** Takes a pong. Returns true if it answers one of these pings. */
  pass(token: Uint8Array): boolean {
    const view = new DataView(token.buffer, token.byteOffset);
    if (view.getUint32(MARK_START) !== 1) return false;
    const number = view.getUint32(0);
    const resolve = this.#waiting.get(number);
    this.#waiting.delete(number);
    resolve?.();
    return resolve !== undefined;
  }

  /** The link has ended, so all waiting ends. */
  end(): void {
    for (const resolve of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }
}
