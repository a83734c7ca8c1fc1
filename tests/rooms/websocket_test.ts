import { assert, assertEquals } from "@std/assert";
import { Rooms, type RoomSocket, type RoomsOptions } from "../../mod.ts";

/** A server that puts every socket into the lobby; real sockets, as an application has them. */
async function serve(
  options: RoomsOptions,
  run: (
    lobby: { rooms: Rooms; port: number; joined: (count: number) => Promise<void> },
  ) => Promise<void>,
): Promise<void> {
  const rooms = new Rooms(options);
  let changed = Promise.withResolvers<void>();
  const closed: Promise<void>[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    closed.push(new Promise((resolve) => socket.addEventListener("close", () => resolve())));
    // Joined before it is open, which is allowed.
    rooms.join(socket, "lobby");
    const notify = () => {
      changed.resolve();
      changed = Promise.withResolvers();
    };
    for (const type of ["open", "close"]) socket.addEventListener(type, notify);
    return response;
  });
  const isOpen = (socket: RoomSocket) => socket.readyState === WebSocket.OPEN;
  const joined = async (count: number) => {
    while (rooms.members("lobby").filter(isOpen).length !== count) await changed.promise;
  };
  try {
    await run({ rooms, port: server.addr.port, joined });
  } finally {
    await Promise.all(closed);
    await server.shutdown();
  }
}

function next(target: EventTarget, type: string): Promise<unknown> {
  return new Promise((resolve) => target.addEventListener(type, resolve, { once: true }));
}

Deno.test("real WebSockets hear a broadcast, and leave their rooms when they close", async () => {
  await serve({}, async ({ rooms, port, joined }) => {
    const clients = [0, 1].map(() => new WebSocket(`ws://127.0.0.1:${port}`));
    await joined(2);

    const heard = Promise.all(clients.map((client) => next(client, "message")));
    assertEquals(rooms.broadcast("lobby", "hello 🎉").sent, 2);
    const messages = await heard;
    assertEquals(messages.map((event) => (event as MessageEvent).data), ["hello 🎉", "hello 🎉"]);

    clients[0].close();
    await next(clients[0], "close");
    await joined(1);
    clients[1].close();
    await next(clients[1], "close");
    await joined(0);
    assertEquals([rooms.roomCount, rooms.socketCount], [0, 0]);
  });
});

Deno.test("a client that stops reading is out of its room, and the others go on hearing", async () => {
  await serve({ maxBufferedBytes: 256 * 1024 }, async ({ rooms, port, joined }) => {
    const reader = new WebSocket(`ws://127.0.0.1:${port}`);
    await joined(1);
    // It shakes hands and never reads again.
    using stalled = await Deno.connect({ hostname: "127.0.0.1", port });
    const request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    await stalled.write(new TextEncoder().encode(request));
    await joined(2);

    const message = "m".repeat(64 * 1024);
    let heard = 0;
    let sent = 0;
    let slow = 0;
    const stalledSocket = rooms.members("lobby").at(-1);
    let maxBuffered = 0;
    while (slow === 0) {
      const arrived = next(reader, "message");
      const report = rooms.broadcast("lobby", message);
      maxBuffered = Math.max(maxBuffered, stalledSocket?.bufferedAmount ?? 0);
      slow += report.slow;
      sent++;
      await arrived;
      heard++;
    }

    assertEquals(heard, sent);
    assertEquals(rooms.members("lobby").length, 1);
    assertEquals(stalledSocket?.readyState, WebSocket.CLOSING);
    // What the documentation promises to be the bound.
    assert(maxBuffered <= 256 * 1024 + message.length, `${maxBuffered} bytes unsent`);
    assertEquals(rooms.broadcast("lobby", "for the others"), {
      sent: 1,
      slow: 0,
      failed: 0,
      peers: 0,
      dropped: 0,
    });
    reader.close();
    await next(reader, "close");
  });
});
