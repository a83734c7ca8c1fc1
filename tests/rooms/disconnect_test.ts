import { assertEquals, assertThrows } from "@std/assert";
import { encodeRoomClose, FrameError } from "../../codec/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { FakeBackplane } from "./_fake_backplane.ts";
import { ConnectingSocket, FakeSocket, TerminableSocket } from "./_fake_socket.ts";

Deno.test("disconnect closes the members of a room here, and asks the other nodes to do the same", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const [phone, laptop, other] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  for (const socket of [phone, laptop]) rooms.join(socket, "user:ann");
  for (const socket of [phone, other]) rooms.join(socket, "lobby");

  const report = rooms.disconnect("user:ann", { code: 4001, reason: "signed out" });

  assertEquals(report, { sent: 2, slow: 0, failed: 0, peers: 3, dropped: 1 });
  for (const { closeCalls } of [phone, laptop]) {
    assertEquals(closeCalls, [{ code: 4001, reason: "signed out" }]);
  }
  assertEquals([other.closeCalls, rooms.members("lobby")], [[], [other]]);
  assertEquals(backplane.published, [encodeRoomClose("user:ann", 4001, "signed out")]);
  assertEquals(rooms.totals.published, 1);
});

Deno.test("disconnect closes with 1000 and no reason by default", () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  assertEquals(rooms.disconnect("lobby"), { sent: 1, slow: 0, failed: 0, peers: 0, dropped: 0 });
  assertEquals(socket.closeCalls, [{ code: 1000, reason: "" }]);
});

Deno.test("a ROOM_CLOSE from another node closes the members here and is not published again", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  backplane.bring(encodeRoomClose("lobby", 4000, "café"));
  backplane.bring(encodeRoomClose("elsewhere", 4000, ""));
  assertEquals(socket.closeCalls, [{ code: 4000, reason: "café" }]);
  assertEquals([backplane.published, rooms.totals.received], [[], 2]);

  const error = assertThrows(() => backplane.bring(Uint8Array.of(0xe5, 1)), FrameError);
  assertEquals([(error as FrameError).code, rooms.totals.received], ["truncated", 2]);
});

Deno.test("a socket that refuses the code is closed without one", () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new FakeSocket();
  socket.refusesCode = (code) => code !== 1000 && code < 3000;
  rooms.join(socket, "lobby");
  assertEquals(rooms.disconnect("lobby", { code: 1012 }).sent, 1);
  assertEquals(socket.closeCalls.map(({ code }) => code), [1012, undefined]);
});

Deno.test("a socket that cannot be closed at all is terminated, counted and reported", () => {
  const errors: unknown[] = [];
  const rooms = new Rooms<FakeSocket>({ onError: (error) => errors.push(error) });
  const [stuck, terminable] = [new FakeSocket(), new TerminableSocket()];
  const fault = new Error("cannot be closed");
  for (const socket of [stuck, terminable]) {
    rooms.join(socket, "lobby");
    socket.close = () => {
      throw fault;
    };
  }
  const { sent, failed } = rooms.disconnect("lobby");
  assertEquals([sent, failed, errors, terminable.terminated], [0, 2, [fault, fault], 1]);
  rooms[Symbol.dispose]();
});

Deno.test("a disconnected socket that does not close within 5 s is terminated or given up", () => {
  const timers = new FakeTimers();
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ timers, backplane });
  const sockets = [new FakeSocket(), new TerminableSocket(), new FakeSocket()];
  const [stuck, terminable, good] = sockets;
  for (const socket of sockets) rooms.join(socket, "lobby");
  stuck.closes = terminable.closes = false;
  rooms.disconnect("lobby");
  assertEquals([rooms.members("lobby"), timers.pending], [[stuck, terminable], 1]);

  timers.advance(4_999);
  assertEquals(rooms.members("lobby").length, 2);
  timers.advance(1);
  assertEquals([rooms.roomCount, timers.pending, backplane.open.size], [0, 0, 0]);
  assertEquals([stuck.readyState, terminable.readyState, good.readyState], [2, 3, 3]);
});

Deno.test("a socket that cannot be closed has 5 s from the last time it was told to", () => {
  const timers = new FakeTimers();
  const rooms = new Rooms<FakeSocket>({ timers, onError: () => {} });
  const socket = new FakeSocket();
  socket.close = () => {
    throw new Error("planted");
  };
  rooms.join(socket, "lobby");
  rooms.disconnect("lobby");
  timers.advance(3_000);
  rooms.disconnect("lobby");
  assertEquals(timers.pending, 1);
  timers.advance(4_999);
  assertEquals(rooms.members("lobby"), [socket]);
  timers.advance(1);
  assertEquals([rooms.members("lobby"), timers.pending], [[], 0]);
});

Deno.test("a socket that is closing or still connecting is not disconnected", () => {
  const rooms = new Rooms<FakeSocket>();
  const [closing, connecting] = [new FakeSocket(), new ConnectingSocket()];
  rooms.join(closing, "lobby");
  rooms.join(connecting, "lobby");
  closing.readyState = 2;
  assertEquals(rooms.disconnect("lobby").sent, 0);
  assertEquals([closing.closeCalls, connecting.closeCalls], [[], []]);
});

Deno.test("a code or reason that no close frame may carry is refused before anybody is closed", () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  for (const code of [0, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, NaN]) {
    assertThrows(() => rooms.disconnect("lobby", { code }), RangeError, `got ${code}`);
    assertThrows(() => void rooms.drain({ code }), RangeError, `got ${code}`);
  }
  for (const reason of ["r".repeat(124), "é".repeat(62)]) {
    assertThrows(() => rooms.disconnect("lobby", { reason }), RangeError, "123 bytes of UTF-8");
    assertThrows(() => void rooms.drain({ reason }), RangeError, "got 124");
  }
  const wrong = (options: unknown) => options as { code: number };
  assertThrows(() => rooms.disconnect("lobby", wrong({ code: "1000" })), TypeError, "code must be");
  assertThrows(() => rooms.disconnect("lobby", wrong({ reason: 1 })), TypeError, "reason must be");
  assertEquals([socket.closeCalls, rooms.draining], [[], false]);
  assertEquals(rooms.disconnect("lobby", { reason: "r".repeat(123) }).sent, 1);
});
