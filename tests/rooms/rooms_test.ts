import { assertEquals, assertThrows } from "@std/assert";
import { decodeRoomBroadcast, encodeRoomBroadcast, FrameError, Rooms } from "../../mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { FakeBackplane } from "./_fake_backplane.ts";
import { FakeSocket, TerminableSocket } from "./_fake_socket.ts";

const MIB = 1024 * 1024;

function fakeRooms(
  options: ConstructorParameters<typeof Rooms<FakeSocket>>[0] = {},
): Rooms<FakeSocket> {
  return new Rooms<FakeSocket>(options);
}

function assertFrameError(code: string, run: () => unknown): void {
  const error = assertThrows(run, FrameError) as FrameError;
  assertEquals(error.code, code);
}

Deno.test("a broadcast reaches every member of its room and nobody else", () => {
  const rooms = fakeRooms();
  const [a, b, c] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  rooms.join(a, "lobby");
  rooms.join(b, "lobby");
  rooms.join(c, "kitchen");

  const report = rooms.broadcast("lobby", "hello");

  assertEquals(report, { sent: 2, slow: 0, failed: 0, peers: 0, dropped: 0 });
  assertEquals([a.heard, b.heard, c.heard], [["hello"], ["hello"], []]);
});

Deno.test("the excluded socket does not hear, whether or not it is a member", () => {
  const rooms = fakeRooms();
  const [member, sender, stranger] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  rooms.join(member, "lobby");
  rooms.join(sender, "lobby");

  assertEquals(rooms.broadcast("lobby", "one", { except: sender }).sent, 1);
  assertEquals(rooms.broadcast("lobby", "two", { except: stranger }).sent, 2);

  assertEquals([member.heard, sender.heard], [["one", "two"], ["two"]]);
});

Deno.test("a second join adds no membership", () => {
  const rooms = fakeRooms();
  const socket = new FakeSocket();

  assertEquals([rooms.join(socket, "lobby"), rooms.join(socket, "lobby")], [true, false]);
  rooms.broadcast("lobby", "once");
  assertEquals(socket.heard, ["once"]);
  assertEquals(rooms.leave(socket, "lobby"), true);
  assertEquals(rooms.roomCount, 0);
});

Deno.test("leave does nothing in a room that was never joined", () => {
  const rooms = fakeRooms();
  const [member, stranger] = [new FakeSocket(), new FakeSocket()];
  rooms.join(member, "lobby");

  assertEquals(rooms.leave(stranger, "lobby"), false);
  assertEquals(rooms.leave(member, "kitchen"), false);
  assertEquals(rooms.leaveAll(stranger), 0);
  assertEquals(rooms.members("lobby"), [member]);
});

Deno.test("leaveAll says how many rooms were left", () => {
  const rooms = fakeRooms();
  const socket = new FakeSocket();
  for (const room of ["a", "b", "c"]) rooms.join(socket, room);

  assertEquals(rooms.leaveAll(socket), 3);
  assertEquals(rooms.leaveAll(socket), 0);
  assertEquals([rooms.roomCount, rooms.socketCount], [0, 0]);
});

Deno.test("members and roomsOf are snapshots", () => {
  const rooms = fakeRooms();
  const socket = new FakeSocket();
  rooms.join(socket, "a");
  const members = rooms.members("a");
  const joined = rooms.roomsOf(socket);

  rooms.leave(socket, "a");
  rooms.join(socket, "b");

  assertEquals([members, joined], [[socket], ["a"]]);
  assertEquals([rooms.members("a"), rooms.roomsOf(socket)], [[], ["b"]]);
});

Deno.test("counts include only rooms with members and sockets in rooms", () => {
  const rooms = fakeRooms();
  const [a, b] = [new FakeSocket(), new FakeSocket()];
  rooms.join(a, "x");
  rooms.join(a, "y");
  rooms.join(b, "x");
  assertEquals([rooms.roomCount, rooms.socketCount], [2, 2]);

  rooms.leave(a, "y");
  assertEquals([rooms.roomCount, rooms.socketCount], [1, 2]);
  rooms.leave(a, "x");
  assertEquals([rooms.roomCount, rooms.socketCount], [1, 1]);
});

