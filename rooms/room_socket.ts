/**
 * What `Rooms` needs of a socket. The web's `WebSocket` has it, and so has that of npm's `ws`.
 */
export interface RoomSocket {
  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** Bytes that were given to `send` and have not left the process. */
  readonly bufferedAmount: number;
  /** Sends a text message. */
  send(data: string): void;
  /** Begins to close. */
  close(code?: number, reason?: string): void;
  /** Closes at once, without a closing handshake. `ws` has it, the web's `WebSocket` does not. */
  terminate?(): void;
  /** Has `listener` called when the socket has closed. */
  addEventListener(type: "close", listener: () => void, options?: { once?: boolean }): void;
}

/** `readyState` of a socket that can send. */
export const OPEN = 1;
/** `readyState` from which on there is no way back. */
export const CLOSING = 2;
