/**
 * What `Rooms` needs from a socket. The web's `WebSocket`, the sockets of npm's `ws` and
 * `ServerWebSocket` have it.
 */
export interface RoomSocket {
  /** 0 connecting, 1 open, 2 closing, 3 closed. */
  readonly readyState: number;
  /** Bytes that were given to `send` and have not left the process. */
  readonly bufferedAmount: number;
  /**
   * Sends a text message, or bytes as a binary message. The socket may keep the bytes, which other
   * members get as well, and must not modify them.
   */
  send(data: string | Uint8Array): void;
  /** Begins to close. */
  close(code?: number, reason?: string): void;
  /**
   * Closes at once, without a closing handshake. `ServerWebSocket` and `ws` have it, the web's
   * `WebSocket` does not.
   */
  terminate?(): void;
  /**
   * Sends one complete WebSocket frame, header included, as it goes from a server to a client. All
   * members get the same memory and must not modify it. `Rooms` prefers it to `send`.
   */
  sendFrame?(frame: Uint8Array): void;
  /**
   * Like `sendFrame`, but the frame may be part of a larger memory, which costs `Rooms` less. A socket
   * must copy a frame that it keeps for longer than a turn of the event loop, or it keeps all of that
   * memory alive. `ServerWebSocket` has this method. `Rooms` prefers it to `sendFrame`.
   */
  sendPooledFrame?(frame: Uint8Array): void;
  /** Calls `listener` when the socket has opened or closed. */
  addEventListener(
    type: "close" | "open",
    listener: () => void,
    options?: { once?: boolean },
  ): void;
}

/** `readyState` of a socket that is not open yet. */
export const CONNECTING = 0;
/** `readyState` of a socket that can send. */
export const OPEN = 1;
/** `readyState` of a socket that has begun to close. From here on, it cannot send again. */
export const CLOSING = 2;
