import { assertEquals, assertThrows } from "@std/assert";
import { encodeRoomBroadcast, encodeRoomClose } from "../../codec/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { FakeBackplane } from "./_fake_backplane.ts";
import { FakeSocket } from "./_fake_socket.ts";

/** Resolves when what was broadcast before has been heard by listeners. */
const heardByListeners = () => new Promise<void>((resolve) => queueMicrotask(resolve));

Deno.test("a listener hears its room in order after broadcast has returned, and counts in sent", async () => {
  const rooms = new Rooms<FakeSocket>();
  rooms.join(new FakeSocket(), "lobby");
  const heard: unknown[] = [];
  using _ = rooms.listen("lobby", (message, room) => void heard.push([message, room]));

  assertEquals(rooms.broadcast("lobby", "one").sent, 2);
  assertEquals(rooms.broadcast("lobby", Uint8Array.of(2)).sent, 2);
  rooms.broadcast("kitchen", "elsewhere");
  assertEquals(heard, []);
  await heardByListeners();
  assertEquals(heard, [["one", "lobby"], [Uint8Array.of(2), "lobby"]]);
  assertEquals(rooms.totals.sent, 4);
});

Deno.test("a listener hears other nodes and opens its room there", async () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms({ backplane });
  const heard: unknown[] = [];
  const listener = rooms.listen("lobby", (message) => void heard.push(message));
  assertEquals([[...backplane.open], rooms.roomCount, rooms.socketCount], [["lobby"], 1, 0]);

  backplane.bring(encodeRoomBroadcast("lobby", "from afar"));
  await heardByListeners();
  assertEquals(heard, ["from afar"]);

  listener[Symbol.dispose]();
  listener[Symbol.dispose]();
  assertEquals([backplane.open.size, rooms.roomCount], [0, 0]);
});

Deno.test("each call of listen makes its own member of one room", async () => {
  const rooms = new Rooms<FakeSocket>();
  const heard: string[] = [];
  const listen = (name: string, room: string) =>
    rooms.listen(room, (message, room) => void heard.push(`${name} ${room} ${message}`));
  using _1 = listen("first", "a");
  using second = listen("second", "a");
  using _3 = listen("third", "b");

  assertEquals(rooms.broadcast(["a", "b", "b"], "1").sent, 3);
  assertEquals(rooms.broadcast(["a", "b"], "2", { except: second }).sent, 2);
  assertEquals(rooms.broadcast(["a", "b"], "3", { except: "a" }).sent, 1);
  assertEquals(rooms.members("a"), []);
  await heardByListeners();
  assertEquals(heard, [
    "first a 1",
    "second a 1",
    "third b 1",
    "first a 2",
    "third b 2",
    "third b 3",
  ]);
});

Deno.test("a listener that has been disposed hears nothing, not even what was on its way", async () => {
  const rooms = new Rooms();
  const heard: unknown[] = [];
  const listener = rooms.listen("lobby", (message) => void heard.push(message));
  rooms.broadcast("lobby", "late");
  listener[Symbol.dispose]();
  assertEquals(rooms.broadcast("lobby", "later").sent, 0);
  await heardByListeners();
  assertEquals(heard, []);
});

Deno.test("an error of a listener, or of its promise, goes to onError and to nobody else", async () => {
  const errors: unknown[] = [];
  const rooms = new Rooms({ onError: (error) => errors.push(error) });
  const heard: unknown[] = [];
  using _1 = rooms.listen("lobby", () => {
    throw new Error("thrown");
  });
  using _2 = rooms.listen("lobby", () => Promise.reject(new Error("rejected")));
  using _3 = rooms.listen("lobby", (message) => void heard.push(message));
  assertEquals(rooms.broadcast("lobby", "hello").sent, 3);
  await heardByListeners();
  await heardByListeners();
  assertEquals(errors.map((error) => (error as Error).message), ["thrown", "rejected"]);
  assertEquals(heard, ["hello"]);
});

Deno.test("an onError that throws or rejects does not reach the process", async () => {
  const printed: unknown[][] = [];
  const original = console.error;
  console.error = (...args) => printed.push(args);
  try {
    let isAsync = false;
    const onError = () => {
      if (isAsync) return Promise.reject(new Error("rejected by onError"));
      throw new Error("thrown by onError");
    };
    const rooms = new Rooms({ onError });
    using _ = rooms.listen("lobby", () => {
      throw new Error("from the listener");
    });
    rooms.broadcast("lobby", "1");
    await heardByListeners();
    isAsync = true;
    rooms.broadcast("lobby", "2");
    await heardByListeners();
    await heardByListeners();
    assertEquals(printed.map((args) => (args[1] as Error).message), [
      "thrown by onError",
      "rejected by onError",
    ]);
  } finally {
    console.error = original;
  }
});

Deno.test("an error is printed once without onError", async () => {
  const printed: unknown[][] = [];
  const original = console.error;
  console.error = (...args) => printed.push(args);
  try {
    const rooms = new Rooms();
    const fault = new Error("fault");
    using _ = rooms.listen("lobby", () => {
      throw fault;
    });
    rooms.broadcast("lobby", "1");
    await heardByListeners();
    assertEquals(printed.map((args) => args[1]), [fault]);
  } finally {
    console.error = original;
  }
});

Deno.test("a listener that excludes its own handle does not hear itself", async () => {
  const rooms = new Rooms<FakeSocket>();
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  using echo: Disposable = rooms.listen("lobby", (message) => {
    rooms.broadcast("lobby", `${message}!`, { except: echo });
  });
  rooms.broadcast("lobby", "hello");
  await heardByListeners();
  await heardByListeners();
  assertEquals(socket.heard, ["hello", "hello!"]);
});

Deno.test("listeners stay when their room is disconnected, from here or from another node", async () => {
  const backplane = new FakeBackplane();
  const rooms = new Rooms<FakeSocket>({ backplane });
  const heard: unknown[] = [];
  using _ = rooms.listen("lobby", (message) => void heard.push(message));
  assertEquals(rooms.disconnect("lobby").sent, 0);
  backplane.bring(encodeRoomClose("lobby", 1000, ""));
  rooms.broadcast("lobby", "still here");
  await heardByListeners();
  assertEquals(heard, ["still here"]);
});

Deno.test("a listener must be a function, and its room a name that can be broadcast to", () => {
  const rooms = new Rooms();
  assertThrows(
    () => rooms.listen("lobby", "no function" as unknown as () => void),
    TypeError,
    "listener must be a function, got string",
  );
  assertThrows(() => rooms.listen("r".repeat(65_536), () => {}), RangeError, "65536 bytes");
});