Deno.test("a closed socket leaves all its rooms", () => {
  const rooms = fakeRooms();
  const [leaver, stayer] = [new FakeSocket(), new FakeSocket()];
  for (let i = 0; i < 100; i++) rooms.join(leaver, `room ${i}`);
  rooms.join(stayer, "room 0");

  leaver.emitClose();

  assertEquals(rooms.roomsOf(leaver), []);
  assertEquals([rooms.roomCount, rooms.socketCount], [1, 1]);
});

Deno.test("a socket gets one listener, however many rooms it joins and leaves", () => {
  const rooms = fakeRooms();
  const socket = new FakeSocket();
  for (let i = 0; i < 100; i++) {
    rooms.join(socket, `room ${i}`);
    rooms.join(socket, "lobby");
    rooms.leaveAll(socket);
  }
  assertEquals(socket.listenersAdded, 1);
});

Deno.test("a socket that left everything and joins again is still cleaned up when it closes", () => {
  const rooms = fakeRooms();
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  rooms.leaveAll(socket);
  rooms.join(socket, "lobby");

  socket.emitClose();

  assertEquals(rooms.socketCount, 0);
});

Deno.test("a socket that is closing or closed cannot join", () => {
  const rooms = fakeRooms();
  for (const readyState of [2, 3]) {
    const socket = new FakeSocket();
    socket.readyState = readyState;
    assertEquals(rooms.join(socket, "lobby"), false);
  }
  assertEquals([rooms.roomCount, rooms.socketCount], [0, 0]);
});

Deno.test("a bad socket never keeps the others from hearing, and is counted", () => {
  const rooms = fakeRooms();
  const sockets = Array.from({ length: 5 }, () => new FakeSocket());
  for (const socket of sockets) rooms.join(socket, "lobby");
  sockets[1].failure = new Error("broken");
  Object.defineProperty(sockets[3], "bufferedAmount", {
    get() {
      throw new Error("worse");
    },
  });

  const report = rooms.broadcast("lobby", "hello");

  assertEquals(report, { sent: 3, slow: 0, failed: 2, peers: 0, dropped: 0 });
  assertEquals(sockets.map((socket) => socket.heard.length), [1, 0, 1, 0, 1]);
});

Deno.test("a join or leave during the delivery of a broadcast does not change who hears it", () => {
  const rooms = fakeRooms();
  const [a, b, late] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  rooms.join(a, "lobby");
  rooms.join(b, "lobby");
  a.onSend = () => {
    rooms.join(late, "lobby");
    rooms.leave(a, "lobby");
    rooms.join(a, "lobby");
  };

  assertEquals(rooms.broadcast("lobby", "hello").sent, 2);
  assertEquals([a.heard, b.heard, late.heard], [["hello"], ["hello"], []]);
});

Deno.test("a socket above maxBufferedBytes leaves all rooms, is closed with 1013, and is counted", () => {
  const rooms = fakeRooms();
  const [slow, fast] = [new FakeSocket(), new FakeSocket()];
  slow.closes = false; // Its close event may never come.
  for (const socket of [slow, fast]) rooms.join(socket, "lobby");
  rooms.join(slow, "kitchen");
  slow.bufferedAmount = MIB + 1;

  const report = rooms.broadcast("lobby", "hello");

  assertEquals(report, { sent: 1, slow: 1, failed: 0, peers: 0, dropped: 0 });
  assertEquals(slow.heard, []);
  assertEquals(slow.closeCalls.map(({ code }) => code), [1013]);
  assertEquals(rooms.roomsOf(slow), []);
  assertEquals([rooms.roomCount, rooms.socketCount], [1, 1]);
  assertEquals(rooms.join(slow, "lobby"), false);
});

