import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { OpenRooms } from "../../backplane/open_rooms.ts";

Deno.test("open rooms: the first open and the last close of a room are reported", () => {
  const rooms = new OpenRooms();
  assertEquals([rooms.open("a"), rooms.open("a"), rooms.has("a")], [true, false, true]);
  assertEquals([rooms.close("a"), rooms.has("a")], [false, true]);
  assertEquals([rooms.close("a"), rooms.has("a")], [true, false]);
});

Deno.test("open rooms: closing a room that is not open does nothing", () => {
  const rooms = new OpenRooms();
  assertEquals([rooms.close("a"), rooms.size], [false, 0]);
  assertEquals(rooms.open("a"), true);
});

Deno.test("open rooms: a room is open if it was opened more often than closed", () => {
  const room = fc.constantFrom("", "a", "b", "__proto__");
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), room)), (steps) => {
      const rooms = new OpenRooms();
      const counts = new Map<string, number>();
      for (const [opens, room] of steps) {
        const count = counts.get(room) ?? 0;
        const isNews = opens ? rooms.open(room) : rooms.close(room);
        assertEquals(isNews, opens ? count === 0 : count === 1);
        counts.set(room, Math.max(0, count + (opens ? 1 : -1)));
      }
      const open = [...counts].filter(([, count]) => count > 0).map(([room]) => room);
      assertEquals([...rooms].sort(), open.sort());
      assertEquals(rooms.size, open.length);
      for (const room of counts.keys()) assertEquals(rooms.has(room), open.includes(room));
    }),
  );
});
