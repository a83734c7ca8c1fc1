import { assertEquals } from "@std/assert";
import { Rooms } from "../../rooms/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { TerminableSocket } from "./_fake_socket.ts";

/** Counts what happens in each turn of the event loop. A timer of 0 ms begins the next one. */
class TurnTimers extends FakeTimers {
  readonly inTurn = [0];

  override setTimeout(callback: () => void, delayMs: number): number {
    return super.setTimeout(() => {
      if (delayMs === 0) this.inTurn.push(0);
      callback();
    }, delayMs);
  }

  count(): void {
    this.inTurn[this.inTurn.length - 1]++;
  }
}

/** Remembers which timers were called off. */
class RecordingTimers extends TurnTimers {
  readonly cleared: unknown[] = [];

  override clearTimeout(timer: unknown): void {
    if (timer !== undefined) this.cleared.push(timer);
    super.clearTimeout(timer);
  }
}

/** Rooms with so many sockets that do not close by themselves. */
function setUp(sockets: number) {
  const timers = new RecordingTimers();
  const rooms = new Rooms<TerminableSocket>({ timers });
  const all = Array.from({ length: sockets }, () => {
    const socket = new TerminableSocket();
    socket.closes = false;
    const terminate = socket.terminate.bind(socket);
    socket.terminate = () => {
      timers.count();
      terminate();
    };
    rooms.join(socket, "lobby");
    return socket;
  });
  return { timers, rooms, all };
}

Deno.test("sockets that are due together are terminated 50 in a turn", () => {
  const { timers, rooms, all } = setUp(120);
  rooms.disconnect("lobby");
  timers.advance(4_999);
  assertEquals(timers.inTurn, [0]);
  timers.advance(1);
  assertEquals(timers.inTurn.filter((count) => count > 0), [50, 50, 20]);
  assertEquals(all.every(({ terminated }) => terminated === 1), true);
  assertEquals([rooms.socketCount, timers.pending], [0, 0]);
});

Deno.test("sockets that are told to close in one turn share a timer, which ends with the last of them", () => {
  const { timers, rooms, all } = setUp(120);
  rooms.disconnect("lobby");
  assertEquals(timers.pending, 1);
  for (const socket of all.slice(1)) socket.emitClose();
  assertEquals(timers.pending, 1);
  all[0].emitClose();
  assertEquals(timers.pending, 0);
});

Deno.test("each socket has 5 s to close from the turn in which it is told to", async () => {
  const { timers, rooms, all: [first, second, third] } = setUp(3);
  for (const [room, socket] of [["hall", second], ["attic", third]] as const) {
    rooms.leave(socket, "lobby");
    rooms.join(socket, room);
  }
  rooms.disconnect("lobby");
  first.emitClose();
  // In the same turn, after the timer of the first has ended.
  rooms.disconnect("hall");
  await Promise.resolve();
  timers.advance(2_000);
  rooms.disconnect("attic");
  const terminated = () => [first, second, third].map((socket) => socket.terminated);
  timers.advance(2_999);
  assertEquals(terminated(), [0, 0, 0]);
  timers.advance(1);
  assertEquals(terminated(), [0, 1, 0]);
  timers.advance(2_000);
  assertEquals(terminated(), [0, 1, 1]);
  assertEquals(timers.pending, 0);
});

Deno.test("a drain terminates 50 sockets in a turn, and ends with the last", async () => {
  const { timers, rooms, all } = setUp(120);
  const drained = rooms.drain({ overMs: 0 });
  timers.advance(10_000);
  assertEquals(timers.inTurn.filter((count) => count > 0), [50, 50, 20]);
  assertEquals(await drained, 120);
  assertEquals(all.every(({ terminated }) => terminated === 1), true);
  assertEquals([rooms.socketCount, timers.pending], [0, 0]);
});

Deno.test("a socket that closes while it waits for its turn is not terminated", () => {
  const { timers, rooms, all } = setUp(60);
  all[0].terminate = () => all[59].emitClose();
  rooms.disconnect("lobby");
  timers.advance(5_000);
  assertEquals(all.map(({ terminated }) => terminated), [0, ...Array(58).fill(1), 0]);
});

Deno.test("a socket that closes after it was due, while it waits for a later turn, is not terminated", () => {
  const { timers, rooms, all } = setUp(60);
  all[50].terminate = () => all[59].emitClose();
  rooms.disconnect("lobby");
  timers.advance(5_000);
  assertEquals(
    all.map(({ terminated }) => terminated),
    [...Array(50).fill(1), 0, ...Array(8).fill(1), 0],
  );
});

Deno.test("rooms that are disposed of while sockets are terminated terminate no more", () => {
  const { timers, rooms, all } = setUp(60);
  all[0].terminate = () => rooms[Symbol.dispose]();
  rooms.disconnect("lobby");
  timers.advance(5_000);
  assertEquals([all.filter(({ terminated }) => terminated > 0).length, timers.pending], [0, 0]);
});

Deno.test("rooms that are disposed of in a later turn begin no other", () => {
  const { timers, rooms, all } = setUp(120);
  all[50].terminate = () => rooms[Symbol.dispose]();
  rooms.disconnect("lobby");
  timers.advance(5_000);
  assertEquals(timers.inTurn, [50, 0]);
});

Deno.test("a socket that is told to close in the turn in which others were due is terminated too", () => {
  const { timers, rooms, all: [first, second] } = setUp(2);
  rooms.leave(second, "lobby");
  rooms.disconnect("lobby");
  timers.advance(5_000);
  assertEquals(first.terminated, 1);
  rooms.join(second, "lobby");
  rooms.disconnect("lobby");
  timers.advance(5_000);
  assertEquals([second.terminated, timers.pending], [1, 0]);
});

Deno.test("sockets that have closed, or were given up, are not waited for any more", () => {
  for (const how of ["closed", "terminated", "given up"]) {
    const { timers, rooms, all } = setUp(3);
    if (how === "given up") {
      for (const socket of all) Object.assign(socket, { terminate: undefined });
    }
    rooms.disconnect("lobby");
    if (how === "closed") { for (const socket of all) socket.emitClose(); }
    timers.advance(5_000);
    assertEquals(rooms.socketCount, 0, how);
    timers.cleared.length = 0;
    rooms[Symbol.dispose]();
    assertEquals(timers.cleared, [], how);
  }
});
