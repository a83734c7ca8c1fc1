import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Presence } from "../../presence/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { ConnectingSocket, FakeSocket } from "../rooms/_fake_socket.ts";
import { Bus } from "./_bus.ts";

/**
 * Presence on two nodes against a model that is nothing but a list: sockets of one node come and go,
 * connect late, close, join and leave by themselves, and are tracked under this id and that.
 */

const ROOMS = ["", "部屋"];
const IDS = ["", "ann", "🎉", "__proto__"];

interface Membership {
  readonly socket: FakeSocket;
  readonly room: string;
  /** Undefined: a member that is not tracked. */
  tracked: { id: string; meta: number | null } | undefined;
}

interface Model {
  memberships: Membership[];
}

class Real {
  readonly clock = new FakeTimers();
  readonly #bus = new Bus();
  readonly rooms = new Rooms({ backplane: this.#bus.node(), timers: this.clock });
  readonly presence = new Presence<number>(this.rooms, { clock: this.clock });
  readonly #otherRooms = new Rooms({ backplane: this.#bus.node(), timers: this.clock });
  readonly other = new Presence<number>(this.#otherRooms, { clock: this.clock });
  readonly sockets: FakeSocket[] = Array.from({ length: 3 }, () => new FakeSocket());
  readonly told = [this.presence, this.other].map((presence) => {
    const told = new Set<string>();
    presence.addEventListener("join", ({ room, id }) => {
      assertEquals(told.has(`${room}/${id}`), false);
      told.add(`${room}/${id}`);
    });
    presence.addEventListener("leave", ({ room, id }) => {
      assertEquals(told.delete(`${room}/${id}`), true);
    });
    return told;
  });

  end(): void {
    for (const one of [this.presence, this.other, this.rooms, this.#otherRooms]) {
      one[Symbol.dispose]();
    }
    assertEquals(this.clock.pending, 0);
  }
}

type Command = fc.Command<Model, Real>;

function command(name: string, run: (model: Model, real: Real) => void): Command {
  return {
    check: () => true,
    run(model, real) {
      run(model, real);
      assertAgrees(model, real, 0);
    },
    toString: () => name,
  };
}

/** What the lists must be: those of sockets that are open, or closing. */
function expectedList(model: Model, room: string): Map<string, (number | null)[]> {
  const list = new Map<string, (number | null)[]>();
  for (const one of model.memberships) {
    if (one.room !== room || one.tracked === undefined || one.socket.readyState === 0) continue;
    const { id, meta } = one.tracked;
    list.set(id, [...list.get(id) ?? [], meta].sort());
  }
  return list;
}

function assertAgrees(model: Model, real: Real, node: 0 | 1): void {
  const presence = node === 0 ? real.presence : real.other;
  const told = new Set<string>();
  for (const room of ROOMS) {
    const expected = expectedList(model, room);
    const list = presence.list(room);
    assertEquals(new Map(list.map(({ id, metas }) => [id, metas.sort()])), expected);
    assertEquals(list.length, expected.size);
    assertEquals(presence.count(room), expected.size);
    for (const id of IDS) assertEquals(presence.has(room, id), expected.has(id));
    for (const id of expected.keys()) told.add(`${room}/${id}`);
  }
  assertEquals(real.told[node], told);
  const tracked = model.memberships.filter(({ socket, tracked }) =>
    tracked !== undefined && socket.readyState !== 0
  );
  assertEquals(node === 0 ? presence.localCount : presence.remoteCount, tracked.length);
}

function find(model: Model, socket: FakeSocket, room: string): Membership | undefined {
  return model.memberships.find((one) => one.socket === socket && one.room === room);
}

function remove(model: Model, matches: (one: Membership) => boolean): number {
  const before = model.memberships.length;
  model.memberships = model.memberships.filter((one) => !matches(one));
  return before - model.memberships.length;
}

const at = fc.nat(2);
const room = fc.constantFrom(...ROOMS);
const id = fc.constantFrom(...IDS);
const text = JSON.stringify;

const commands = [
  fc.tuple(at, room, id, fc.option(fc.nat(3))).map(([i, room, id, meta]) =>
    command(`track(${i}, ${text(room)}, ${text(id)}, ${meta})`, (model, { presence, sockets }) => {
      const socket = sockets[i];
      const known = find(model, socket, room);
      const canJoin = socket.readyState < 2;
      assertEquals(
        presence.track(socket, room, id, meta ?? undefined),
        canJoin || known !== undefined,
      );
      if (known !== undefined) known.tracked = { id, meta };
      else if (canJoin) model.memberships.push({ socket, room, tracked: { id, meta } });
    })
  ),
  fc.tuple(at, room).map(([i, room]) =>
    command(`untrack(${i}, ${text(room)})`, (model, { presence, sockets }) => {
      const known = find(model, sockets[i], room);
      assertEquals(presence.untrack(sockets[i], room), known?.tracked !== undefined);
      if (known !== undefined) known.tracked = undefined;
    })
  ),
  fc.tuple(at, room).map(([i, room]) =>
    command(`join(${i}, ${text(room)})`, (model, { rooms, sockets }) => {
      const socket = sockets[i];
      const isNew = socket.readyState < 2 && find(model, socket, room) === undefined;
      assertEquals(rooms.join(socket, room), isNew);
      if (isNew) model.memberships.push({ socket, room, tracked: undefined });
    })
  ),
  fc.tuple(at, room).map(([i, room]) =>
    command(`leave(${i}, ${text(room)})`, (model, { rooms, sockets }) => {
      const count = remove(model, (one) => one.socket === sockets[i] && one.room === room);
      assertEquals(rooms.leave(sockets[i], room), count === 1);
    })
  ),
  at.map((i) =>
    command(`leaveAll(${i})`, (model, { rooms, sockets }) => {
      const count = remove(model, (one) => one.socket === sockets[i]);
      assertEquals(rooms.leaveAll(sockets[i]), count);
    })
  ),
  at.map((i) =>
    command(`close(${i})`, (model, { sockets }) => {
      sockets[i].emitClose();
      remove(model, (one) => one.socket === sockets[i]);
    })
  ),
  at.map((i) =>
    command(`closing(${i})`, (_model, { sockets }) => {
      if (sockets[i].readyState === 1) sockets[i].readyState = 2;
    })
  ),
  fc.tuple(at, fc.boolean()).map(([i, isOpen]) =>
    command(`new(${i}, ${isOpen ? "open" : "connecting"})`, (model, { sockets }) => {
      if (sockets[i].readyState !== 3) sockets[i].emitClose();
      remove(model, (one) => one.socket === sockets[i]);
      sockets[i] = isOpen ? new FakeSocket() : new ConnectingSocket();
    })
  ),
  at.map((i) =>
    command(`open(${i})`, (_model, { sockets }) => {
      if (sockets[i].readyState === 0) sockets[i].emitOpen();
    })
  ),
  fc.constantFrom(0, 10, 700).map((ms) =>
    command(`pass(${ms})`, (model, real) => {
      real.clock.advance(ms);
      assertAgrees(model, real, 1);
    })
  ),
];

Deno.test("presence agrees with a naive model, at once on this node and after the turn on others", async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 60, size: "max" }), async (commands) => {
      const real = new Real();
      // Both have heard of each other.
      await Promise.resolve();
      await Promise.resolve();
      real.clock.advance(300);
      const model: Model = { memberships: [] };
      fc.modelRun(() => ({ model, real }), commands);
      real.end();
    }),
    { numRuns: 300 },
  );
});