Deno.test("a socket with exactly maxBufferedBytes unsent is not slow", () => {
  const rooms = fakeRooms({ maxBufferedBytes: 1000 });
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  socket.bufferedAmount = 1000;
  assertEquals(rooms.broadcast("lobby", "fits").sent, 1);
  socket.bufferedAmount = 1001;
  assertEquals(rooms.broadcast("lobby", "does not").slow, 1);
});

Deno.test('a slow socket with slowSocket "skip" misses the message, stays, and hears again', () => {
  const rooms = fakeRooms({ slowSocket: "skip" });
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  socket.bufferedAmount = MIB + 1;
  assertEquals(rooms.broadcast("lobby", "missed").slow, 1);
  socket.bufferedAmount = 0;
  assertEquals(rooms.broadcast("lobby", "heard").sent, 1);
  assertEquals([socket.heard, socket.closeCalls], [["heard"], []]);
});

Deno.test("a slow socket whose close throws still leaves its rooms, and the others still hear", () => {
  const rooms = fakeRooms();
  const [slow, fast] = [new FakeSocket(), new FakeSocket()];
  for (const socket of [slow, fast]) rooms.join(socket, "lobby");
  slow.bufferedAmount = 2 * MIB;
  slow.close = () => {
    throw new Error("cannot even close");
  };
  assertEquals(rooms.broadcast("lobby", "hello"), {
    sent: 1,
    slow: 1,
    failed: 0,
    peers: 0,
    dropped: 0,
  });
  assertEquals(rooms.members("lobby"), [fast]);
});

Deno.test("a slow socket with a terminate method is terminated if it has not closed after 5 s", () => {
  const timers = new FakeTimers();
  const rooms = fakeRooms({ timers });
  const socket = new TerminableSocket();
  socket.closes = false;
  rooms.join(socket, "lobby");
  socket.bufferedAmount = 2 * MIB;
  rooms.broadcast("lobby", "hello");

  timers.advance(4_999);
  assertEquals(socket.terminated, 0);
  timers.advance(1);
  assertEquals(socket.terminated, 1);
  assertEquals(timers.pending, 0);
});

Deno.test("a slow socket that closes in time is not terminated, and no timer is left", () => {
  const timers = new FakeTimers();
  const rooms = fakeRooms({ timers });
  const socket = new TerminableSocket();
  socket.closes = false;
  rooms.join(socket, "lobby");
  socket.bufferedAmount = 2 * MIB;
  rooms.broadcast("lobby", "hello");

  socket.emitClose();

  assertEquals(timers.pending, 0);
  assertEquals(socket.terminated, 0);
});

Deno.test("no timer waits for a slow socket that closes at once or cannot be terminated", () => {
  const timers = new FakeTimers();
  const rooms = fakeRooms({ timers });
  const stuck = new FakeSocket();
  stuck.closes = false;
  for (const socket of [new TerminableSocket(), stuck]) {
    rooms.join(socket, "lobby");
    socket.bufferedAmount = 2 * MIB;
  }
  assertEquals(rooms.broadcast("lobby", "hello").slow, 2);
  assertEquals(timers.pending, 0);
});

Deno.test("a broadcast is encoded once and handed to the backplane, whose report is passed on", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane });
  const sockets = Array.from({ length: 10 }, () => new FakeSocket());
  for (const socket of sockets) rooms.join(socket, "café");

  const report = rooms.broadcast("café", "naïve");

  assertEquals(report, { sent: 10, slow: 0, failed: 0, peers: 3, dropped: 1 });
  assertEquals(backplane.published, [encodeRoomBroadcast("café", "naïve")]);
});

Deno.test("a broadcast to a room without members here still goes to the other nodes", () => {
  const backplane = new FakeBackplane();
  fakeRooms({ backplane }).broadcast("elsewhere", "hello");
  assertEquals(backplane.published, [encodeRoomBroadcast("elsewhere", "hello")]);
});

Deno.test("the excluded socket is not named to other nodes", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane });
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  rooms.broadcast("lobby", "hello", { except: socket });
  assertEquals(backplane.published, [encodeRoomBroadcast("lobby", "hello")]);
});

