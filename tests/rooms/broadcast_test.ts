import { assertEquals, assertNotStrictEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  decodeRoomMessage,
  encodeRoomBroadcast,
  encodeRoomMessage,
  FrameError,
} from "../../codec/mod.ts";
import { type Message, Rooms } from "../../rooms/mod.ts";
import { FakeBackplane } from "./_fake_backplane.ts";
import { FakeSocket, FrameSocket, PooledFrameSocket } from "./_fake_socket.ts";

const NOTHING = { sent: 0, slow: 0, failed: 0, peers: 0, dropped: 0 };

/** `count` rooms named `r0`, `r1` and so on. */
const names = (count: number) => Array.from({ length: count }, (_, i) => `r${i}`);

/** A `Rooms` in which each name has the sockets given for it. */
function fill<S extends FakeSocket>(rooms: Rooms<S>, members: Record<string, S[]>): void {
  for (const [room, sockets] of Object.entries(members)) {
    for (const socket of sockets) rooms.join(socket, room);
  }
}

Deno.test("bytes reach members unchanged, whatever holds them", () => {
  const bytes = Uint8Array.of(0, 255, 0x80, 7);
  const shared = new SharedArrayBuffer(4);
  new Uint8Array(shared).set(bytes);
  const padded = Uint8Array.of(9, ...bytes, 9);
  const messages: Message[] = [
    bytes,
    bytes.buffer,
    shared,
    new DataView(padded.buffer, 1, 4),
    new Uint16Array(bytes.buffer),
    padded.subarray(1, 5),
  ];
  for (const backplane of [undefined, new FakeBackplane()]) {
    const rooms = new Rooms<FakeSocket>({ backplane });
    const sockets = [new FakeSocket(), new FrameSocket()];
    fill(rooms, { lobby: sockets });
    for (const message of messages) assertEquals(rooms.broadcast("lobby", message).sent, 2);
    for (const { heard } of sockets) assertEquals(heard, messages.map(() => bytes));
    assertEquals(
      backplane?.published.map((message) => decodeRoomMessage(message)) ?? [],
      backplane ? messages.map(() => ({ rooms: ["lobby"], except: [], message: bytes })) : [],
    );
  }
});

Deno.test("bytes are copied before broadcast returns", async () => {
  for (const backplane of [undefined, new FakeBackplane()]) {
    const rooms = new Rooms<FakeSocket>({ backplane });
    const sockets = [new FakeSocket(), new FrameSocket()];
    fill(rooms, { lobby: sockets });
    const listened: unknown[] = [];
    using _ = rooms.listen("lobby", (message) => void listened.push(message));
    const bytes = Uint8Array.of(1, 2, 3);
    rooms.broadcast("lobby", bytes);
    bytes.fill(9);
    await Promise.resolve();

    for (const { heard } of sockets) assertEquals(heard, [Uint8Array.of(1, 2, 3)]);
    assertEquals(listened, [Uint8Array.of(1, 2, 3)]);
    if (backplane) {
      assertEquals(decodeRoomMessage(backplane.published[0]).message, Uint8Array.of(1, 2, 3));
    }
  }
});

Deno.test("members with sendFrame share one frame, and others one copy of the bytes", () => {
  const rooms = new Rooms<FakeSocket>();
  const framed = [new FrameSocket(), new FrameSocket()];
  const plain = [new FakeSocket(), new FakeSocket()];
  fill(rooms, { lobby: [...framed, ...plain] });

  rooms.broadcast("lobby", "naïve 🎉");
  rooms.broadcast("lobby", Uint8Array.of(1, 2));

  for (const i of [0, 1]) assertStrictEquals(framed[0].frames[i], framed[1].frames[i]);
  assertStrictEquals(plain[0].heard[1], plain[1].heard[1]);
  for (const { heard } of [...framed, ...plain]) {
    assertEquals(heard, ["naïve 🎉", Uint8Array.of(1, 2)]);
  }
});

Deno.test("a frame has memory of its own, so a slow socket holds no more than it counts", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const socket = new FrameSocket();
  fill(rooms, { lobby: [socket] });

  rooms.broadcast("lobby", "from here");
  backplane.bring(encodeRoomBroadcast("lobby", "from afar"));

  assertEquals(socket.frames.map((frame) => frame.buffer.byteLength), [11, 11]);
});

