import { assertEquals } from "@std/assert";
import { Rooms } from "../../rooms/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { collectGarbage } from "./_collect.ts";
import { FakeSocket, TerminableSocket } from "./_fake_socket.ts";

/** A `Rooms` with a limit of 100 bytes, and the sockets of its `slow` events. */
function setUp(slowSocket: "close" | "skip") {
  const timers = new FakeTimers();
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const rooms = new Rooms<FakeSocket>({ slowSocket, maxBufferedBytes: 100, timers, onError });
  const slow: FakeSocket[] = [];
  rooms.addEventListener("slow", ({ socket }) => slow.push(socket));
  return { rooms, slow, timers, errors };
}

Deno.test("a slow event names the socket that was closed", () => {
  const { rooms, slow } = setUp("close");
  const [stalled, good] = [new FakeSocket(), new FakeSocket()];
  for (const socket of [stalled, good]) rooms.join(socket, "lobby");
  stalled.bufferedAmount = 101;
  stalled.closes = false;
  rooms.broadcast("lobby", "1");
  rooms.broadcast("lobby", "2");
  assertEquals([slow, rooms.totals.slow, good.heard], [[stalled], 1, ["1", "2"]]);
});

Deno.test("a skipped socket has one slow event until it had half of the limit free", () => {
  const { rooms, slow } = setUp("skip");
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  const counts = [101, 200, 100, 101, 51, 101, 50, 101, 0, 100, 101].map((unsent) => {
    socket.bufferedAmount = unsent;
    rooms.broadcast("lobby", "x");
    return slow.length;
  });
  assertEquals(counts, [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3]);
});

Deno.test("a slow socket that this process has opened is closed without a code", () => {
  const { rooms, errors } = setUp("close");
  const socket = new FakeSocket();
  socket.refusesCode = (code) => code !== 1000 && code < 3000;
  rooms.join(socket, "lobby");
  socket.bufferedAmount = 101;
  assertEquals(rooms.broadcast("lobby", "x").slow, 1);
  assertEquals(socket.closeCalls.map(({ code }) => code), [1013, undefined]);
  assertEquals([socket.readyState, errors], [3, []]);
});

Deno.test("a slow socket that cannot be closed goes to onError, and is terminated if it can be", () => {
  const { rooms, errors, timers } = setUp("close");
  const socket = new TerminableSocket();
  const fault = new Error("cannot be closed");
  socket.close = () => {
    throw fault;
  };
  rooms.join(socket, "lobby");
  socket.bufferedAmount = 101;
  const { slow, failed } = rooms.broadcast("lobby", "x");
  assertEquals([slow, failed, errors, socket.terminated], [1, 0, [fault], 1]);
  assertEquals([rooms.roomCount, timers.pending], [0, 0]);
});

Deno.test("a socket that could not be closed begins a new episode when it joins again", () => {
  const { rooms, slow, errors } = setUp("close");
  const socket = new FakeSocket();
  socket.close = () => {
    throw new Error("cannot be closed");
  };
  socket.bufferedAmount = 101;
  for (let i = 0; i < 2; i++) {
    rooms.join(socket, "lobby");
    rooms.broadcast("lobby", "x");
  }
  assertEquals([slow.length, errors.length], [2, 2]);
});

Deno.test("a slow socket is forgotten once it has closed, or is to close", async () => {
  for (const slowSocket of ["close", "skip"] as const) {
    const rooms = new Rooms<FakeSocket>({ slowSocket, maxBufferedBytes: 100 });
    const ref = (() => {
      const socket = new FakeSocket();
      socket.bufferedAmount = 101;
      socket.closes = false;
      rooms.join(socket, "lobby");
      assertEquals(rooms.broadcast("lobby", "x").slow, 1);
      if (slowSocket === "skip") socket.emitClose();
      return new WeakRef(socket);
    })();
    await collectGarbage();
    assertEquals([slowSocket, ref.deref()], [slowSocket, undefined]);
    assertEquals(rooms.totals.slow, 1);
  }
});

Deno.test("an error of terminate goes to onError", () => {
  const { rooms, errors, timers } = setUp("close");
  const socket = new TerminableSocket();
  const fault = new Error("cannot be terminated");
  socket.closes = false;
  socket.terminate = () => {
    throw fault;
  };
  rooms.join(socket, "lobby");
  socket.bufferedAmount = 101;
  rooms.broadcast("lobby", "x");
  timers.advance(5_000);
  assertEquals(errors, [fault]);
});

Deno.test("an error of an event listener goes to onError, and the broadcast goes on", () => {
  const { rooms, errors } = setUp("close");
  const fault = new Error("from a listener");
  rooms.addEventListener("slow", () => {
    throw fault;
  });
  const [stalled, good] = [new FakeSocket(), new FakeSocket()];
  for (const socket of [stalled, good]) rooms.join(socket, "lobby");
  stalled.bufferedAmount = 101;
  const { sent, slow } = rooms.broadcast("lobby", "x");
  assertEquals([sent, slow, errors], [1, 1, [fault]]);
});

Deno.test("an event listener is added once, and can be removed", () => {
  const { rooms } = setUp("skip");
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  socket.bufferedAmount = 101;
  let calls = 0;
  const listener = () => void calls++;
  const object = { handleEvent: listener };
  for (let i = 0; i < 2; i++) {
    rooms.addEventListener("slow", listener);
    rooms.addEventListener("slow", object);
  }
  rooms.broadcast("lobby", "x");
  assertEquals(calls, 2);
  rooms.removeEventListener("slow", listener);
  rooms.removeEventListener("slow", object);
  socket.bufferedAmount = 0;
  rooms.broadcast("lobby", "x");
  socket.bufferedAmount = 101;
  rooms.broadcast("lobby", "x");
  assertEquals(calls, 2);
});