Deno.test("bytes handed to the backplane are never overwritten, so that it may keep them", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane });
  // More than one slab of short messages, and long ones in between.
  const messages = Array.from({ length: 3000 }, (_, i) => `${i} `.repeat(i % 700 === 0 ? 9000 : 9));
  for (const message of messages) rooms.broadcast("lobby", message);
  assertEquals(backplane.published.map((bytes) => decodeRoomBroadcast(bytes).message), messages);
});

Deno.test("a broadcast made while another is delivered or published spoils neither", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane });
  const socket = new FakeSocket();
  rooms.join(socket, "outer");
  socket.onSend = () => rooms.broadcast("inner", "from send");
  backplane.onPublish = () => {
    if (backplane.published.length === 1) rooms.broadcast("inner", "from publish");
  };
  rooms.broadcast("outer", "hello");
  assertEquals(backplane.published.map((bytes) => decodeRoomBroadcast(bytes)), [
    { room: "inner", message: "from send" },
    { room: "inner", message: "from publish" },
    { room: "outer", message: "hello" },
  ]);
});

Deno.test("a message from another node is delivered to the members here, and never published again", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane });
  const [member, other] = [new FakeSocket(), new FakeSocket()];
  rooms.join(member, "lobby");
  rooms.join(other, "kitchen");

  backplane.bring(encodeRoomBroadcast("lobby", "from afar"));
  backplane.bring(encodeRoomBroadcast("nowhere", "for nobody"));

  assertEquals([member.heard, other.heard], [["from afar"], []]);
  assertEquals(backplane.published, []);
});

Deno.test("totals count deliveries of messages from other nodes as well as from this one", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane, slowSocket: "skip" });
  const [good, slow, broken] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  for (const socket of [good, slow, broken]) rooms.join(socket, "lobby");
  slow.bufferedAmount = 2 * MIB;
  broken.failure = new Error("broken");

  rooms.broadcast("lobby", "from here");
  backplane.bring(encodeRoomBroadcast("lobby", "from afar"));

  assertEquals(rooms.totals, {
    sent: 2,
    slow: 2,
    failed: 2,
    published: 1,
    received: 1,
    missed: 0,
  });
});

Deno.test("a malformed message from another node reaches nobody, and its code is thrown to the backplane", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane });
  const socket = new FakeSocket();
  rooms.join(socket, "a");
  assertFrameError("truncated", () => backplane.bring(Uint8Array.of(0x1e, 5)));
  assertFrameError("wrong-tag", () => backplane.bring(Uint8Array.of(0x1d)));
  assertFrameError(
    "trailing-bytes",
    () => backplane.bring(Uint8Array.of(0x1e, 1, 0, 0x61, 0, 0, 0, 0, 9)),
  );
  assertFrameError(
    "invalid-utf8",
    () => backplane.bring(Uint8Array.of(0x1e, 1, 0, 0x61, 1, 0, 0, 0, 0xff)),
  );
  assertEquals(socket.heard, []);
});

Deno.test("the text of a message for a room without members here is never decoded", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane });
  // It would be refused if it were decoded: its only byte is no UTF-8.
  backplane.bring(Uint8Array.of(0x1e, 1, 0, 0x62, 1, 0, 0, 0, 0xff));
  const { sent, failed, received } = rooms.totals;
  assertEquals([sent, failed, received], [0, 0, 1]);
});

Deno.test("a message that cannot be encoded is refused before anybody has heard it", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane, maxMessageBytes: 10 });
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");

  assertFrameError("room-too-long", () => rooms.broadcast("r".repeat(65_536), "hello"));
  assertFrameError("message-too-long", () => rooms.broadcast("lobby", "12345678901"));
  assertFrameError("message-too-long", () => rooms.broadcast("lobby", "ééééé "));

  assertEquals([socket.heard, backplane.published], [[], []]);
  assertEquals(rooms.broadcast("lobby", "ééééé").sent, 1);
});