Deno.test("a socket with sendPooledFrame gets its frames one after the other in one memory", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const pooled = new PooledFrameSocket();
  const framed = new FrameSocket();
  fill(rooms, { lobby: [pooled, framed] });

  rooms.broadcast("lobby", "from here");
  backplane.bring(encodeRoomBroadcast("lobby", "from afar"));
  rooms.broadcast("lobby", "l".repeat(5_000));

  for (const { heard } of [pooled, framed]) {
    assertEquals(heard, ["from here", "from afar", "l".repeat(5_000)]);
  }
  const [first, second, large] = pooled.pooledFrames;
  assertEquals(first.buffer === second.buffer, true);
  assertEquals(second.byteOffset, first.byteOffset + first.length);
  // A long frame would waste the rest of the memory.
  assertEquals(large.buffer.byteLength, large.length);
  assertEquals(framed.frames.map((frame) => frame.buffer.byteLength), [11, 11, 5_004]);
});

Deno.test("frames fill a memory of 16 KiB to the last byte, and never go past it", () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new PooledFrameSocket();
  fill(rooms, { lobby: [socket] });
  const [quarter, shorter, empty] = [4_092, 4_091, 0].map((bytes) => new Uint8Array(bytes));
  const messages = [quarter, quarter, quarter, quarter, quarter, quarter, quarter, shorter, empty];

  for (const message of messages) rooms.broadcast("lobby", message);

  assertEquals(socket.heard, messages);
  const memories = [...new Set(socket.pooledFrames.map(({ buffer }) => buffer))];
  const frames = memories.map((memory) =>
    socket.pooledFrames.filter(({ buffer }) => buffer === memory).length
  );
  assertEquals(frames, [4, 4, 1]);
});

Deno.test("a message from another node stays as it was when its memory is used again", () => {
  const backplane = new FakeBackplane(); // overwrites what it has lent
  const rooms = new Rooms<FakeSocket>({ backplane });
  const sockets = [new FakeSocket(), new FrameSocket()];
  fill(rooms, { lobby: sockets });

  backplane.bring(encodeRoomBroadcast("lobby", "a text"));
  const message = Uint8Array.of(1, 2, 3);
  backplane.bring(encodeRoomMessage({ rooms: ["lobby"], except: [], message }));

  for (const { heard } of sockets) assertEquals(heard, ["a text", message]);
});

Deno.test("a text that is not UTF-8 reaches no member, whether they take frames or strings", () => {
  const backplane = new FakeBackplane();
  for (const socket of [new FakeSocket(), new FrameSocket()]) {
    const rooms = new Rooms<FakeSocket>({ backplane });
    fill(rooms, { a: [socket] });
    for (const bad of [[0xff], [...new Array(99).fill(0x61), 0xed, 0xa0, 0x80]]) {
      const bytes = Uint8Array.of(0x1e, 1, 0, 0x61, bad.length, 0, 0, 0, ...bad);
      const error = assertThrows(() => backplane.bring(bytes), FrameError);
      assertEquals((error as FrameError).code, "invalid-utf8");
    }
    assertEquals([socket.heard, rooms.totals.received], [[], 0]);
    rooms[Symbol.dispose]();
  }
});

Deno.test("a member of several rooms hears a broadcast to them once and counts once", () => {
  const rooms = new Rooms<FakeSocket>();
  const [both, a, b] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  fill(rooms, { a: [both, a], b: [both, b], c: [] });

  assertEquals(rooms.broadcast(["a", "b", "c", "a"], "hello"), { ...NOTHING, sent: 3 });
  for (const { heard } of [both, a, b]) assertEquals(heard, ["hello"]);
});

