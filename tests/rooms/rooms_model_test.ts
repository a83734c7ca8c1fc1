import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  BroadcastView,
  decodeRoomClose,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomMessage,
  ROOM_CLOSE,
} from "../../codec/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { FakeBackplane } from "./_fake_backplane.ts";
import { FakeSocket, FrameSocket } from "./_fake_socket.ts";

/**
 * Two `Rooms` on one backplane against a model that is nothing but lists, searched from end to end
 * each time. Sockets come and go, connect slowly, get slow, break, and get stuck in closing; they
 * may be in both `Rooms`. Others listen, and other nodes broadcast and disconnect.
 */

const ROOMS = ["", "lobby", "部屋", "a b", "🎉", "half \ud83d", "\0reserved"];
const MAX_BUFFERED = 100;
const HUBS = 2;
const SOCKETS = 6;

type Content = string | Uint8Array;

interface Membership {
  readonly hub: number;
  readonly socket: FakeSocket;
  readonly room: string;
  /** The socket has not opened yet. */
  waits: boolean;
}

interface ModelListener {
  readonly hub: number;
  readonly room: string;
  readonly heard: Content[];
}

interface Model {
  memberships: Membership[];
  listeners: ModelListener[];
  /** What each socket should have heard. */
  heard: Map<FakeSocket, Content[]>;
  published: unknown[];
  /** Sockets in an episode of being slow, and the `slow` events that there have been. */
  slow: Set<FakeSocket>[];
  slowEvents: number[];
  totals: { sent: number; slow: number; failed: number; published: number; received: number }[];
}

interface RealListener {
  readonly handle: Disposable;
  readonly heard: Content[];
  readonly model: ModelListener;
}

interface Real {
  hubs: Rooms<FakeSocket>[];
  backplane: FakeBackplane;
  sockets: FakeSocket[];
  /** The sockets that have been replaced are still watched. */
  all: Set<FakeSocket>;
  listeners: RealListener[];
  slowEvents: number[];
  closeSlow: boolean;
}

interface Broadcast {
  readonly rooms: readonly string[];
  readonly except: readonly string[];
  readonly message: Content;
}

type Command = fc.AsyncCommand<Model, Real>;

function command(name: string, run: (model: Model, real: Real) => void): Command {
  return {
    check: () => true,
    async run(model, real) {
      run(model, real);
      await Promise.resolve(); // Listeners are called in a microtask.
      assertAgree(model, real);
    },
    toString: () => name,
  };
}

function assertAgree(model: Model, { hubs, all, backplane, listeners, slowEvents }: Real): void {
  const open = new Set<string>();
  for (const [hub, rooms] of hubs.entries()) {
    const here = model.memberships.filter((one) => one.hub === hub && !one.waits);
    const listening = model.listeners.filter((one) => one.hub === hub);
    const names = new Set([...here, ...listening].map(({ room }) => room));
    for (const name of names) open.add(name);
    const sockets = new Set(here.map(({ socket }) => socket));
    assertEquals(rooms.roomCount, names.size);
    assertEquals(rooms.socketCount, sockets.size);
    assertEquals([...rooms.sockets()].length, sockets.size);
    assertEquals(new Set(rooms.sockets()), sockets);
    for (const room of ROOMS) {
      const members = here.filter((one) => one.room === normal(room)).map(({ socket }) => socket);
      assertEquals(rooms.members(room).length, members.length);
      assertEquals(new Set(rooms.members(room)), new Set(members));
    }
    for (const socket of all) {
      const joined = here.filter((one) => one.socket === socket).map(({ room }) => room);
      assertEquals(rooms.roomsOf(socket).sort(), joined.sort());
    }
    assertEquals(rooms.totals, { ...model.totals[hub], missed: 0 });
  }
  // The fake throws when a `Rooms` opens or closes a room twice: calls are exactly paired.
  assertEquals([...backplane.open].sort(), [...open].sort());
  for (const socket of all) {
    assertEquals(socket.heard, model.heard.get(socket) ?? []);
    assertEquals(socket.listenersAdded <= 2 * HUBS, true);
  }
  for (const { heard, model } of listeners) assertEquals(heard, model.heard);
  assertEquals(slowEvents, model.slowEvents);
  assertEquals(backplane.published.map(read), model.published);
}

/** A published message, whichever way it is encoded. */
function read(bytes: Uint8Array): unknown {
  if (bytes[0] === ROOM_CLOSE) return decodeRoomClose(bytes);
  const view = new BroadcastView(bytes);
  return { rooms: view.rooms(), except: [...view.except()], message: view.message() };
}

