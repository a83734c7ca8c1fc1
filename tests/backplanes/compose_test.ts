import { assertEquals, assertThrows } from "@std/assert";
import { compose } from "../../backplanes/compose.ts";
import { encodeRoomBroadcast, FrameError, Rooms } from "../../mod.ts";
import { FakeBackplane } from "../rooms/_fake_backplane.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { Inbox } from "./_inbox.ts";

Deno.test("composed: what is published goes to each, and reports are added up", () => {
  const [a, b] = [new FakeBackplane(), new FakeBackplane()];
  b.report = { peers: 5, dropped: 0 };
  const message = encodeRoomBroadcast("lobby", "hello");
  assertEquals(compose(a, b).publish(message), { peers: 8, dropped: 1 });
  assertEquals([a.published, b.published], [[message], [message]]);
});

Deno.test("composed: what comes over any of them is received, and not handed to another", () => {
  const [a, b] = [new FakeBackplane(), new FakeBackplane()];
  const inbox = new Inbox(compose(a, b));
  a.bring(encodeRoomBroadcast("lobby", "over a"));
  b.bring(encodeRoomBroadcast("lobby", "over b"));
  assertEquals(inbox.messages, ["over a", "over b"]);
  assertEquals([a.published, b.published], [[], []]);
});

Deno.test("composed: the smallest limit holds, and above it nobody has been handed anything", () => {
  const [a, b] = [new FakeBackplane(), new FakeBackplane(20)];
  const composed = compose(a, b);
  assertEquals(composed.maxMessageBytes, 20);
  const error = assertThrows(
    () => composed.publish(encodeRoomBroadcast("lobby", "more than 20 bytes")),
    FrameError,
  );
  assertEquals((error as FrameError).code, "message-too-long");
  assertEquals(a.published, []);
  assertEquals(compose(new FakeBackplane()).maxMessageBytes, 16 * 1024 * 1024);
});

Deno.test("composed: rooms are opened and closed on each that wants to know", () => {
  const [a, b] = [new FakeBackplane(), new FakeBackplane()];
  const deaf = { publish: () => ({ peers: 0, dropped: 0 }), subscribe() {} };
  const rooms = new Rooms<FakeSocket>({ backplane: compose(a, deaf, b) });
  const socket = new FakeSocket();
  rooms.join(socket, "lobby");
  assertEquals([[...a.open], [...b.open]], [["lobby"], ["lobby"]]);
  rooms.leave(socket, "lobby");
  assertEquals([[...a.open], [...b.open]], [[], []]);
  // One that nobody tells anything does not say that it wants to know: a gateway refuses those.
  assertEquals(compose(deaf).openRoom, undefined);
});

Deno.test("composed of nothing is a mistake", () => {
  assertThrows(() => compose(), TypeError, "compose needs a backplane");
});
