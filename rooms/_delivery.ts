import type { Payload } from "./_payload.ts";
import type { DeliveryReport } from "./reports.ts";
import { OPEN, type RoomSocket } from "./room_socket.ts";

/** What to do about slow sockets. */
export interface SlowSockets<S> {
  /** Called for each message that a socket is too slow for. Must not throw. */
  slow(socket: S, isFirst: boolean): void;
}

/** Sends to sockets, and tells the slow ones from the others. */
export class Delivery<S extends RoomSocket> {
  readonly #maxBufferedBytes: number;
  readonly #slowSockets: SlowSockets<S>;
  /** Sockets whose episode of being slow has not ended. */
  readonly #slow = new Set<S>();

  /** A socket with more than `maxBufferedBytes` unsent is slow. */
  constructor(maxBufferedBytes: number, slowSockets: SlowSockets<S>) {
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#slowSockets = slowSockets;
  }

  /** Sends to each socket. A socket that fails does not affect the others. */
  deliver(sockets: readonly S[], payload: Payload): DeliveryReport {
    let sent = 0;
    let slow = 0;
    let failed = 0;
    let frame: Uint8Array | undefined;
    let ownFrame: Uint8Array | undefined;
    for (const socket of sockets) {
      try {
        if (socket.readyState !== OPEN) continue;
        // Checked before the queue grows, because `close` has to wait for what is unsent.
        if (socket.bufferedAmount > this.#maxBufferedBytes) {
          slow++;
          this.#isSlow(socket);
          continue;
        }
        if (this.#slow.size > 0) this.#hasRecovered(socket);
        if (socket.sendPooledFrame !== undefined) socket.sendPooledFrame(frame ??= payload.frame);
        else if (socket.sendFrame === undefined) socket.send(payload.data);
        else socket.sendFrame(ownFrame ??= inOwnMemory(payload.frame));
        sent++;
      } catch {
        failed++;
      }
    }
    return { sent, slow, failed };
  }

  /** The socket has closed, or is on its way out. */
  forget(socket: S): void {
    if (this.#slow.size > 0) this.#slow.delete(socket);
  }

  /** Forgets all sockets. */
  clear(): void {
    this.#slow.clear();
  }

  #isSlow(socket: S): void {
    const isFirst = !this.#slow.has(socket);
    if (isFirst) this.#slow.add(socket);
    this.#slowSockets.slow(socket, isFirst);
  }

  /**
   * An episode ends when half of the limit is free. Otherwise each message would begin a new one.
   */
  #hasRecovered(socket: S): void {
    if (2 * socket.bufferedAmount <= this.#maxBufferedBytes) this.#slow.delete(socket);
  }
}

function inOwnMemory(frame: Uint8Array): Uint8Array {
  return frame.length === frame.buffer.byteLength ? frame : frame.slice();
}
