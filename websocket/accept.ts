import { Buffer } from "node:buffer";
import { Refusal, shakeHands } from "./_handshake.ts";
import { refuse } from "./_refuse.ts";
import { type AcceptOptions, resolveOptions } from "./options.ts";
import { openSocket, type ServerWebSocket } from "./server_websocket.ts";
import type { UpgradeRequest, UpgradeStream } from "./upgrade.ts";

/**
 * Accepts a WebSocket, given what the `"upgrade"` event of a server of `node:http` or `node:https`
 * passes on. Returns undefined if the request has been refused and answered, or its client is
 * already gone.
 *
 * | refused with | because |
 * | --- | --- |
 * | 400 | the request is not a valid opening of a WebSocket over HTTP/1.1 |
 * | 403 | its `Origin` may not connect |
 * | 405 | its method is not GET |
 * | 426 | it asks for a version of the protocol other than 13 |
 * | 500 | `origins` has thrown, or returned something other than a boolean; the error is printed |
 *
 * Call it in the listener itself. A listener that awaits something first must give the stream an
 * `"error"` listener before that: a client may hang up at any moment, and an error without a
 * listener ends the process. Only HTTP/1.1 is spoken; browsers fall back to it by themselves.
 *
 * @throws {TypeError} if an option has the wrong shape.
 * @throws {RangeError} if an option is out of range. Neither depends on what the client sends.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { acceptWebSocket } from "@roomcast/roomcast/websocket";
 *
 * const server = createServer((_request, response) => response.writeHead(426).end());
 * server.on("upgrade", (request, stream, head) => {
 *   const socket = acceptWebSocket(request, stream, head, { origins: ["https://chat.example"] });
 *   if (socket === undefined) return; // refused, and answered
 *   socket.onmessage = ({ data }) => socket.send(data);
 * });
 * ```
 */
export function acceptWebSocket(
  request: UpgradeRequest,
  stream: UpgradeStream,
  head: Uint8Array,
  options: AcceptOptions = {},
): ServerWebSocket | undefined {
  // First of all: the client may hang up while it is answered.
  stream.on("error", ignoreError);
  const settings = resolveOptions(options);
  if (stream.destroyed) return undefined;
  // The server's limits on how long a request may take do not apply to what follows.
  stream.setTimeout?.(0);
  stream.setNoDelay?.(true);
  const result = judge(() => shakeHands(request, settings));
  if (result instanceof Refusal) {
    refuse(stream, result);
    return undefined;
  }
  stream.write(Buffer.from(result.head, "latin1"));
  const { protocol, deflate } = result;
  return openSocket({ stream, head, settings, protocol, windowBits: deflate?.windowBits });
}

/** The stream closes after an error, and that is what counts. */
function ignoreError(): void {}

function judge<T>(shake: () => T): T | Refusal {
  try {
    return shake();
  } catch (error) {
    console.error("A WebSocket could not be accepted:", error);
    return new Refusal(500, "internal error");
  }
}
