import type { Timers } from "../backplane/mod.ts";
import type { Closer, CloseReason } from "./_closer.ts";
import { CLOSING, type RoomSocket } from "./room_socket.ts";

/** How long sockets may take to close after the last has been told to. */
const GRACE_MS = 10_000;

/** Most steps of a drain, each with a timer of its own, so that late timers do not add up. */
const MAX_STEPS = 1000;

/** The owner of the sockets. */
export interface DrainOwner<S> {
  /** Gives up a socket that neither closes nor can be terminated. */
  leaveAll(socket: S): unknown;
}

/** Settings of a {@linkcode Drain}. */
export interface DrainSettings<S> {
  readonly overMs: number;
  readonly why: CloseReason;
  readonly owner: DrainOwner<S>;
}

/** Closes sockets evenly over a time, and waits until they have closed. */
export class Drain<S extends RoomSocket> implements Disposable {
  /** Resolves with the number of sockets that it has closed. */
  readonly done: Promise<number>;
  /** Why sockets are closed. */
  readonly why: CloseReason;
  readonly #overMs: number;
  readonly #owner: DrainOwner<S>;
  readonly #closer: Closer<S>;
  readonly #timers: Timers;
  readonly #resolve: (closed: number) => void;
  readonly #pending = new Set<unknown>();
  /** Sockets that have not been told to close yet. */
  readonly #waiting = new Set<S>();
  /** Sockets that have been told to close. */
  readonly #closing = new Set<S>();
  #isGracePeriod = false;
  #closed = 0;

  /** Closes nothing before {@linkcode start}. */
  constructor({ overMs, why, owner }: DrainSettings<S>, closer: Closer<S>, timers: Timers) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.done = promise;
    this.why = why;
    this.#overMs = overMs;
    this.#owner = owner;
    this.#closer = closer;
    this.#timers = timers;
    this.#resolve = resolve;
  }

  /** Begins, and closes the first sockets at once. */
  start(sockets: readonly S[]): void {
    for (const socket of sockets) this.#waiting.add(socket);
    const steps = Math.max(1, Math.min(MAX_STEPS, sockets.length, this.#overMs));
    for (let step = 1; step < steps; step++) {
      const left = Math.floor(sockets.length * (steps - step - 1) / steps);
      this.#after(this.#overMs * step / steps, () => this.#closeAllBut(left));
    }
    this.#closeAllBut(Math.floor(sockets.length * (steps - 1) / steps));
  }

  /** A socket has closed, perhaps by itself before its turn came. */
  closed(socket: S): void {
    this.#waiting.delete(socket);
    if (this.#closing.delete(socket)) this.#closed++;
    this.#check();
  }

  /** Stops at once. */
  [Symbol.dispose](): void {
    for (const timer of this.#pending) this.#timers.clearTimeout(timer);
    this.#pending.clear();
    this.#waiting.clear();
    this.#closing.clear();
    this.#resolve(this.#closed);
  }

  #closeAllBut(left: number): void {
    for (const socket of this.#waiting) {
      if (this.#waiting.size <= left) break;
      this.#waiting.delete(socket);
      if (socket.readyState > CLOSING) continue;
      // Before `close`, which may call `closed` at once.
      this.#closing.add(socket);
      if (socket.readyState < CLOSING) this.#closer.close(socket, this.why);
    }
    this.#check();
  }

  #check(): void {
    if (this.#waiting.size > 0) return;
    if (this.#closing.size === 0) return this[Symbol.dispose]();
    if (this.#isGracePeriod) return;
    this.#isGracePeriod = true;
    this.#after(GRACE_MS, () => this.#giveUpAll());
  }

  #giveUpAll(): void {
    for (const socket of [...this.#closing]) {
      this.#closer.whenTurnHasTime(() => this.#giveUp(socket));
    }
  }

  #giveUp(socket: S): void {
    // It may have closed while it waited for its turn.
    if (!this.#closing.has(socket)) return;
    if (this.#closer.terminate(socket)) return this.closed(socket);
    this.#closing.delete(socket);
    this.#owner.leaveAll(socket);
    this.#check();
  }

  #after(delayMs: number, run: () => void): void {
    const timer = this.#timers.setTimeout(() => {
      this.#pending.delete(timer);
      run();
    }, delayMs);
    this.#pending.add(timer);
  }
}