Deno.test("a message that the backplane cannot carry is refused before anybody has heard it", () => {
  const backplane = new FakeBackplane(20);
  const rooms = fakeRooms({ backplane });
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");

  assertEquals(rooms.broadcast("lobby", "12345678").sent, 1); // 7 + 5 + 8 = 20
  assertFrameError("message-too-long", () => rooms.broadcast("lobby", "123456789"));
  assertEquals([socket.heard.length, backplane.published.length], [1, 1]);
});

Deno.test("the limit is 16 MiB in all if the backplane states none", () => {
  const rooms = fakeRooms({ backplane: new FakeBackplane() });
  rooms.broadcast("lobby", "m".repeat(16 * MIB - 7 - 5));
  assertFrameError(
    "message-too-long",
    () => rooms.broadcast("lobby", "m".repeat(16 * MIB - 7 - 5 + 1)),
  );
});

Deno.test("a room with a name that no broadcast can carry cannot be joined", () => {
  const rooms = fakeRooms();
  const socket = new FakeSocket();
  assertFrameError("room-too-long", () => rooms.join(socket, "r".repeat(65_536)));
  assertEquals(rooms.join(socket, "r".repeat(65_535)), true);
  assertEquals(rooms.join(socket, ""), true);
});

Deno.test("a message or room of the wrong type is a TypeError that says what it is", () => {
  const rooms = fakeRooms();
  const socket = new FakeSocket();
  const wrong = (value: unknown) => value as string;
  assertThrows(
    () => rooms.broadcast("lobby", wrong({})),
    TypeError,
    "message must be a string, an ArrayBuffer or a view of one, got Object",
  );
  assertThrows(() => rooms.broadcast("lobby", wrong([1, 2])), TypeError, "got Array");
  assertThrows(() => rooms.broadcast("lobby", wrong(undefined)), TypeError, "got undefined");
  assertThrows(() => rooms.broadcast(wrong(undefined), "x"), TypeError, "room must be a string");
  assertThrows(() => rooms.broadcast(["a", wrong(7)], "x"), TypeError, "got number");
  assertThrows(() => rooms.join(socket, wrong(null)), TypeError, "got null");
  assertThrows(() => rooms.leave(socket, wrong(1)), TypeError, "got number");
  assertThrows(() => rooms.members(wrong(1)), TypeError, "got number");
  assertThrows(() => rooms.disconnect(wrong(1)), TypeError, "got number");
  assertThrows(() => rooms.listen(wrong(1), () => {}), TypeError, "got number");
  assertThrows(
    () => rooms.broadcast("lobby", "x", { except: 7 as unknown as string }),
    TypeError,
    "except must be a socket, a listener's handle or the name of a room, got number",
  );
});

Deno.test("rooms that come and go by the thousand are counted right, and can be joined again", () => {
  const rooms = fakeRooms();
  const [stayer, passer] = [new FakeSocket(), new FakeSocket()];
  rooms.join(stayer, "room 0");
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 1000; i++) {
      assertEquals(rooms.join(passer, `room ${i}`), true);
      assertEquals(rooms.roomCount, i + 1);
    }
    assertEquals(rooms.broadcast("room 0", "hello").sent, 2);
    for (let i = 999; i > 0; i--) {
      assertEquals(rooms.leave(passer, `room ${i}`), true);
      assertEquals(rooms.roomCount, i);
    }
    assertEquals(rooms.leaveAll(passer), 1);
    assertEquals([rooms.roomCount, rooms.socketCount], [1, 1]);
  }
});

Deno.test("the backplane learns of a room when its first member joins and when its last one leaves", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane });
  const [a, b] = [new FakeSocket(), new FakeSocket()];
  const openWhile = (act: () => unknown) => {
    act();
    return [...backplane.open];
  };

  assertEquals(openWhile(() => rooms.join(a, "lobby")), ["lobby"]);
  assertEquals(openWhile(() => rooms.join(b, "lobby")), ["lobby"]);
  assertEquals(openWhile(() => rooms.join(b, "kitchen")), ["lobby", "kitchen"]);
  assertEquals(openWhile(() => rooms.leave(a, "lobby")), ["lobby", "kitchen"]);
  assertEquals(openWhile(() => rooms.leave(a, "lobby")), ["lobby", "kitchen"]);
  assertEquals(openWhile(() => b.emitClose()), []);
  // The name is still in the table of emptied rooms, and opens all the same.
  assertEquals(openWhile(() => rooms.join(a, "lobby")), ["lobby"]);
});

