import { assertEquals, assertThrows } from "@std/assert";
import { decodeRoomMessage, encodeRoomMessage, FrameError } from "../../codec/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { seamOf } from "../../rooms/reserved.ts";
import { FakeBackplane } from "./_fake_backplane.ts";
import { ConnectingSocket, FakeSocket } from "./_fake_socket.ts";

const ROOM = "\0test";

Deno.test("a reserved room carries bytes to all receivers, but not to the sender", () => {
  const backplane = new FakeBackplane(undefined, 2);
  const heard: string[] = [];
  const open = (name: string, rooms: object) =>
    seamOf(rooms).openReserved(ROOM, (message, from) => {
      heard.push(`${name} ${[...message]} ${from}`);
    });
  const [one, two] = [new Rooms({ backplane }), new Rooms({ backplane })];
  const [a, b, c] = [open("a", one), open("b", one), open("c", two)];
  assertEquals([...backplane.open], [ROOM]);

  assertEquals(a.publish(Uint8Array.of(1, 2)), backplane.report);
  backplane.bring(encodeRoomMessage({ rooms: [ROOM], except: [], message: Uint8Array.of(3) }));

  assertEquals(heard, [
    "b 1,2 this node",
    "c 1,2 this node",
    "a 3 another node",
    "b 3 another node",
    "c 3 another node",
  ]);
  assertEquals(backplane.published.map(decodeRoomMessage), [
    { rooms: [ROOM], except: [], message: Uint8Array.of(1, 2) },
  ]);
  assertEquals([one.totals.published, one.totals.received, one.roomCount], [0, 0, 0]);

  for (const room of [a, b, c, c]) room[Symbol.dispose]();
  assertEquals(backplane.open.size, 0);
});

Deno.test("a reserved room works without a backplane, for the receivers on one Rooms", () => {
  const seam = seamOf(new Rooms());
  const heard: unknown[] = [];
  const receive = (message: Uint8Array, from?: string) => void heard.push(message, from);
  const room = seam.openReserved(ROOM, receive);
  seam.openReserved(ROOM, receive);
  assertEquals(room.publish(Uint8Array.of(1)), { peers: 0, dropped: 0 });
  assertEquals(heard, [Uint8Array.of(1), undefined]);
});

Deno.test("a message that a receiver cannot decode is malformed, and the others hear it", () => {
  const backplane = new FakeBackplane();
  const errors: unknown[] = [];
  const seam = seamOf(new Rooms({ backplane, onError: (error) => errors.push(error) }));
  const malformed = new FrameError("truncated", 0, "too short");
  let heard = 0;
  seam.openReserved(ROOM, () => {
    throw malformed;
  });
  const room = seam.openReserved(ROOM, () => void heard++);
  const message = encodeRoomMessage({ rooms: [ROOM], except: [], message: Uint8Array.of(3) });
  assertThrows(() => backplane.bring(message), FrameError, "too short");
  room.publish(Uint8Array.of(1));
  assertEquals([heard, errors], [1, [malformed]]);
});

Deno.test("a reserved room's limit is the backplane's less the header of the message", () => {
  const backplane = new FakeBackplane(100);
  const room = seamOf(new Rooms({ backplane })).openReserved(ROOM, () => {});
  room.publish(new Uint8Array(room.maxMessageBytes));
  assertEquals(backplane.published[0].length, 100);
});

Deno.test("a watcher hears of every join and leave, whatever the cause", () => {
  const rooms = new Rooms<FakeSocket>({ maxBufferedBytes: 10 });
  const seam = seamOf(rooms);
  const sockets = [new FakeSocket(), new FakeSocket(), new ConnectingSocket(), new FakeSocket()];
  const [a, b, connecting, slow] = sockets;
  const happened: string[] = [];
  const note = (what: string) => (socket: unknown, room: string) => {
    happened.push(`${what} ${sockets.indexOf(socket as FakeSocket)} ${room}`);
  };
  const news = (act: () => unknown) => {
    act();
    return happened.splice(0);
  };
  const watch = seam.watch({ joined: note("joined"), left: note("left") });

  assertEquals(news(() => rooms.join(a, "x")), ["joined 0 x"]);
  assertEquals(news(() => rooms.join(a, "x")), []);
  assertEquals(news(() => rooms.leave(a, "x")), ["left 0 x"]);
  assertEquals(news(() => rooms.join(b, "x")), ["joined 1 x"]);
  assertEquals(news(() => rooms.join(b, "y")), ["joined 1 y"]);
  assertEquals(news(() => b.emitClose()), ["left 1 x", "left 1 y"]);
  assertEquals(news(() => rooms.join(connecting, "x")), []);
  assertEquals(news(() => rooms.leave(connecting, "x")), ["left 2 x"]);
  assertEquals(news(() => rooms.join(connecting, "y")), []);
  const states = () => [seam.isMember(connecting, "y"), seam.isWaiting(connecting, "y")];
  assertEquals([...states(), seam.isWaiting(connecting, "x")], [false, true, false]);
  assertEquals(news(() => connecting.emitOpen()), ["joined 2 y"]);
  assertEquals([...states(), seam.isMember(connecting, "x")], [true, false, false]);
  rooms.join(slow, "y");
  slow.bufferedAmount = 11;
  assertEquals(news(() => rooms.broadcast("y", "m")), ["joined 3 y", "left 3 y"]);
  assertEquals(news(() => rooms[Symbol.dispose]()), ["left 2 y"]);

  watch[Symbol.dispose]();
});

Deno.test("an error of a watcher goes to onError", () => {
  const errors: unknown[] = [];
  const rooms = new Rooms<FakeSocket>({ onError: (error) => errors.push(error) });
  const fault = new Error("fault");
  const fail = () => {
    throw fault;
  };
  seamOf(rooms).watch({ joined: fail, left: fail });
  const socket = new FakeSocket();
  assertEquals([rooms.join(socket, "x"), rooms.leave(socket, "x")], [true, true]);
  assertEquals(errors, [fault, fault]);
});

Deno.test("the internal seam accepts only reserved names, and only a Rooms", () => {
  const seam = seamOf(new Rooms());
  assertThrows(() => seam.openReserved("lobby", () => {}), RangeError, "begins with U+0000");
  assertThrows(() => seamOf({}), TypeError, "must be a Rooms");
});
