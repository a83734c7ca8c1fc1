/**
 * A million memberships: 10,000 sockets, each in 100 of 100,000 rooms. Joining and leaving must not
 * cost more for it, and a broadcast only for the members of its room. Beside each row stands the
 * same with few rooms.
 */

import { Rooms, type RoomSocket } from "../mod.ts";

class Sink implements RoomSocket {
  readonly readyState = 1;
  readonly bufferedAmount = 0;
  heard = 0;
  send(): void {
    this.heard++;
  }
  close(): void {}
  addEventListener(): void {}
}

const SOCKETS = 10_000;
const ROOMS_EACH = 100;

/** Rooms in which every socket is a member of `ROOMS_EACH` of `roomCount` rooms, evenly spread. */
function fill(roomCount: number): { rooms: Rooms<Sink>; sockets: Sink[] } {
  const rooms = new Rooms<Sink>();
  const sockets = Array.from({ length: SOCKETS }, () => new Sink());
  for (const [i, socket] of sockets.entries()) {
    for (let k = 0; k < ROOMS_EACH; k++) {
      rooms.join(socket, `room ${(i * ROOMS_EACH + k) % roomCount}`);
    }
  }
  return { rooms, sockets };
}

const few = fill(100);
const before = Deno.memoryUsage().rss;
const many = fill(100_000);
const bytes = (Deno.memoryUsage().rss - before) / (SOCKETS * ROOMS_EACH);
console.log(
  `${many.rooms.roomCount} rooms, ${many.rooms.socketCount} sockets, ` +
    `${SOCKETS * ROOMS_EACH} memberships: ${bytes.toFixed(0)} bytes of memory each`,
);

const empty = new Rooms<Sink>();
const newcomer = new Sink();
let turn = 0;

for (
  const [name, rooms] of [["1 room", empty], ["100 rooms", few.rooms], [
    "100,000 rooms",
    many.rooms,
  ]] as const
) {
  Deno.bench({
    name: `join and leave a room of others, ${name}`,
    group: "join and leave",
    baseline: rooms === empty,
    fn() {
      const room = rooms === empty ? "room 0" : `room ${turn = (turn + 7919) % 100}`;
      rooms.join(newcomer, room);
      rooms.leave(newcomer, room);
    },
  });
  Deno.bench({
    name: `join and leave a new room, ${name}`,
    group: "join and leave, room comes and goes",
    baseline: rooms === empty,
    fn() {
      rooms.join(newcomer, "new");
      rooms.leave(newcomer, "new");
    },
  });
}

const lone = new Rooms<Sink>();
for (let i = 0; i < 10; i++) lone.join(new Sink(), "room 0");

for (const [name, rooms] of [["1 room", lone], ["100,000 rooms", many.rooms]] as const) {
  Deno.bench({
    name: `broadcast to 10 members, ${name}`,
    group: "broadcast to 10",
    baseline: rooms === lone,
    fn() {
      rooms.broadcast("room 0", "hello");
    },
  });
}

/** A member that takes frames, as those of the endpoint do. */
class FrameSink extends Sink {
  sendFrame(): void {
    this.heard++;
  }

  sendPooledFrame(): void {
    this.heard++;
  }
}

const framed = new Rooms<FrameSink>();
for (let i = 0; i < 10; i++) framed.join(new FrameSink(), "room 0");
const kibibyte = "k".repeat(1024);

for (const [name, message] of [["5 B", "hello"], ["1 KiB", kibibyte]] as const) {
  Deno.bench({
    name: `broadcast ${name} to 10 members that take text`,
    group: `text or frames, ${name}`,
    baseline: true,
    fn() {
      lone.broadcast("room 0", message);
    },
  });
  Deno.bench({
    name: `broadcast ${name} to 10 members that take frames`,
    group: `text or frames, ${name}`,
    fn() {
      framed.broadcast("room 0", message);
    },
  });
}

Deno.bench({
  name: "broadcast to 10,000 members, 100 rooms",
  group: "broadcast to 10,000",
  fn() {
    few.rooms.broadcast("room 0", "hello");
  },
});