Deno.test("a socket that cannot join opens no room, and a slow one closes those it was alone in", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane, maxBufferedBytes: 10 });
  const [closing, slow] = [new FakeSocket(), new FakeSocket()];
  closing.readyState = 2;
  rooms.join(closing, "lobby");
  assertEquals([...backplane.open], []);

  rooms.join(slow, "lobby");
  rooms.join(slow, "kitchen");
  slow.bufferedAmount = 11;
  rooms.broadcast("lobby", "hello");
  assertEquals([...backplane.open], []);
});

Deno.test("the open rooms are exactly those with members, after ten thousand have come and gone", () => {
  const backplane = new FakeBackplane(); // throws when a room is opened or closed twice
  const rooms = fakeRooms({ backplane });
  const sockets = Array.from({ length: 10 }, () => new FakeSocket());
  for (let i = 0; i < 10_000; i++) {
    rooms.join(sockets[i % 10], `room ${i % 700}`);
    if (i % 3 > 0) rooms.leave(sockets[(i * 7) % 10], `room ${(i * 7) % 700}`);
    if (i % 500 === 0) rooms.leaveAll(sockets[i % 9]);
    assertEquals(backplane.open.size, rooms.roomCount);
  }
  for (const room of backplane.open) assertEquals(rooms.members(room).length > 0, true);
  for (const socket of sockets) socket.emitClose();
  assertEquals(backplane.open.size, 0);
});

Deno.test("a socket has left all its rooms before the backplane hears of closed ones", () => {
  const backplane = new FakeBackplane();
  const rooms = fakeRooms({ backplane });
  const socket = new FakeSocket();
  for (const room of ["a", "b", "c"]) rooms.join(socket, room);
  const counts: number[] = [];
  backplane.closeRoom = () => counts.push(rooms.roomCount, rooms.socketCount);
  rooms.leaveAll(socket);
  assertEquals(counts, [0, 0, 0, 0, 0, 0]);
});

Deno.test("a backplane that throws when a room opens or closes harms no socket", () => {
  const thrown: unknown[] = [];
  const backplane = new FakeBackplane();
  const fault = new Error("no such room here");
  backplane.openRoom = backplane.closeRoom = () => {
    throw fault;
  };
  const rooms = fakeRooms({ backplane, onError: (error) => thrown.push(error) });
  const socket = new FakeSocket();
  for (const room of ["a", "b", "c"]) assertEquals(rooms.join(socket, room), true);
  socket.bufferedAmount = MIB + 1;
  const { slow, failed } = rooms.broadcast("b", "too much");
  assertEquals([slow, failed], [1, 0]);
  assertEquals(socket.closeCalls.map(({ code }) => code), [1013]);
  assertEquals([rooms.roomCount, rooms.socketCount], [0, 0]);
  assertEquals(thrown, Array(6).fill(fault));
});

Deno.test("a backplane that throws from publish makes no broadcast throw, and counts as dropped", () => {
  const thrown: unknown[] = [];
  const backplane = new FakeBackplane();
  const fault = new Error("out of order");
  backplane.onPublish = () => {
    throw fault;
  };
  const rooms = fakeRooms({ backplane, onError: (error) => thrown.push(error) });
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");

  assertEquals(rooms.broadcast("lobby", "hello"), {
    sent: 1,
    slow: 0,
    failed: 0,
    peers: 0,
    dropped: 1,
  });
  assertEquals(rooms.disconnect("lobby").dropped, 1);
  assertEquals(socket.heard, ["hello"]);
  assertEquals(thrown, [fault, fault]);
});
