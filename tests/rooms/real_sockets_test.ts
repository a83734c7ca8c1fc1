import { assertEquals } from "@std/assert";
import { createServer, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { Rooms, type RoomSocket, type RoomsOptions } from "../../rooms/mod.ts";
import { acceptWebSocket, type ServerWebSocket } from "../../websocket/mod.ts";
import { wsServer, type WsSocket } from "./_ws.ts";

/** Sockets of every kind, mixed in one room, on real connections. */

type AnySocket = WebSocket | WsSocket | ServerWebSocket;
type Kind = "deno" | "ws" | "endpoint";
const KINDS: readonly Kind[] = ["deno", "ws", "endpoint"];

interface Lobby {
  readonly rooms: Rooms<AnySocket>;
  /** A client whose socket is in the lobby. */
  connect(kind: Kind): Promise<{ client: WebSocket; socket: AnySocket }>;
  /** A client that shakes hands and never reads again. */
  connectStalled(kind: Kind): Promise<{ client: Deno.Conn; socket: AnySocket }>;
}

/** Runs `run` with two servers whose sockets all join the lobby, and ends all that is left. */
async function withLobby(options: RoomsOptions, run: (lobby: Lobby) => Promise<void>) {
  using rooms = new Rooms<AnySocket>(options);
  const closed: Promise<unknown>[] = [];
  const clients: WebSocket[] = [];
  let next = Promise.withResolvers<AnySocket>();
  const join = (socket: AnySocket) => {
    closed.push(closeOf(socket));
    rooms.join(socket, "lobby");
    next.resolve(socket);
    next = Promise.withResolvers();
  };
  const deno = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.addEventListener("open", () => join(socket));
    return response;
  });
  const streams = new Set<Duplex>();
  const wss = wsServer();
  const node = createServer().on("upgrade", (request, stream, head) => {
    streams.add(stream);
    stream.on("close", () => streams.delete(stream));
    if (request.url === "/ws") return wss.handleUpgrade(request, stream, head, join);
    const socket = acceptWebSocket(request, stream, head, { origins: () => true });
    if (socket !== undefined) join(socket);
  });
  const nodePort = await listen(node);
  const portOf = (kind: Kind) => kind === "deno" ? deno.addr.port : nodePort;
  try {
    await run({
      rooms,
      async connect(kind) {
        const joined = next.promise;
        const client = new WebSocket(`ws://127.0.0.1:${portOf(kind)}/${kind}`);
        client.binaryType = "arraybuffer";
        clients.push(client);
        await nextEvent(client, "open");
        return { client, socket: await joined };
      },
      async connectStalled(kind) {
        const joined = next.promise;
        const client = await Deno.connect({ hostname: "127.0.0.1", port: portOf(kind) });
        const request =
          `GET /${kind} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
        await client.write(new TextEncoder().encode(request));
        return { client, socket: await joined };
      },
    });
  } finally {
    const clientsClosed = clients.map((client) =>
      client.readyState === WebSocket.CLOSED ? undefined : nextEvent(client, "close")
    );
    for (const client of clients) client.close();
    await Promise.all(clientsClosed);
    for (const stream of streams) stream.destroy();
    await Promise.all(closed);
    await new Promise<void>((resolve) => node.close(() => resolve()));
    await deno.shutdown();
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  return address.port;
}

function nextEvent<E extends Event>(target: EventTarget, type: string): Promise<E> {
  return new Promise((resolve) => {
    target.addEventListener(type, (event) => resolve(event as E), { once: true });
  });
}

function closeOf(socket: RoomSocket): Promise<void> {
  return new Promise((resolve) => {
    socket.addEventListener("close", () => resolve(), { once: true });
  });
}

/** The next messages that each client hears. */
function hear(clients: readonly WebSocket[], count: number): Promise<unknown[][]> {
  return Promise.all(clients.map((client) => {
    const heard: unknown[] = [];
    return new Promise<unknown[]>((resolve) => {
      client.onmessage = ({ data }) => {
        heard.push(data);
        if (heard.length === count) resolve(heard);
      };
    });
  }));
}

Deno.test("every kind of socket can be a member, alone and together in one Rooms", () => {
  // Checked by the compiler.
  const kinds = {
    web: (socket: WebSocket): RoomSocket => socket,
    ws: (socket: WsSocket): RoomSocket => socket,
    endpoint: (socket: ServerWebSocket): RoomSocket => socket,
    mixed: (rooms: Rooms<AnySocket>): Rooms<RoomSocket> => rooms,
    byDefault: (rooms: Rooms, socket: AnySocket): boolean => rooms.join(socket, "lobby"),
  };
  assertEquals(Object.keys(kinds).length, 5);
});

Deno.test("sockets of Deno, of ws and of the endpoint hear text and bytes in one room", async () => {
  await withLobby({}, async ({ rooms, connect }) => {
    const clients: WebSocket[] = [];
    for (const kind of KINDS) clients.push((await connect(kind)).client);
    const bytes = Uint8Array.of(0, 255, 7);
    const messages = ["naïve 🎉", "", "long ".repeat(20_000)];
    const heard = hear(clients, messages.length + 3);

    for (const message of messages) assertEquals(rooms.broadcast("lobby", message).sent, 3);
    rooms.broadcast("lobby", bytes);
    rooms.broadcast("lobby", new ArrayBuffer(0));
    rooms.broadcast("lobby", "half \ud83d");

    for (const one of await heard) {
      assertEquals(one, [...messages, bytes.buffer, new ArrayBuffer(0), "half \ufffd"]);
    }
  });
});

Deno.test("sockets of every kind leave when their clients close, and are closed by disconnect", async () => {
  await withLobby({}, async ({ rooms, connect }) => {
    for (const kind of KINDS) {
      const { client, socket } = await connect(kind);
      const closed = closeOf(socket);
      client.close();
      await closed;
      assertEquals([rooms.roomCount, rooms.socketCount], [0, 0], kind);
    }
    const clients: WebSocket[] = [];
    for (const kind of KINDS) clients.push((await connect(kind)).client);
    const closes = Promise.all(clients.map((client) => nextEvent<CloseEvent>(client, "close")));
    assertEquals(rooms.disconnect("lobby", { code: 4001, reason: "signed out" }).sent, 3);
    for (const { code, reason } of await closes) {
      assertEquals([code, reason], [4001, "signed out"]);
    }
  });
});

Deno.test("draining closes sockets of every kind with 1012", async () => {
  await withLobby({}, async ({ rooms, connect }) => {
    const clients: WebSocket[] = [];
    for (const kind of KINDS) clients.push((await connect(kind)).client);
    const closes = Promise.all(clients.map((client) => nextEvent<CloseEvent>(client, "close")));
    assertEquals(await rooms.drain({ overMs: 30 }), 3);
    assertEquals((await closes).map(({ code }) => code), [1012, 1012, 1012]);
  });
});

Deno.test("a burst above the limit within one turn leaves a member on the endpoint in its room", async () => {
  await withLobby({ maxBufferedBytes: 256 * 1024 }, async ({ rooms, connect }) => {
    const { client } = await connect("endpoint");
    const heard = hear([client], 20);
    const message = "m".repeat(64 * 1024);
    for (let i = 0; i < 20; i++) assertEquals(rooms.broadcast("lobby", message).sent, 1);
    assertEquals((await heard)[0].length, 20);
    assertEquals(rooms.totals.slow, 0);
  });
});

for (const kind of ["ws", "endpoint"] as const) {
  Deno.test(`a client of ${kind} that stops reading is out of its room, and then terminated`, async () => {
    await withLobby(
      { maxBufferedBytes: 256 * 1024 },
      async ({ rooms, connect, connectStalled }) => {
        const reader = await connect("endpoint");
        const { client, socket } = await connectStalled(kind);
        const slow = nextEvent<Event & { socket: AnySocket }>(rooms, "slow");
        const message = "m".repeat(64 * 1024);
        let sent = 0;
        while (rooms.totals.slow === 0) {
          const arrived = nextEvent(reader.client, "message");
          sent += rooms.broadcast("lobby", message).sent;
          await arrived;
        }
        assertEquals((await slow).socket, socket);
        assertEquals(rooms.members("lobby"), [reader.socket]);
        assertEquals(socket.readyState, WebSocket.CLOSING);
        await closeOf(socket); // within the grace, although the client never reads
        assertEquals([socket.readyState, sent > 0], [WebSocket.CLOSED, true]);
        client.close();
      },
    );
  });
}

Deno.test("a slow socket that this process opened is closed, although it refuses 1013", async () => {
  const upstreamClosed = Promise.withResolvers<void>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onclose = () => upstreamClosed.resolve();
    return response;
  });
  const upstream = new WebSocket(`ws://127.0.0.1:${server.addr.port}`);
  await nextEvent(upstream, "open");
  const errors: unknown[] = [];
  const rooms = new Rooms({ onError: (error) => errors.push(error) });
  rooms.join(upstream, "lobby");
  const closed = nextEvent(upstream, "close");

  // All that is sent within one turn counts as unsent.
  for (let i = 0; i < 30; i++) rooms.broadcast("lobby", "x".repeat(50_000));

  assertEquals([rooms.totals.slow, rooms.roomsOf(upstream)], [1, []]);
  assertEquals(upstream.readyState, WebSocket.CLOSING);
  await Promise.all([closed, upstreamClosed.promise]);
  assertEquals([upstream.readyState, errors], [WebSocket.CLOSED, []]);
  await server.shutdown();
});

Deno.test("upgrades that their clients abandon leave nothing in any room", async () => {
  const script = new URL("./_abandoned_upgrades.ts", import.meta.url).pathname;
  const args = ["run", "--no-check", "--allow-net", script];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  assertEquals(JSON.parse(new TextDecoder().decode(stdout)), {
    joins: [true, true, true, true, true],
    before: [0, 0, 0],
    after: [0, 0, 0],
  });
});
