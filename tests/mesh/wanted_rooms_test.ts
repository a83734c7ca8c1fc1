import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FrameError, type RoomInterest } from "../../codec/mod.ts";
import { MAX_INTEREST_BYTES, MAX_INTEREST_ROOMS, WantedRooms } from "../../mesh/wanted_rooms.ts";

const ROOMS = ["", "a", "b", "é", "\0p"];

/** Wanted rooms of one peer, to which announcements are applied one after the other. */
function withPeer(...announcements: RoomInterest[]): WantedRooms<string> {
  const wanted = new WantedRooms<string>();
  wanted.add("peer");
  for (const announcement of announcements) wanted.apply("peer", announcement);
  return wanted;
}

function isWanted(wanted: WantedRooms<string>, ...rooms: string[]): boolean {
  return wanted.wanting(rooms).includes("peer");
}

function names(count: number, bytes: number): string[] {
  return Array.from({ length: count }, (_, i) => `${i}`.padStart(bytes, "x"));
}

Deno.test("a peer wants everything until it announces rooms", () => {
  const wanted = withPeer({ op: "add", rooms: ["a"] }, { op: "remove", rooms: ["b"] });
  assertEquals([isWanted(wanted, "a"), isWanted(wanted, "b")], [true, true]);
  assertEquals(wanted.isSelective, false);
});

Deno.test("a peer wants the rooms that it has named up to and in op 1", () => {
  const wanted = withPeer({ op: "add", rooms: ["a"] }, { op: "only", rooms: ["b"] });
  assertEquals(["a", "b", "c"].map((room) => isWanted(wanted, room)), [true, true, false]);
  assertEquals(wanted.isSelective, true);
});

Deno.test("a message for several rooms, or the same twice, reaches a peer once", () => {
  const wanted = withPeer({ op: "only", rooms: ["a", "b"] });
  assertEquals(wanted.wanting(["a", "b", "a"]), ["peer"]);
  assertEquals(wanted.wanting(["c", "b"]), ["peer"]);
  assertEquals(wanted.wanting(["c", "d"]), []);
});

Deno.test("rooms and bytes are kept up to the limit, and one more is refused", () => {
  for (
    const [fits, extra] of [
      [names(MAX_INTEREST_ROOMS, 10), "y"],
      // Two bytes each, and so one that fits exactly.
      [names(MAX_INTEREST_BYTES / 1024, 1024), ""],
      [[...names(MAX_INTEREST_BYTES / 1024 - 1, 1024), "é".repeat(511)], "é"],
    ] as const
  ) {
    const wanted = withPeer({ op: "only", rooms: fits });
    assertEquals(isWanted(wanted, "z"), false);
    if (extra === "") {
      wanted.apply("peer", { op: "add", rooms: [""] });
      assertEquals([isWanted(wanted, ""), isWanted(wanted, "z")], [true, false]);
    }
    const tooMany = extra === "é" ? ["é", "e"] : [extra || "e"];
    const error = assertThrows(
      () => wanted.apply("peer", { op: "add", rooms: tooMany }),
      FrameError,
    ) as FrameError;
    assertEquals(error.code, "frame-too-long");
    assertEquals(isWanted(wanted, "z"), true);
    // What would end the list does not make the peer selective: the list was not kept.
    wanted.apply("peer", { op: "only", rooms: ["a"] });
    assertEquals(isWanted(wanted, "z"), true);
    wanted.apply("peer", { op: "everything", rooms: [] });
    wanted.apply("peer", { op: "only", rooms: ["a"] });
    assertEquals([isWanted(wanted, "z"), isWanted(wanted, "a")], [false, true]);
    assertEquals(isWanted(wanted, fits[0]), false);
  }
});

