import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Entry, Roster } from "../../presence/_roster.ts";

/** A roster that keeps the ids that its events tell of. */
function listening(): { roster: Roster; told: string[] } {
  const told: string[] = [];
  const roster = new Roster({
    joined: (room, id, meta) => told.push(`+${room}/${id}=${meta}`),
    left: (room, id) => told.push(`-${room}/${id}`),
  });
  return { roster, told };
}

Deno.test("an id joins with its first entry and leaves with its last", () => {
  const { roster, told } = listening();
  const phone = roster.add("lobby", "ann", "phone");
  const laptop = roster.add("lobby", "ann", "laptop");
  roster.settle();
  assertEquals(told, ["+lobby/ann=phone"]);
  assertEquals(roster.count("lobby"), 1);
  assertEquals(roster.list("lobby"), [{ id: "ann", metas: ["phone", "laptop"] }]);
  roster.remove(phone);
  roster.settle();
  assertEquals(told.length, 1);
  assert(roster.has("lobby", "ann"));
  roster.remove(laptop);
  roster.settle();
  assertEquals(told, ["+lobby/ann=phone", "-lobby/ann"]);
  assertEquals(roster.count("lobby"), 0);
  assertEquals(roster.list("lobby"), []);
  assertEquals(roster.roomCount, 0);
});

Deno.test("a change that is made in an event is dispatched after it", () => {
  const told: string[] = [];
  const roster: Roster = new Roster({
    joined: (_room, id) => {
      told.push(`+${id}`);
      if (id === "ann") {
        roster.remove(entries[0]);
        roster.settle();
      }
      told.push(`after ${id}`);
    },
    left: (_room, id) => told.push(`-${id}`),
  });
  const entries = [roster.add("lobby", "ann", ""), roster.add("lobby", "bob", "")];
  roster.settle();
  assertEquals(told, ["+ann", "after ann", "+bob", "after bob", "-ann"]);
});

Deno.test("a closed roster is empty, stays empty, and dispatches nothing", () => {
  const { roster, told } = listening();
  const entry = roster.add("lobby", "ann", "");
  roster.close();
  roster.remove(entry);
  roster.remove(roster.add("lobby", "bob", ""));
  roster.settle();
  assertEquals(told, []);
  assertEquals([roster.count("lobby"), roster.roomCount, roster.idCount], [0, 0, 0]);
});

const long = "x".repeat(100);
const name = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0, max: 300 }).map(String) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 3 }).map((i) => `${long}${i}`) },
);
const step = fc.record({
  room: name,
  id: name,
  remove: fc.double({ min: 0, max: 1, noNaN: true }),
});

Deno.test("a roster counts and lists like a list of all entries", () => {
  fc.assert(
    fc.property(
      // Few rooms, or few ids, or many of both: spare ones are swept out only when there are many.
      fc.constantFrom([1, 300], [300, 1], [5, 5], [300, 300]),
      fc.array(step, { maxLength: 1_500, minLength: 500 }),
      fc.double({ min: 0.3, max: 1, noNaN: true }),
      ([rooms, ids], steps, removeShare) => {
        const told = new Set<string>();
        const roster = new Roster({
          joined: (room, id) => {
            assert(!told.has(`${room}/${id}`));
            told.add(`${room}/${id}`);
          },
          left: (room, id) => assert(told.delete(`${room}/${id}`)),
        });
        const cut = (text: string, most: number) =>
          text.startsWith("x") ? text : String(Number(text) % most);
        let entries: { room: string; id: string; entry: Entry }[] = [];
        for (const [i, one] of steps.entries()) {
          const room = cut(one.room, rooms);
          const id = cut(one.id, ids);
          // All of them go now and then.
          const isEbb = i % 500 > 400;
          if (entries.length > 0 && (isEbb || one.remove > removeShare)) {
            const [{ entry }] = entries.splice(Math.floor(one.remove * entries.length * 0.999), 1);
            roster.remove(entry);
          } else {
            entries.push({ room, id, entry: roster.add(room, id, `${i}`) });
          }
          roster.settle();
        }
        const check = () => {
          const people = new Set(entries.map(({ room, id }) => `${room}/${id}`));
          assertEquals(told, people);
          assertEquals(roster.idCount, people.size);
          const names = new Set(entries.map(({ room }) => room));
          assertEquals(roster.roomCount, names.size);
          for (const room of names) {
            const here = entries.filter((one) => one.room === room);
            const expected = new Map<string, string[]>();
            for (const { id, entry } of here) {
              expected.set(id, [...expected.get(id) ?? [], entry.meta]);
            }
            assertEquals(roster.count(room), expected.size);
            assertEquals(new Map(roster.list(room).map(({ id, metas }) => [id, metas])), expected);
          }
        };
        check();
        for (const { entry } of entries) roster.remove(entry);
        roster.settle();
        entries = [];
        check();
        for (let i = 0; i < rooms; i++) assertEquals(roster.count(String(i)), 0);
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("an id that comes and goes costs the same in a large room", () => {
  const { roster } = listening();
  for (let i = 0; i < 60_000; i++) roster.add("lobby", `id ${i}`, "");
  const flap = (times: number) => {
    const startedAt = performance.now();
    for (let i = 0; i < times; i++) roster.remove(roster.add("lobby", "ann", ""));
    return performance.now() - startedAt;
  };
  flap(5_000);
  // With a key deleted and put back each time, the second is a hundred times the first.
  const first = flap(5_000);
  flap(40_000);
  const second = flap(5_000);
  assert(second < 20 * first + 20, `${first.toFixed(1)} ms, then ${second.toFixed(1)} ms`);
});
