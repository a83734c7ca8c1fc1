import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { decodeRoomBroadcast, encodeRoomBroadcast, Rooms } from "../../mod.ts";
import { FakeBackplane } from "./_fake_backplane.ts";
import { FakeSocket } from "./_fake_socket.ts";

/**
 * Rooms against a model that is nothing but a list of pairs, searched from end to end each time.
 * Sockets come and go, get slow, break, and get stuck in closing.
 */

const ROOMS = ["", "lobby", "部屋", "a b", "🎉"];
const MAX_BUFFERED = 100;

interface Model {
  pairs: { socket: FakeSocket; room: string }[];
  /** What each socket should have heard. */
  heard: Map<FakeSocket, string[]>;
  published: { room: string; message: string }[];
}

interface Real {
  rooms: Rooms<FakeSocket>;
  backplane: FakeBackplane;
  sockets: FakeSocket[];
  closeSlow: boolean;
}

type Command = fc.Command<Model, Real>;

function command(name: string, run: (model: Model, real: Real) => void): Command {
  return {
    check: () => true,
    run(model, real) {
      run(model, real);
      assertAgree(model, real);
    },
    toString: () => name,
  };
}

function assertAgree(model: Model, { rooms, sockets, backplane }: Real): void {
  const names = [...new Set(model.pairs.map((pair) => pair.room))];
  assertEquals(rooms.roomCount, names.length);
  // The fake throws when a room is opened or closed twice: calls are exactly paired.
  assertEquals([...backplane.open].sort(), names.sort());
  assertEquals(rooms.socketCount, new Set(model.pairs.map((pair) => pair.socket)).size);
  for (const room of ROOMS) {
    const members = model.pairs.filter((pair) => pair.room === room).map((pair) => pair.socket);
    assertEquals(new Set(rooms.members(room)), new Set(members));
    assertEquals(rooms.members(room).length, members.length);
  }
  for (const socket of sockets) {
    const joined = model.pairs.filter((pair) => pair.socket === socket).map((pair) => pair.room);
    assertEquals(rooms.roomsOf(socket).sort(), joined.sort());
    assertEquals(socket.heard, model.heard.get(socket) ?? []);
    assertEquals(socket.listenersAdded <= 1, true);
  }
  assertEquals(backplane.published.map(decodeRoomBroadcast), model.published);
}

function forget(model: Model, socket: FakeSocket): void {
  model.pairs = model.pairs.filter((pair) => pair.socket !== socket);
}

/** What should become of a message on this node. */
function deliver(model: Model, real: Real, room: string, message: string, except?: FakeSocket) {
  const report = { sent: 0, slow: 0, failed: 0 };
  for (const { socket } of model.pairs.filter((pair) => pair.room === room)) {
    if (socket === except || socket.readyState !== 1) continue;
    if (socket.bufferedAmount > MAX_BUFFERED) {
      report.slow++;
      if (real.closeSlow) forget(model, socket);
    } else if (socket.failure) {
      report.failed++;
    } else {
      report.sent++;
      model.heard.set(socket, [...model.heard.get(socket) ?? [], message]);
    }
  }
  return report;
}

const index = fc.nat(7);
const room = fc.constantFrom(...ROOMS);
const message = fc.string({ unit: "binary", maxLength: 5 });

