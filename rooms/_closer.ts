import type { Timers } from "../backplane/mod.ts";
import { guarded, type OnError } from "../backplane/errors.ts";
import type { RoomSocket } from "./room_socket.ts";

/** How long a socket may take to close before it is terminated. */
const GRACE_MS = 5_000;

/**
 * The most sockets to end in one turn of the event loop. Each takes some 0.1 ms, and a thousand that
 * were closed together are due together.
 */
const ENDS_PER_TURN = 50;

/** Why sockets are closed. */
export interface CloseReason {
  readonly code: number;
  readonly reason: string;
}

/** Sockets that are due together. */
interface Batch<S> {
  readonly timer: unknown;
  /** What ends each socket that has not closed. */
  readonly ends: Map<S, () => void>;
}

/** Closes sockets, and ends those that do not close in time. */
export class Closer<S extends RoomSocket> implements Disposable {
  readonly #timers: Timers;
  readonly #onError: OnError;
  /** Sockets on their way out, each with its batch. */
  readonly #closing = new Map<S, Batch<S>>();
  /** The batch of this turn. A timer for each of thousands of sockets would cost most of a disconnect. */
  #latest: Batch<S> | undefined;
  /** What a later turn must do: each call ends a socket. */
  #due: (() => void)[] = [];
  #endedInTurn = 0;
  /** Begins the next turn. It is set with the first socket that this turn ends. */
  #turnTimer: unknown;

  /** Starts with nothing to close. */
  constructor(timers: Timers, onError: OnError) {
    this.#timers = timers;
    this.#onError = onError;
  }

  /**
   * Begins to close a socket. False if it cannot even be closed without a code; then it is
   * terminated if that is possible.
   */
  close(socket: S, { code, reason }: CloseReason): boolean {
    try {
      socket.close(code, reason);
      return true;
    } catch {
      // A socket that this process has opened refuses most codes below 3000, in Deno and on the web.
    }
    try {
      socket.close();
      return true;
    } catch (error) {
      this.#onError(error);
      this.terminate(socket);
      return false;
    }
  }

  /** Calls `end` if the socket has not closed within the grace period. */
  watch(socket: S, end: () => void): void {
    // It may have been waited for already.
    this.closed(socket);
    const batch = this.#latest ??= this.#beginBatch();
    batch.ends.set(socket, end);
    this.#closing.set(socket, batch);
  }

  /** Calls `end`, which ends a socket, in this turn or in a later one that has time for it. */
  whenTurnHasTime(end: () => void): void {
    if (this.#endedInTurn === ENDS_PER_TURN) this.#due.push(end);
    else this.#endNow(end);
  }

  /** Ends a socket at once, if that is possible. False if not. */
  terminate(socket: S): boolean {
    if (socket.terminate === undefined) return false;
    guarded(() => socket.terminate?.(), this.#onError);
    return true;
  }

  /** The socket has closed. */
  closed(socket: S): void {
    const batch = this.#closing.get(socket);
    if (batch === undefined) return;
    this.#closing.delete(socket);
    batch.ends.delete(socket);
    if (batch.ends.size > 0) return;
    this.#timers.clearTimeout(batch.timer);
    if (batch === this.#latest) this.#latest = undefined;
  }

  /** Ends all waiting. */
  [Symbol.dispose](): void {
    this.#due = [];
    this.#timers.clearTimeout(this.#turnTimer);
    this.#turnTimer = undefined;
    for (const { timer, ends } of this.#closing.values()) {
      this.#timers.clearTimeout(timer);
      // This may run while these sockets are being ended.
      ends.clear();
    }
    this.#closing.clear();
    this.#latest = undefined;
  }

  #beginBatch(): Batch<S> {
    const batch: Batch<S> = {
      timer: this.#timers.setTimeout(() => this.#isDue(batch), GRACE_MS),
      ends: new Map(),
    };
    queueMicrotask(() => {
      if (batch === this.#latest) this.#latest = undefined;
    });
    return batch;
  }

  #isDue(batch: Batch<S>): void {
    // Fake timers may fire in the turn that has begun the batch.
    if (batch === this.#latest) this.#latest = undefined;
    for (const [socket, end] of batch.ends) {
      this.whenTurnHasTime(() => {
        // It may have closed while it waited for its turn.
        if (!batch.ends.delete(socket)) return;
        this.#closing.delete(socket);
        end();
      });
    }
  }

  #endNow(end: () => void): void {
    this.#endedInTurn++;
    this.#turnTimer ??= this.#timers.setTimeout(() => this.#nextTurn(), 0);
    end();
  }

  #nextTurn(): void {
    this.#turnTimer = undefined;
    this.#endedInTurn = 0;
    while (this.#endedInTurn < ENDS_PER_TURN) {
      const end = this.#due.shift();
      if (end === undefined) return;
      this.#endNow(end);
    }
  }
}