Deno.test("names that were removed make space for others", () => {
  const rooms = names(MAX_INTEREST_ROOMS, 10);
  const wanted = withPeer({ op: "only", rooms });
  for (let i = 0; i < 10; i++) {
    wanted.apply("peer", { op: "remove", rooms: rooms.slice(0, 1000) });
    wanted.apply("peer", { op: "add", rooms: rooms.slice(0, 1000) });
  }
  assertEquals([isWanted(wanted, rooms[0]), isWanted(wanted, "z")], [true, false]);
});

Deno.test("a peer that sends a malformed announcement gets everything until the end of its next list", () => {
  const wanted = withPeer({ op: "only", rooms: ["a"] });
  wanted.doubt("peer");
  assertEquals(isWanted(wanted, "z"), true);
  wanted.apply("peer", { op: "only", rooms: ["b"] });
  assertEquals(["a", "b", "z"].map((room) => isWanted(wanted, room)), [true, true, false]);
});

Deno.test("a list with a message that cannot be understood does not count: the peer gets everything until op 0", () => {
  const wanted = withPeer({ op: "add", rooms: ["a"] });
  wanted.doubt("peer");
  for (const op of ["add", "only", "remove", "only"] as const) {
    wanted.apply("peer", { op, rooms: ["b"] });
    assertEquals(["a", "b", "z"].map((room) => isWanted(wanted, room)), [true, true, true]);
  }
  wanted.apply("peer", { op: "everything", rooms: [] });
  wanted.apply("peer", { op: "only", rooms: ["b"] });
  assertEquals(["a", "b", "z"].map((room) => isWanted(wanted, room)), [false, true, false]);
});

Deno.test("property: the index agrees with a table of flags and sets", () => {
  const room = fc.constantFrom(...ROOMS);
  const peer = fc.constantFrom("x", "y", "z");
  const command = fc.oneof(
    fc.record({ peer, act: fc.constantFrom("add" as const, "remove" as const) }),
    fc.record({ peer, act: fc.constant("doubt" as const) }),
    fc.record({
      peer,
      act: fc.constantFrom("op only" as const, "op add" as const, "op remove" as const),
      rooms: fc.array(room, { maxLength: 4 }),
    }),
    fc.record({ peer, act: fc.constant("op everything" as const) }),
  );
  fc.assert(fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
    const wanted = new WantedRooms<string>();
    const model = new Map<
      string,
      { everything: boolean; isIncomplete: boolean; rooms: Set<string> }
    >();
    const unsaid = () => ({ everything: true, isIncomplete: false, rooms: new Set<string>() });
    for (const command of commands) {
      const { peer, act } = command;
      const rooms = "rooms" in command ? command.rooms : [];
      const entry = model.get(peer);
      if (act === "add") {
        if (entry) continue;
        wanted.add(peer);
        model.set(peer, unsaid());
      } else if (act === "remove") {
        wanted.remove(peer);
        model.delete(peer);
      } else if (act === "doubt") {
        wanted.doubt(peer);
        if (entry === undefined) continue;
        entry.isIncomplete ||= entry.everything;
        entry.everything = true;
      } else {
        const op = act.slice(3) as RoomInterest["op"];
        wanted.apply(peer, { op, rooms });
        if (entry === undefined) continue;
        if (op === "everything") model.set(peer, unsaid());
        else if (entry.isIncomplete) continue;
        else if (op === "remove") rooms.forEach((room) => entry.rooms.delete(room));
        else rooms.forEach((room) => entry.rooms.add(room));
        if (op === "only") entry.everything = false;
      }
      const wants = (...rooms: string[]) =>
        [...model].filter(([, { everything, rooms: own }]) =>
          everything || rooms.some((room) => own.has(room))
        ).map(([peer]) => peer).sort();
      for (const room of ROOMS) assertEquals([...wanted.wanting([room])].sort(), wants(room));
      assertEquals([...wanted.wanting(["a", "b", "a"])].sort(), wants("a", "b"));
      assertEquals(wanted.isSelective, [...model.values()].some(({ everything }) => !everything));
    }
  }));
});
