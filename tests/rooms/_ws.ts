/**
 * npm's `ws`, which has no types of its own. Those of `@types/ws` bring `@types/node`, whose global
 * types clash with Deno's, so the part that matters is written down here.
 */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import * as ws from "ws";

/** What `@types/ws` says of a socket, as far as it concerns a member. */
export interface WsSocket {
  readonly readyState: 0 | 1 | 2 | 3;
  readonly bufferedAmount: number;
  send(data: string | ArrayBufferLike | ArrayBufferView, done?: (error?: Error) => void): void;
  close(code?: number, data?: string | Uint8Array): void;
  terminate(): void;
  addEventListener<Type extends keyof WsEvents>(
    type: Type,
    listener: (event: WsEvents[Type]) => void,
    options?: { once?: boolean; passive?: boolean },
  ): void;
}

interface WsEvents {
  open: { type: string };
  message: { type: string; data: unknown };
  close: { type: string; code: number; reason: string; wasClean: boolean };
}

interface WsServer {
  handleUpgrade(
    request: IncomingMessage,
    stream: Duplex,
    head: Uint8Array,
    accepted: (socket: WsSocket) => void,
  ): void;
}

/** A server for sockets of `ws` that is told of upgrades. */
export function wsServer(): WsServer {
  return new ws.WebSocketServer({ noServer: true });
}