const normal = (room: string) => room.toWellFormed();
const isReserved = (room: string) => room.startsWith("\0");
const unique = <T>(all: readonly T[]) => all.filter((one, i) => all.indexOf(one) === i);

/** The names as they travel. */
function names(rooms: readonly string[]): string[] {
  return unique(rooms.map(normal)).filter((room) => !isReserved(room));
}

function forget(model: Model, socket: FakeSocket, hub?: number): void {
  model.memberships = model.memberships.filter((one) =>
    one.socket !== socket || hub !== undefined && one.hub !== hub
  );
  for (const [i, slow] of model.slow.entries()) {
    if (hub === undefined) slow.delete(socket);
    else if (i === hub) slow.delete(socket);
  }
}

/** A member of this node is told to close: what becomes of it. */
function close(model: Model, socket: FakeSocket, gone: Set<FakeSocket>): void {
  gone.add(socket);
  if (socket.closes) forget(model, socket);
}

/** What should become of a message in one `Rooms`. `gone`: sockets that it makes close. */
function deliver(
  model: Model,
  real: Real,
  hub: number,
  { rooms, except, message }: Broadcast,
  gone: Set<FakeSocket>,
  excepted: readonly unknown[] = [],
) {
  const report = { sent: 0, slow: 0, failed: 0 };
  const here = model.memberships.filter((one) => one.hub === hub && !one.waits);
  const hears = (room: string) => rooms.includes(room) && !except.includes(room);
  for (const socket of unique(here.filter((one) => hears(one.room)).map((one) => one.socket))) {
    if (here.some((one) => one.socket === socket && except.includes(one.room))) continue;
    if (excepted.includes(socket) || socket.readyState !== 1 || gone.has(socket)) continue;
    const slow = model.slow[hub];
    if (socket.bufferedAmount > MAX_BUFFERED) {
      report.slow++;
      if (!slow.has(socket)) model.slowEvents[hub]++;
      slow.add(socket);
      if (!real.closeSlow) continue;
      forget(model, socket, hub);
      close(model, socket, gone);
      continue;
    }
    if (2 * socket.bufferedAmount <= MAX_BUFFERED) slow.delete(socket);
    if (socket.failure) {
      report.failed++;
      continue;
    }
    report.sent++;
    model.heard.set(socket, [...model.heard.get(socket) ?? [], message]);
  }
  for (const listener of model.listeners) {
    if (listener.hub !== hub || !hears(listener.room) || excepted.includes(listener)) continue;
    report.sent++;
    listener.heard.push(message);
  }
  const totals = model.totals[hub];
  totals.sent += report.sent;
  totals.slow += report.slow;
  totals.failed += report.failed;
  return report;
}

/** What should become of an order to disconnect in one `Rooms`. */
function disconnect(model: Model, hub: number, room: string, gone: Set<FakeSocket>): number {
  const members = model.memberships.filter((one) =>
    one.hub === hub && !one.waits && one.room === room
  );
  let sent = 0;
  for (const { socket } of members) {
    if (socket.readyState >= 2 || gone.has(socket)) continue;
    close(model, socket, gone);
    sent++;
  }
  return sent;
}

const hub = fc.nat(HUBS - 1);
const index = fc.nat(SOCKETS - 1);
const room = fc.constantFrom(...ROOMS);
const someRooms = fc.array(room, { maxLength: 3 });
const message = fc.oneof(
  fc.string({ unit: "binary", maxLength: 5 }),
  fc.uint8Array({ maxLength: 5 }),
);
const show = (value: unknown) => fc.stringify(value);

