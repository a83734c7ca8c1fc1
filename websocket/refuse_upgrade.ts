import { Refusal } from "./_handshake.ts";
import { refuse } from "./_refuse.ts";
import type { UpgradeStream } from "./upgrade.ts";

/**
 * Answers an upgrade request with an error and closes its stream, for servers that refuse before
 * they call `acceptWebSocket`: because they are full, shutting down, or do not know the client.
 *
 * @param status the HTTP status: a whole number from 400 to 599.
 * @param reason one line for people, which becomes the body of the answer.
 * @throws {RangeError} if `status` is out of range.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 * import { acceptWebSocket, refuseUpgrade } from "@roomcast/roomcast/websocket";
 * import { Rooms } from "@roomcast/roomcast/rooms";
 *
 * const rooms = new Rooms();
 * const server = createServer((_request, response) => response.writeHead(426).end());
 * server.on("upgrade", (request, stream, head) => {
 *   if (rooms.draining) return refuseUpgrade(stream, 503, "the server is restarting");
 *   const socket = acceptWebSocket(request, stream, head);
 *   if (socket !== undefined) rooms.join(socket, "lobby");
 * });
 * ```
 */
export function refuseUpgrade(stream: UpgradeStream, status: number, reason: string): void {
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError(`status must be a whole number from 400 to 599, got ${status}`);
  }
  // The client may hang up while it is answered.
  stream.on("error", () => {});
  if (!stream.destroyed) refuse(stream, new Refusal(status, reason));
}
