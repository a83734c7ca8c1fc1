/**
 * The events of a `ServerWebSocket`. They look like those of the web's `WebSocket`, and are plain
 * objects: a real `MessageEvent` costs up to a microsecond.
 */

import type { ServerWebSocket } from "./server_websocket.ts";

/** An event without details: `"open"` or `"drain"`. */
export interface ServerWebSocketEvent<Type extends string = string> {
  /** What it is. */
  readonly type: Type;
  /** The socket that it is about. */
  readonly target: ServerWebSocket;
}

/** A message has come from the client. */
export interface ServerMessageEvent extends ServerWebSocketEvent<"message"> {
  /** A text, or bytes as `binaryType` says. The bytes are the receiver's own. */
  readonly data: string | ArrayBuffer | Uint8Array<ArrayBuffer>;
}

/** The connection has ended. */
export interface ServerCloseEvent extends ServerWebSocketEvent<"close"> {
  /**
   * The code of the client's close frame; 1005 if that had none, 1006 if there was no such frame. If
   * the client has broken the protocol, the code that it was sent: 1002, 1007 or 1009.
   */
  readonly code: number;
  /** The reason that goes with the code, or an empty text. */
  readonly reason: string;
  /** True if the client has sent a close frame. */
  readonly wasClean: boolean;
}

/** The events by their type. */
export interface ServerWebSocketEventMap {
  /** Once, a microtask after the socket was accepted. */
  open: ServerWebSocketEvent<"open">;
  /** For each message. */
  message: ServerMessageEvent;
  /** Once, when the connection has ended. */
  close: ServerCloseEvent;
  /** The system has taken everything that had piled up because the client did not read. */
  drain: ServerWebSocketEvent<"drain">;
}

/**
 * Handles an event. If it throws, or its promise rejects, the error goes to `onError` of the
 * socket's options.
 */
export type ServerWebSocketHandler<Type extends keyof ServerWebSocketEventMap> = (
  event: ServerWebSocketEventMap[Type],
) => unknown;

/** A {@linkcode ServerWebSocketHandler}, or an object with one as its method. */
export type ServerWebSocketListener<Type extends keyof ServerWebSocketEventMap> =
  | ServerWebSocketHandler<Type>
  | {
    /** Called with each event. */
    handleEvent: ServerWebSocketHandler<Type>;
  };

/** Options of `addEventListener`. */
export interface ServerWebSocketListenerOptions {
  /** True: the listener is called only once. */
  once?: boolean;
  /** Ends the listener when it is aborted. */
  signal?: AbortSignal;
}
