import { assertEquals, assertThrows } from "@std/assert";
import { Rooms } from "../../rooms/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { collectGarbage } from "./_collect.ts";
import { FakeBackplane } from "./_fake_backplane.ts";
import { ConnectingSocket, FakeSocket } from "./_fake_socket.ts";

Deno.test("a connecting socket may join, and is in no list, count or interest until it opens", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const socket = new ConnectingSocket();

  assertEquals([rooms.join(socket, "lobby"), rooms.join(socket, "lobby")], [true, false]);
  assertEquals(rooms.join(socket, "hall"), true);
  assertEquals(rooms.broadcast("lobby", "early").sent, 0);
  assertEquals([rooms.members("lobby"), rooms.roomsOf(socket), [...rooms.sockets()]], [[], [], []]);
  assertEquals([rooms.roomCount, rooms.socketCount, backplane.open.size], [0, 0, 0]);

  socket.emitOpen();
  assertEquals([rooms.members("lobby"), rooms.roomsOf(socket)], [[socket], ["lobby", "hall"]]);
  assertEquals([rooms.roomCount, rooms.socketCount], [2, 1]);
  assertEquals([...backplane.open], ["lobby", "hall"]);
  assertEquals(rooms.broadcast("lobby", "now").sent, 1);
  assertEquals(socket.heard, ["now"]);
  assertEquals(rooms.join(socket, "lobby"), false);
});

Deno.test("leave and leaveAll cancel the join of a connecting socket", () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new ConnectingSocket();
  for (const room of ["a", "b", "c"]) rooms.join(socket, room);
  assertEquals([rooms.leave(socket, "a"), rooms.leave(socket, "a")], [true, false]);
  assertEquals(rooms.leaveAll(socket), 2);
  rooms.join(socket, "d");
  socket.emitOpen();
  assertEquals(rooms.roomsOf(socket), ["d"]);
});

Deno.test("a connecting socket that closes instead of opening leaves nothing", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const socket = new ConnectingSocket();
  rooms.join(socket, "lobby");
  socket.emitClose();
  assertEquals([rooms.roomCount, rooms.socketCount, backplane.open.size], [0, 0, 0]);
  assertEquals(rooms.leaveAll(socket), 0);
});

Deno.test("a connecting socket gets two listeners, however often it joins and leaves", () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new ConnectingSocket();
  for (let i = 0; i < 100; i++) {
    rooms.join(socket, `room ${i}`);
    rooms.join(socket, "lobby");
    rooms.leaveAll(socket);
  }
  socket.emitOpen();
  for (let i = 0; i < 100; i++) rooms.join(socket, `room ${i}`);
  assertEquals(socket.listenersAdded, 2);
});

Deno.test("an open handler that runs before ours already finds the socket a member", () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new ConnectingSocket();
  const seen: unknown[] = [];
  socket.addEventListener("open", () => {
    seen.push(rooms.roomsOf(socket), rooms.join(socket, "lobby"), rooms.leave(socket, "lobby"));
  });
  rooms.join(socket, "lobby");
  socket.emitOpen();
  assertEquals(seen, [["lobby"], false, true]);
  assertEquals(rooms.roomsOf(socket), []);
});

Deno.test("a connecting socket is closed when it opens while draining, and joins nothing", async () => {
  const rooms = new Rooms<FakeSocket>({ timers: new FakeTimers() });
  const socket = new ConnectingSocket();
  rooms.join(socket, "lobby");
  assertEquals(await rooms.drain({ code: 4000, reason: "restart" }), 0);
  socket.emitOpen();
  assertEquals(socket.closeCalls, [{ code: 4000, reason: "restart" }]);
  assertEquals(rooms.roomCount, 0);
});

Deno.test("a connecting socket that opens after its Rooms was disposed joins nothing", () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new ConnectingSocket();
  rooms.join(socket, "lobby");
  rooms[Symbol.dispose]();
  socket.emitOpen();
  assertEquals([rooms.roomCount, socket.closeCalls], [0, []]);
});

Deno.test("a socket that never opens can be collected", async () => {
  const rooms = new Rooms<FakeSocket>();
  const join = (socket: FakeSocket) => {
    rooms.join(socket, "lobby");
    return new WeakRef(socket);
  };
  const [connecting, open] = [join(new ConnectingSocket()), join(new FakeSocket())];
  await collectGarbage();
  assertEquals([connecting.deref(), open.deref()?.readyState], [undefined, 1]);
  assertEquals(rooms.socketCount, 1);
});

Deno.test("an object without events never becomes a member, however often it tries", () => {
  const rooms = new Rooms();
  const deaf = { ...new FakeSocket(), addEventListener: undefined } as unknown as FakeSocket;
  for (let i = 0; i < 2; i++) assertThrows(() => rooms.join(deaf, "lobby"), TypeError);
  assertEquals([rooms.socketCount, rooms.roomCount], [0, 0]);
});
