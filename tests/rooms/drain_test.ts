import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { Rooms } from "../../rooms/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { FakeSocket, TerminableSocket } from "./_fake_socket.ts";

function setUp(count: number, room = "lobby") {
  const timers = new FakeTimers();
  const rooms = new Rooms<FakeSocket>({ timers });
  const sockets = Array.from({ length: count }, () => new FakeSocket());
  for (const socket of sockets) rooms.join(socket, room);
  return { timers, rooms, sockets };
}

const countClosed = (sockets: FakeSocket[]) =>
  sockets.filter((socket) => socket.closeCalls.length > 0).length;

Deno.test("drain closes sockets evenly over the time, with 1012, and resolves with their number", async () => {
  const { timers, rooms, sockets } = setUp(10);
  const drained = rooms.drain({ overMs: 1_000 });
  assertEquals([rooms.draining, countClosed(sockets)], [true, 1]);
  for (let closed = 1; closed < 10; closed++) {
    timers.advance(99);
    assertEquals(countClosed(sockets), closed);
    timers.advance(1);
    assertEquals(countClosed(sockets), closed + 1);
  }
  assertEquals(await drained, 10);
  assertEquals(sockets[0].closeCalls, [{ code: 1012, reason: "" }]);
  assertEquals(timers.pending, 0);
});

Deno.test("drain takes 10 s by default", async () => {
  const { timers, rooms, sockets } = setUp(2);
  const drained = rooms.drain();
  timers.advance(4_999);
  assertEquals(countClosed(sockets), 1);
  timers.advance(1);
  assertEquals(await drained, 2);
});

Deno.test("a drain of many sockets stays even, and closes each once", async () => {
  const { timers, rooms, sockets } = setUp(5_003);
  const drained = rooms.drain({ overMs: 10_000 });
  for (let elapsed = 0; elapsed < 10_000; elapsed += 500) {
    const expected = 5_003 * elapsed / 10_000;
    const closed = countClosed(sockets);
    assertEquals(Math.abs(closed - expected) <= 6, true, `${closed} closed after ${elapsed} ms`);
    timers.advance(500);
  }
  assertEquals(await drained, 5_003);
  assertEquals(sockets.every((socket) => socket.closeCalls.length === 1), true);
});

Deno.test("no socket can join once drain is called, and a second call returns the same promise", async () => {
  const { timers, rooms, sockets } = setUp(1);
  assertEquals(rooms.draining, false);
  const drained = rooms.drain({ overMs: 0, code: 4000, reason: "restart" });
  assertStrictEquals(rooms.drain({ overMs: 5 }), drained);
  assertEquals(rooms.join(new FakeSocket(), "lobby"), false);
  assertEquals(await drained, 1);
  assertEquals([rooms.draining, rooms.join(new FakeSocket(), "lobby")], [true, false]);
  assertEquals(sockets[0].closeCalls, [{ code: 4000, reason: "restart" }]);
  assertEquals(timers.pending, 0);
});

Deno.test("a drain without sockets resolves with 0 at once", async () => {
  const { timers, rooms } = setUp(0);
  assertEquals(await rooms.drain(), 0);
  assertEquals(timers.pending, 0);
});

Deno.test("a socket in several rooms is drained once, and one that left before its turn is not", async () => {
  const { timers, rooms, sockets } = setUp(3);
  for (const socket of sockets) rooms.join(socket, "hall");
  const drained = rooms.drain({ overMs: 300 });
  sockets[2].emitClose();
  timers.advance(200);
  assertEquals(await drained, 2);
  assertEquals(sockets.map(({ closeCalls }) => closeCalls.length), [1, 1, 0]);
});

Deno.test("sockets that are still open 10 s after the last close are terminated or given up", async () => {
  const { timers, rooms, sockets } = setUp(2);
  const terminable = new TerminableSocket();
  rooms.join(terminable, "lobby");
  for (const socket of [...sockets, terminable]) socket.closes = false;
  let result: number | undefined;
  const drained = rooms.drain({ overMs: 300 }).then((closed) => result = closed);
  sockets[0].emitClose();
  timers.advance(200 + 9_999);
  await Promise.resolve();
  assertEquals([result, terminable.terminated], [undefined, 0]);
  timers.advance(1);
  assertEquals(await drained, 2); // One closed, one terminated, one given up.
  assertEquals([terminable.terminated, sockets[1].readyState], [1, 2]);
  assertEquals([rooms.roomCount, rooms.socketCount, timers.pending], [0, 0, 0]);
});

Deno.test("a socket that was closing already is waited for, and not closed again", async () => {
  const { timers, rooms, sockets } = setUp(1);
  sockets[0].readyState = 2;
  const drained = rooms.drain({ overMs: 0 });
  sockets[0].emitClose();
  assertEquals([await drained, sockets[0].closeCalls, timers.pending], [1, [], 0]);
});

Deno.test("a socket that left its rooms during the drain is still closed", async () => {
  const { timers, rooms, sockets } = setUp(2);
  const drained = rooms.drain({ overMs: 100 });
  rooms.leaveAll(sockets[1]);
  timers.advance(50);
  assertEquals([await drained, countClosed(sockets)], [2, 2]);
});

Deno.test("disposing a Rooms ends its drain, and no timer is left", async () => {
  const { timers, rooms, sockets } = setUp(4);
  const drained = rooms.drain({ overMs: 400 });
  timers.advance(100);
  rooms[Symbol.dispose]();
  assertEquals([await drained, countClosed(sockets), timers.pending], [2, 2, 0]);
});

Deno.test("a time that no timer can take is refused", () => {
  const { rooms } = setUp(1);
  for (const overMs of [-1, 0.5, NaN, 2 ** 31]) {
    assertThrows(() => void rooms.drain({ overMs }), RangeError, "overMs must be a whole number");
  }
  const wrong = { overMs: "1000" } as unknown as { overMs: number };
  assertThrows(() => void rooms.drain(wrong), TypeError, "overMs must be a number");
  assertEquals(rooms.draining, false);
});

Deno.test("a drain ends at once when its sockets have closed by themselves", async () => {
  const { timers, rooms, sockets } = setUp(4);
  const drained = rooms.drain({ overMs: 60_000 });
  for (const socket of sockets.slice(1)) socket.emitClose();
  assertEquals(await drained, 1);
  assertEquals(timers.pending, 0);
});