Deno.test("members of an excluded room do not hear, whatever other rooms they are in", () => {
  const rooms = new Rooms<FakeSocket>();
  const [phone, laptop, other] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  fill(rooms, { lobby: [phone, laptop, other], hall: [phone], "user:ann": [phone, laptop] });

  assertEquals(rooms.broadcast("lobby", "one", { except: "user:ann" }).sent, 1);
  assertEquals(rooms.broadcast(["lobby", "hall"], "two", { except: ["user:ann"] }).sent, 1);
  assertEquals(rooms.broadcast("lobby", "three", { except: ["nobody", other] }).sent, 2);
  assertEquals(rooms.broadcast("lobby", "four", { except: "lobby" }), NOTHING);
  assertEquals(rooms.broadcast(["lobby", "hall"], "five", { except: "lobby" }).sent, 0);

  assertEquals(other.heard, ["one", "two"]);
  assertEquals([phone.heard, laptop.heard], [["three"], ["three"]]);
});

Deno.test("excluded sockets do not hear", () => {
  const rooms = new Rooms<FakeSocket>();
  const sockets = Array.from({ length: 5 }, () => new FakeSocket());
  fill(rooms, { lobby: sockets });
  const [a, b] = sockets;
  assertEquals(rooms.broadcast("lobby", "hello", { except: [a, b, a] }).sent, 3);
  assertEquals(rooms.broadcast("lobby", "hello", { except: [] }).sent, 5);
  assertEquals(sockets.map(({ heard }) => heard.length), [1, 1, 2, 2, 2]);
});

Deno.test("a text to one room without excluded rooms travels as ROOM_BROADCAST, and all else as ROOM_MESSAGE", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const socket = new FakeSocket();
  rooms.broadcast("a", "1", { except: socket });
  rooms.broadcast(["a", "a"], "2", { except: [socket] });
  rooms.broadcast(["a", "b"], "3");
  rooms.broadcast("a", "4", { except: ["b", "b"] });
  rooms.broadcast("a", Uint8Array.of(5));
  assertEquals(backplane.published, [
    encodeRoomBroadcast("a", "1"),
    encodeRoomBroadcast("a", "2"),
    encodeRoomMessage({ rooms: ["a", "b"], except: [], message: "3" }),
    encodeRoomMessage({ rooms: ["a"], except: ["b"], message: "4" }),
    encodeRoomMessage({ rooms: ["a"], except: [], message: Uint8Array.of(5) }),
  ]);
  assertEquals(rooms.totals.published, 5);
});

Deno.test("a broadcast to no room reaches nobody and is not published", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  assertEquals(rooms.broadcast([], "hello"), NOTHING);
  assertThrows(() => rooms.broadcast([], 7 as unknown as string), TypeError);
  assertEquals(backplane.published, []);
});

Deno.test("a ROOM_MESSAGE from another node reaches members of its rooms once, but no excluded ones", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const [both, a, ann] = [new FakeSocket(), new FakeSocket(), new FakeSocket()];
  fill(rooms, { a: [both, a, ann], b: [both], "user:ann": [ann] });

  const message = { rooms: ["a", "b", "a", "none"], except: ["user:ann", "x"], message: "hi" };
  backplane.bring(encodeRoomMessage(message));
  backplane.bring(encodeRoomMessage({ rooms: ["b"], except: ["b"], message: "nobody" }));

  assertEquals([both.heard, a.heard, ann.heard], [["hi"], ["hi"], []]);
});

Deno.test("a broadcast may name 64 rooms and 64 excluded rooms, and one more is a RangeError", () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new FakeSocket();
  fill(rooms, { r63: [socket] });

  assertEquals(rooms.broadcast(names(64), "x", { except: names(63) }).sent, 1);
  assertEquals(rooms.broadcast([...names(64), ...names(64)], "x").sent, 1);
  assertEquals(rooms.broadcast("r63", "x", { except: names(64) }).sent, 0);
  assertThrows(() => rooms.broadcast(names(65), "x"), RangeError, "at most 64 rooms, got more");
  assertThrows(
    () => rooms.broadcast("r0", "x", { except: [...names(64), socket] }),
    RangeError,
    "at most 64 exceptions, got more",
  );
  assertEquals(socket.heard.length, 2);
});