const commands = [
  fc.tuple(index, room).map(([i, room]) =>
    command(`join(${i}, ${JSON.stringify(room)})`, (model, { rooms, sockets }) => {
      const socket = sockets[i];
      const known = model.pairs.some((pair) => pair.socket === socket && pair.room === room);
      const expected = socket.readyState < 2 && !known;
      if (expected) model.pairs.push({ socket, room });
      assertEquals(rooms.join(socket, room), expected);
    })
  ),
  fc.tuple(index, room).map(([i, room]) =>
    command(`leave(${i}, ${JSON.stringify(room)})`, (model, { rooms, sockets }) => {
      const before = model.pairs.length;
      model.pairs = model.pairs.filter((pair) => pair.socket !== sockets[i] || pair.room !== room);
      assertEquals(rooms.leave(sockets[i], room), model.pairs.length < before);
    })
  ),
  index.map((i) =>
    command(`leaveAll(${i})`, (model, { rooms, sockets }) => {
      const before = model.pairs.length;
      forget(model, sockets[i]);
      assertEquals(rooms.leaveAll(sockets[i]), before - model.pairs.length);
    })
  ),
  index.map((i) =>
    command(`open or reopen(${i})`, (model, { sockets }) => {
      // A socket never opens twice: a new one takes the place of one that has closed.
      if (sockets[i].readyState === 3) sockets[i] = new FakeSocket();
      else if (sockets[i].readyState === 0) sockets[i].readyState = 1;
      if (!model.heard.has(sockets[i])) model.heard.set(sockets[i], []);
    })
  ),
  index.map((i) =>
    command(`connecting(${i})`, (_, { sockets }) => {
      if (sockets[i].readyState !== 3) return;
      sockets[i] = new FakeSocket();
      sockets[i].readyState = 0;
    })
  ),
  index.map((i) =>
    command(`closing(${i})`, (_, { sockets }) => {
      if (sockets[i].readyState === 1) sockets[i].readyState = 2;
    })
  ),
  index.map((i) =>
    command(`closed(${i})`, (model, { sockets }) => {
      forget(model, sockets[i]);
      sockets[i].emitClose();
    })
  ),
  fc.tuple(index, fc.constantFrom(0, MAX_BUFFERED, MAX_BUFFERED + 1)).map(([i, bytes]) =>
    command(`buffered(${i}, ${bytes})`, (_, { sockets }) => {
      sockets[i].bufferedAmount = bytes;
      sockets[i].closes = bytes % 2 === 0;
    })
  ),
  fc.tuple(index, fc.boolean()).map(([i, broken]) =>
    command(`broken(${i}, ${broken})`, (_, { sockets }) => {
      sockets[i].failure = broken ? new Error("broken") : undefined;
    })
  ),
  fc.tuple(room, message, fc.option(index, { nil: undefined })).map(([room, message, i]) =>
    command(`broadcast(${JSON.stringify(room)}, except ${i})`, (model, real) => {
      const except = i === undefined ? undefined : real.sockets[i];
      const expected = deliver(model, real, room, message, except);
      model.published.push({ room, message });
      const { peers, dropped, ...report } = real.rooms.broadcast(room, message, { except });
      assertEquals(report, expected);
      assertEquals({ peers, dropped }, real.backplane.report);
    })
  ),
  fc.tuple(room, message).map(([room, message]) =>
    command(`from afar(${JSON.stringify(room)})`, (model, real) => {
      deliver(model, real, room, message);
      real.backplane.bring(encodeRoomBroadcast(room, message));
    })
  ),
];

function setUp(closeSlow: boolean): { model: Model; real: Real } {
  const backplane = new FakeBackplane();
  const slowSocket = closeSlow ? "close" : "skip";
  const rooms = new Rooms<FakeSocket>({ backplane, maxBufferedBytes: MAX_BUFFERED, slowSocket });
  const sockets = Array.from({ length: 8 }, () => new FakeSocket());
  return {
    model: { pairs: [], heard: new Map(), published: [] },
    real: { rooms, backplane, sockets, closeSlow },
  };
}

for (const closeSlow of [true, false]) {
  Deno.test(`rooms agree with a naive model; slow sockets are ${closeSlow ? "closed" : "skipped"}`, () => {
    fc.assert(
      fc.property(fc.commands(commands, { maxCommands: 120, size: "max" }), (sequence) => {
        const { model, real } = setUp(closeSlow);
        fc.modelRun(() => ({ model, real }), sequence);
        for (const socket of [...new Set(model.pairs.map((pair) => pair.socket))]) {
          socket.emitClose();
        }
        assertEquals([real.rooms.roomCount, real.rooms.socketCount], [0, 0]);
        assertEquals(real.backplane.open.size, 0);
      }),
      { numRuns: 200 },
    );
  });
}
