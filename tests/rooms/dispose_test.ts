import { assertEquals } from "@std/assert";
import { encodeRoomBroadcast } from "../../codec/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { FakeBackplane } from "./_fake_backplane.ts";
import { FakeSocket, TerminableSocket } from "./_fake_socket.ts";

Deno.test("a missed event of the backplane is passed on, and counted", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms({ backplane });
  const events: unknown[] = [];
  rooms.addEventListener("missed", ({ from, count }) => events.push([from, count]));
  backplane.miss("node 7", 5);
  backplane.miss();
  assertEquals([events, rooms.totals.missed], [[["node 7", 5], [undefined, undefined]], 6]);
});

Deno.test("a disposed Rooms unsubscribes, closes its rooms and forgets its sockets", () => {
  const timers = new FakeTimers();
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane, timers });
  const [socket, slow] = [new FakeSocket(), new TerminableSocket()];
  rooms.join(socket, "lobby");
  rooms.join(slow, "hall");
  slow.bufferedAmount = 2 ** 21;
  slow.closes = false;
  rooms.broadcast("hall", "x");
  const listener = rooms.listen("orders", () => {});
  const published = backplane.published.length;

  rooms[Symbol.dispose]();
  rooms[Symbol.dispose]();

  assertEquals([backplane.subscriptions, backplane.missedListeners.size], [0, 0]);
  assertEquals([backplane.open.size, timers.pending], [0, 0]);
  assertEquals([rooms.roomCount, rooms.socketCount, rooms.roomsOf(socket)], [0, 0, []]);
  assertEquals([socket.closeCalls, socket.readyState], [[], 1]);
  backplane.bring(encodeRoomBroadcast("lobby", "late"));
  assertEquals(rooms.join(socket, "lobby"), false);
  assertEquals(rooms.broadcast("lobby", "x"), {
    sent: 0,
    slow: 0,
    failed: 0,
    peers: 0,
    dropped: 0,
  });
  assertEquals(rooms.disconnect("lobby").sent, 0);
  listener[Symbol.dispose]();
  rooms.listen("lobby", () => {})[Symbol.dispose]();
  socket.emitClose();
  assertEquals([socket.heard, backplane.published.length, backplane.open.size], [[], published, 0]);
});

Deno.test("sockets gives every socket in a room once", () => {
  const rooms = new Rooms<FakeSocket>();
  const sockets = Array.from({ length: 5 }, () => new FakeSocket());
  for (const socket of sockets) for (const room of ["a", "b"]) rooms.join(socket, room);
  rooms.leaveAll(sockets[1]);
  rooms.leave(sockets[2], "a");
  const all = rooms.sockets();
  sockets[3].emitClose();
  assertEquals(new Set(all), new Set([sockets[0], sockets[2], sockets[3], sockets[4]]));
  assertEquals([...rooms.sockets()].length, 3);
});