Deno.test("a lone surrogate in a name or a text becomes U+FFFD, so leave finds what join stored", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const [socket, other] = [new FakeSocket(), new FrameSocket()];

  assertEquals(rooms.join(socket, "half \ud83d"), true);
  assertEquals(rooms.join(socket, "half \ud83e"), false);
  assertEquals(rooms.join(other, "half \ufffd"), true);
  assertEquals(rooms.roomsOf(socket), ["half \ufffd"]);
  assertEquals(rooms.members("half \udc00"), [socket, other]);
  assertEquals(rooms.broadcast("half \ud83d", "\ud83d!").sent, 2);
  assertEquals(rooms.broadcast(["half \ud83d"], "x", { except: "half \udfff" }).sent, 0);
  assertEquals([socket.heard, other.heard], [["\ufffd!"], ["\ufffd!"]]);
  assertEquals(backplane.published, [encodeRoomBroadcast("half \ufffd", "\ufffd!")]);
  assertEquals(rooms.leave(socket, "half \udfff"), true);
  assertEquals(rooms.disconnect("half \ud800", { reason: "\ud800" }).sent, 1);
  assertEquals(other.closeCalls, [{ code: 1000, reason: "\ufffd" }]);
});

Deno.test("names that begin with U+0000 are reserved, so nobody joins, hears or is disconnected", () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const socket = new FakeSocket();
  for (const room of ["\0", "\0presence"]) {
    assertEquals(rooms.join(socket, room), false);
    assertEquals(rooms.leave(socket, room), false);
    assertEquals(rooms.members(room), []);
    assertEquals(rooms.broadcast(room, "x"), NOTHING);
    assertEquals(rooms.broadcast([room], "x"), NOTHING);
    assertEquals(rooms.disconnect(room), NOTHING);
    assertThrows(() => rooms.listen(room, () => {}), RangeError, "U+0000 are reserved");
  }
  fill(rooms, { lobby: [socket] });
  assertEquals(rooms.broadcast(["\0", "lobby"], "x", { except: "\0" }).sent, 1);
  assertEquals(backplane.published, [encodeRoomBroadcast("lobby", "x")]);
  assertEquals([...backplane.open], ["lobby"]);
});

Deno.test("a message of exactly the limit is sent, and one more byte is refused, for text and bytes", () => {
  const rooms = new Rooms({ maxMessageBytes: 4 });
  rooms.broadcast("a", "éé");
  rooms.broadcast("a", new Uint8Array(4));
  for (const message of ["ééx", "\ud800\ud800", new Uint8Array(5), new ArrayBuffer(5)]) {
    const error = assertThrows(() => rooms.broadcast("a", message), FrameError);
    assertEquals((error as FrameError).code, "message-too-long");
  }
});

Deno.test("two Rooms on one backplane hear each other, and not themselves", () => {
  const backplane = new FakeBackplane(undefined, 2);
  const [one, two] = [0, 1].map(() => new Rooms<FakeSocket>({ backplane }));
  const [a, b] = [new FakeSocket(), new FrameSocket()];
  one.join(a, "lobby");
  two.join(b, "lobby");

  assertEquals(one.broadcast("lobby", "from one").sent, 1);
  assertEquals(two.broadcast("lobby", Uint8Array.of(2)).sent, 1);
  assertEquals(two.disconnect("lobby").sent, 1);

  assertEquals([a.heard, b.heard], [["from one", Uint8Array.of(2)], [
    "from one",
    Uint8Array.of(2),
  ]]);
  assertEquals([a.closeCalls.length, b.closeCalls.length], [1, 1]);
  assertEquals(one.totals, { sent: 2, slow: 0, failed: 0, published: 1, received: 2, missed: 0 });
});

Deno.test("a listener that changes its bytes changes nobody else's", async () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new FakeSocket();
  fill(rooms, { lobby: [socket] });
  const heard: (string | Uint8Array)[] = [];
  const vandal = rooms.listen("lobby", (message) => {
    if (typeof message !== "string") message.fill(0);
  });
  const other = rooms.listen("lobby", (message) => void heard.push(message));
  rooms.broadcast("lobby", Uint8Array.of(1, 2));
  await Promise.resolve();
  assertEquals([socket.heard, heard], [[Uint8Array.of(1, 2)], [Uint8Array.of(1, 2)]]);
  assertNotStrictEquals(socket.heard[0], heard[0]);
  vandal[Symbol.dispose]();
  other[Symbol.dispose]();
});
