import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { decodeRoomInterest, FRAME_HEADER_BYTES } from "../../codec/mod.ts";
import { Announcements } from "../../mesh/announcements.ts";
import { OwnRooms } from "../../mesh/own_rooms.ts";
import { RoomChanges } from "../../mesh/room_changes.ts";
import { MAX_INTEREST_BYTES, MAX_INTEREST_ROOMS, WantedRooms } from "../../mesh/wanted_rooms.ts";

/** A node's rooms, with links that announce them to peers. */
class Rig {
  readonly own = new OwnRooms();
  readonly wanted = new WantedRooms<Announcements>();
  readonly links: Announcements[] = [];
  #changes = new RoomChanges();

  link(): Announcements {
    this.flush();
    const link = new Announcements(this.own);
    this.links.push(link);
    this.wanted.add(link);
    return link;
  }

  open(...rooms: string[]): void {
    for (const room of rooms) if (this.own.open(room)) this.#changes.note(room, true);
  }

  close(...rooms: string[]): void {
    for (const room of rooms) if (this.own.close(room)) this.#changes.note(room, false);
  }

  flush(): void {
    for (const link of this.links) link.note(this.#changes);
    this.#changes = new RoomChanges();
  }

  /** Has a peer read what waits for it, and gives the operations. */
  deliver(link: Announcements): string[] {
    return link.take().map((frame) => {
      const interest = decodeRoomInterest(frame.subarray(FRAME_HEADER_BYTES));
      this.wanted.apply(link, interest);
      return `${interest.op} ${interest.rooms.length < 9 ? interest.rooms : "…"}`.trim();
    });
  }

  wants(link: Announcements, room: string): boolean {
    return this.wanted.wanting([room]).includes(link);
  }
}

function rooms(count: number, prefix = "room"): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix} ${i}`);
}

Deno.test("a new link gets all rooms, and then the differences", () => {
  const rig = new Rig();
  rig.open("a", "b");
  const link = rig.link();
  assertEquals(rig.deliver(link), ["only a,b"]);
  assertEquals([link.isWaiting, rig.deliver(link)], [false, []]);
  rig.open("c");
  rig.close("a");
  rig.flush();
  assert(link.isWaiting && link.isUrgent);
  assertEquals(rig.deliver(link), ["remove a", "add c"]);
});

Deno.test("the first announcement delays no broadcast, because the peer sends everything meanwhile", () => {
  const link = new Rig().link();
  assertEquals([link.isWaiting, link.isUrgent], [true, false]);
});

Deno.test("a room that opens and closes while a link waits is never announced there", () => {
  const rig = new Rig();
  const [slow, fast] = [rig.link(), rig.link()];
  for (const link of [slow, fast]) rig.deliver(link);
  rig.open("a", "b");
  rig.flush();
  assertEquals(rig.deliver(fast), ["add a,b"]);
  rig.close("a");
  rig.open("c");
  rig.flush();
  assertEquals(rig.deliver(slow), ["add b,c"]);
  assertEquals(rig.deliver(fast), ["remove a", "add c"]);
});

Deno.test("a new list replaces a difference that is larger than the open rooms", () => {
  const rig = new Rig();
  rig.open(...rooms(20_000));
  const link = rig.link();
  rig.deliver(link);
  rig.close(...rooms(20_000).slice(1));
  rig.flush();
  assertEquals(rig.deliver(link), ["everything", "only room 0"]);
  // A small one is told as it is.
  rig.close("room 0");
  rig.flush();
  assertEquals(rig.deliver(link), ["remove room 0"]);
});

for (
  const [what, names] of [
    ["rooms", rooms(MAX_INTEREST_ROOMS + 1)],
    ["bytes of names", rooms(MAX_INTEREST_BYTES / 1024 + 1).map((name) => name.padEnd(1024))],
  ] as const
) {
  Deno.test(`a node with too many ${what} asks for everything, and for its rooms again below half`, () => {
    const rig = new Rig();
    const last = names[names.length - 1];
    rig.open(...names.slice(0, -1));
    const link = rig.link();
    rig.deliver(link);
    assertEquals(rig.wants(link, "z"), false);
    rig.open(last);
    rig.flush();
    assertEquals(rig.deliver(link), ["everything"]);
    rig.close(last);
    rig.flush();
    assertEquals(rig.deliver(link), []);
    const half = (names.length - 1) / 2;
    rig.close(...names.slice(half, -1));
    rig.flush();
    assertEquals(rig.deliver(link), []);
    rig.close(names[half - 1]);
    rig.flush();
    assert(rig.deliver(link).at(-1)?.startsWith("only"));
    assertEquals([rig.wants(link, names[0]), rig.wants(link, last)], [true, false]);
  });
}

Deno.test("a link that has waited since before the limit was exceeded gets the right rooms", () => {
  const rig = new Rig();
  rig.open("a", "b");
  const link = rig.link();
  rig.deliver(link);
  const many = rooms(MAX_INTEREST_ROOMS);
  rig.open(...many);
  rig.flush();
  rig.close("a", ...many);
  rig.flush();
  rig.deliver(link);
  assertEquals(["a", "b", "room 0"].map((room) => rig.wants(link, room)), [false, true, false]);
});

Deno.test("a name that no broadcast can carry is not announced", () => {
  const rig = new Rig();
  rig.open("x".repeat(65_536), "\uD800", "é".repeat(32_768), "x".repeat(65_535));
  rig.close("\uD800", "x".repeat(65_536));
  assertEquals(rig.deliver(rig.link()), [`only ${"x".repeat(65_535)}`]);
});

Deno.test("property: a peer that has read all announcements wants the open rooms and no others", () => {
  const room = fc.constantFrom("a", "b", "c", "d");
  const command = fc.oneof(
    fc.tuple(fc.constantFrom("open" as const, "close" as const), room),
    fc.tuple(fc.constant("deliver" as const), fc.nat(3)),
    fc.tuple(fc.constantFrom("flush" as const, "link" as const), fc.constant(0)),
  );
  fc.assert(fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
    const rig = new Rig();
    const open = new Map<string, number>();
    for (const [act, what] of commands) {
      if (act === "open" && typeof what === "string") {
        rig.open(what);
        open.set(what, (open.get(what) ?? 0) + 1);
      } else if (act === "close" && typeof what === "string") {
        rig.close(what);
        open.set(what, Math.max(0, (open.get(what) ?? 0) - 1));
      } else if (act === "flush") rig.flush();
      else if (act === "link") rig.link();
      else {
        const link = rig.links[Number(what)];
        if (link === undefined) continue;
        rig.flush();
        rig.deliver(link);
        assertEquals(link.isWaiting, false);
        for (const room of ["a", "b", "c", "d"]) {
          assertEquals(rig.wants(link, room), (open.get(room) ?? 0) > 0, room);
        }
      }
    }
  }));
});
