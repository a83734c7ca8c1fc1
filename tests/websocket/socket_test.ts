import { assertEquals } from "@std/assert";
import type { RoomSocket } from "../../rooms/mod.ts";
import { SOCKET } from "./cases/socket.ts";
import { accept, endAll } from "./_fake_stream.ts";

for (const [name, run] of Object.entries(SOCKET)) Deno.test(name, run);

/** All that a room makes use of, where a socket has it. */
interface WholeRoomSocket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  terminate?(): void;
  sendFrame?(frame: Uint8Array): void;
  addEventListener(
    type: "close" | "open",
    listener: () => void,
    options?: { once?: boolean },
  ): void;
}

Deno.test("a ServerWebSocket can be a member of a room, and looks like the web's socket", async () => {
  const { socket } = accept();
  const member: RoomSocket = socket;
  const whole: WholeRoomSocket = socket;
  assertEquals([member.readyState, whole.bufferedAmount], [1, 0]);
  // Written for the web's, with its events.
  socket.onmessage = (event: { data: unknown }) => event.data;
  socket.onclose = (
    { code, reason, wasClean }: Pick<CloseEvent, "code" | "reason" | "wasClean">,
  ) => [code, reason, wasClean];
  await endAll(socket);
});