const commands = [
  fc.tuple(hub, index, room).map(([hub, i, room]) =>
    command(`join(${hub}, ${i}, ${show(room)})`, (model, { hubs, sockets }) => {
      const socket = sockets[i];
      const name = normal(room);
      const expected = socket.readyState < 2 && !isReserved(room) &&
        !model.memberships.some((one) =>
          one.hub === hub && one.socket === socket && one.room === name
        );
      const waits = socket.readyState === 0;
      if (expected) model.memberships.push({ hub, socket, room: name, waits });
      assertEquals(hubs[hub].join(socket, room), expected);
    })
  ),
  fc.tuple(hub, index, room).map(([hub, i, room]) =>
    command(`leave(${hub}, ${i}, ${show(room)})`, (model, { hubs, sockets }) => {
      const before = model.memberships.length;
      model.memberships = model.memberships.filter((one) =>
        one.hub !== hub || one.socket !== sockets[i] || one.room !== normal(room)
      );
      const expected = model.memberships.length < before;
      assertEquals(hubs[hub].leave(sockets[i], room), expected);
    })
  ),
  fc.tuple(hub, index).map(([hub, i]) =>
    command(`leaveAll(${hub}, ${i})`, (model, { hubs, sockets }) => {
      const before = model.memberships.length;
      model.memberships = model.memberships.filter((one) =>
        one.hub !== hub || one.socket !== sockets[i]
      );
      assertEquals(hubs[hub].leaveAll(sockets[i]), before - model.memberships.length);
    })
  ),
  fc.tuple(index, fc.boolean(), fc.boolean()).map(([i, frames, connecting]) =>
    command(
      `open or replace(${i}, ${frames ? "frames" : "plain"}${connecting ? ", connecting" : ""})`,
      (model, real) => {
        const socket = real.sockets[i];
        if (socket.readyState === 0) {
          for (const one of model.memberships) if (one.socket === socket) one.waits = false;
          socket.emitOpen();
        } else if (socket.readyState === 3) {
          // A socket never opens twice: a new one takes the place of one that has closed.
          const fresh = frames ? new FrameSocket() : new FakeSocket();
          fresh.readyState = connecting ? 0 : 1;
          real.sockets[i] = fresh;
          real.all.add(fresh);
        }
      },
    )
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
  fc.tuple(index, fc.constantFrom(0, MAX_BUFFERED / 2, MAX_BUFFERED, MAX_BUFFERED + 1)).map((
    [i, bytes],
  ) =>
    command(`buffered(${i}, ${bytes})`, (_, { sockets }) => {
      sockets[i].bufferedAmount = bytes;
      sockets[i].closes = bytes !== MAX_BUFFERED;
    })
  ),
  fc.tuple(index, fc.boolean()).map(([i, broken]) =>
    command(`broken(${i}, ${broken})`, (_, { sockets }) => {
      sockets[i].failure = broken ? new Error("broken") : undefined;
    })
  ),
  fc.tuple(hub, room).map(([hub, room]) =>
    command(`listen(${hub}, ${show(room)})`, (model, { hubs, listeners }) => {
      if (isReserved(room)) return;
      const heard: Content[] = [];
      const expected: ModelListener = { hub, room: normal(room), heard: [] };
      const handle = hubs[hub].listen(room, (message) => void heard.push(message));
      model.listeners.push(expected);
      listeners.push({ handle, heard, model: expected });
    })
  ),
  fc.nat(3).map((i) =>
    command(`listen no more(${i})`, (model, { listeners }) => {
      if (i >= listeners.length) return;
      listeners[i].handle[Symbol.dispose]();
      model.listeners = model.listeners.filter((one) => one !== listeners[i].model);
    })
  ),
  fc.tuple(
    hub,
    fc.oneof(room.map((one) => [one]), someRooms),
    message,
    fc.record({
      sockets: fc.array(index, { maxLength: 2 }),
      rooms: someRooms,
      listener: fc.nat(5),
    }),
  ).map(([hub, rooms, message, but]) =>
    command(`broadcast(${hub}, ${show(rooms)}, ${show(message)}, ${show(but)})`, (model, real) => {
      const { hubs, sockets, listeners, backplane } = real;
      const listener = listeners.at(but.listener);
      const except = [
        ...but.rooms,
        ...but.sockets.map((i) => sockets[i]),
        ...listener ? [listener.handle] : [],
      ];
      const excepted = [...except, ...listener ? [listener.model] : []];
      const text = typeof message === "string" ? normal(message) : message;
      const left = names(but.rooms);
      const targets = names(rooms).filter((room) => !left.includes(room));
      const broadcast = { rooms: targets, except: left, message: text };
      const report = hubs[hub].broadcast.bind(hubs[hub]);
      const target = rooms.length === 1 ? rooms[0] : rooms;
      if (targets.length === 0) {
        const nothing = { sent: 0, slow: 0, failed: 0, peers: 0, dropped: 0 };
        assertEquals(report(target, message, { except }), nothing);
        return;
      }
      const gone = new Set<FakeSocket>();
      const expected = deliver(model, real, hub, broadcast, gone, excepted);
      model.published.push(broadcast);
      model.totals[hub].published++;
      for (let other = 0; other < HUBS; other++) {
        if (other === hub) continue;
        model.totals[other].received++;
        deliver(model, real, other, broadcast, gone);
      }
      assertEquals(report(target, message, { except }), { ...expected, ...backplane.report });
    })
  ),
  fc.tuple(fc.array(room, { minLength: 1, maxLength: 3 }), someRooms, message).map((
    [rooms, except, message],
  ) =>
    command(`from afar(${show(rooms)}, ${show(message)}, ${show(except)})`, (model, real) => {
      const text = typeof message === "string" ? normal(message) : message;
      // Other nodes may repeat names, and may use reserved ones.
      const broadcast = { rooms: rooms.map(normal), except: except.map(normal), message: text };
      const isPlain = rooms.length === 1 && except.length === 0 && typeof text === "string";
      const gone = new Set<FakeSocket>();
      for (let hub = 0; hub < HUBS; hub++) {
        if (rooms.length > 1 || !isReserved(rooms[0])) model.totals[hub].received++;
        deliver(model, real, hub, broadcast, gone);
      }
      real.backplane.bring(
        isPlain ? encodeRoomBroadcast(broadcast.rooms[0], text) : encodeRoomMessage(broadcast),
      );
    })
  ),
  fc.tuple(hub, room).map(([hub, room]) =>
    command(`disconnect(${hub}, ${show(room)})`, (model, { hubs, backplane }) => {
      const nothing = { sent: 0, slow: 0, failed: 0, peers: 0, dropped: 0 };
      const name = normal(room);
      if (isReserved(room)) return assertEquals(hubs[hub].disconnect(room), nothing);
      const gone = new Set<FakeSocket>();
      const sent = disconnect(model, hub, name, gone);
      model.published.push({ room: name, code: 4000, reason: "bye" });
      model.totals[hub].published++;
      for (let other = 0; other < HUBS; other++) {
        if (other === hub) continue;
        model.totals[other].received++;
        disconnect(model, other, name, gone);
      }
      assertEquals(hubs[hub].disconnect(room, { code: 4000, reason: "bye" }), {
        ...nothing,
        sent,
        ...backplane.report,
      });
    })
  ),
  room.map((room) =>
    command(`disconnect from afar(${show(room)})`, (model, { backplane }) => {
      const gone = new Set<FakeSocket>();
      for (let hub = 0; hub < HUBS; hub++) {
        model.totals[hub].received++;
        disconnect(model, hub, normal(room), gone);
      }
      backplane.bring(encodeRoomClose(normal(room), 1000, ""));
    })
  ),
];

function setUp(closeSlow: boolean): { model: Model; real: Real } {
  const backplane = new FakeBackplane(undefined, HUBS);
  const slowSocket = closeSlow ? "close" : "skip";
  const options = { backplane, maxBufferedBytes: MAX_BUFFERED, slowSocket } as const;
  const each = <T>(make: () => T) => Array.from({ length: HUBS }, make);
  const hubs = each(() => new Rooms<FakeSocket>(options));
  const slowEvents = each(() => 0);
  for (const [i, rooms] of hubs.entries()) {
    rooms.addEventListener("slow", () => void slowEvents[i]++);
  }
  const sockets = Array.from(
    { length: SOCKETS },
    (_, i) => i % 2 === 0 ? new FakeSocket() : new FrameSocket(),
  );
  return {
    model: {
      memberships: [],
      listeners: [],
      heard: new Map(),
      published: [],
      slow: each(() => new Set()),
      slowEvents: each(() => 0),
      totals: each(() => ({ sent: 0, slow: 0, failed: 0, published: 0, received: 0 })),
    },
    real: { hubs, backplane, sockets, all: new Set(sockets), listeners: [], slowEvents, closeSlow },
  };
}

for (const closeSlow of [true, false]) {
  Deno.test(`two Rooms that ${closeSlow ? "close" : "skip"} slow sockets agree with a naive model`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands(commands, { maxCommands: 100, size: "max" }),
        async (sequence) => {
          const { model, real } = setUp(closeSlow);
          try {
            await fc.asyncModelRun(() => ({ model, real }), sequence);
            for (const { handle } of real.listeners) handle[Symbol.dispose]();
            for (const socket of real.all) socket.emitClose();
            for (const rooms of real.hubs) {
              assertEquals([rooms.roomCount, rooms.socketCount], [0, 0]);
            }
            assertEquals(real.backplane.open.size, 0);
          } finally {
            for (const rooms of real.hubs) rooms[Symbol.dispose]();
          }
        },
      ),
      { numRuns: 100 },
    );
  });
}
