import { assert, assertEquals, assertThrows } from "@std/assert";
import { membersPerRoom, nodeOf, roomsOf, targetsOf } from "../../bench/compare/load/plan.ts";

const CASES = [
  { clients: 100, nodes: 2, rooms: 1, perClient: 1 },
  { clients: 1_000, nodes: 2, rooms: 1_000, perClient: 10 },
  { clients: 1_000, nodes: 4, rooms: 1_000, perClient: 10 },
  { clients: 100, nodes: 4, rooms: 1_000, perClient: 10 },
  { clients: 100, nodes: 2, rooms: 10_000, perClient: 1_000 },
];

Deno.test("every room has the planned number of members, on different nodes where possible", () => {
  for (const { clients, nodes, ...plan } of CASES) {
    const members = new Map<string, number[]>();
    for (let client = 0; client < clients; client++) {
      for (const room of roomsOf(client, plan)) {
        members.set(room, [...members.get(room) ?? [], nodeOf(client, nodes, plan)]);
      }
    }
    const expected = membersPerRoom(clients, plan);
    assertEquals(members.size, plan.rooms);
    for (const [room, places] of members) {
      assertEquals(places.length, expected);
      assertEquals(new Set(places).size, Math.min(nodes, expected), room);
    }
  }
});

Deno.test("all nodes have the same number of clients", () => {
  for (const { clients, nodes, ...plan } of CASES) {
    const counts = new Array<number>(nodes).fill(0);
    for (let client = 0; client < clients; client++) counts[nodeOf(client, nodes, plan)]++;
    assertEquals(counts, new Array(nodes).fill(clients / nodes));
  }
});

Deno.test("a plan may have all clients at one node", () => {
  const plan = { rooms: 1, perClient: 1, node: 1 };
  assertEquals([0, 1, 2, 3].map((client) => nodeOf(client, 2, plan)), [1, 1, 1, 1]);
});

Deno.test("rooms of different sizes are refused", () => {
  assertThrows(() => membersPerRoom(10, { rooms: 3, perClient: 1 }), RangeError);
});

Deno.test("the plan broadcasts to existing rooms, each once", () => {
  for (const rooms of [1, 1_000, 100_000]) {
    const targets = targetsOf({ rooms, perClient: 1 });
    assertEquals(new Set(targets).size, targets.length);
    assert(targets.every((name) => Number(name.slice(1)) < rooms));
  }
});
