import { assertEquals } from "@std/assert";
import {
  disagreements,
  type FaultSpan,
  type Life,
  settle,
  unexplainedCloses,
  unexplainedEnds,
  unexplainedGaps,
} from "./_account.ts";
import type { LinkRecord } from "./_link_book.ts";

/** A link to b's first life, for which a has queued 10 broadcasts. */
const SENDS: LinkRecord = {
  peer: "b",
  life: "b1",
  link: 4,
  upAt: 100,
  queued: 10,
  dropped: 0,
  heard: 0,
  missed: 0,
};

/** b's end of it: it has heard all of them. */
const HEARS: LinkRecord = {
  ...SENDS,
  peer: "a",
  life: "a1",
  link: 7,
  queued: 0,
  heard: 10,
  peerLink: 4,
};

/** b's end of a link on which it has heard nothing. */
const SILENT: LinkRecord = { ...HEARS, heard: 0, peerLink: undefined };

const KILLED: FaultSpan = { kind: "kill", name: "b", from: 1_000, to: 2_000 };

function life(name: string, records: LinkRecord[], end?: Life["end"]): Life {
  return { name, incarnation: `${name}1`, end, records };
}

Deno.test("an account in which all messages have come needs no explanation", () => {
  const account = settle([life("a", [SENDS]), life("b", [HEARS])]);
  assertEquals(account, { violations: [], delivered: 10, dropped: 0, losses: [], unknown: 0 });
});

Deno.test("the last queued messages must arrive on a link that is up", () => {
  for (const [hears, count] of [[{ ...HEARS, heard: 7 }, 3], [SILENT, 10]] as const) {
    const { violations } = settle([life("a", [SENDS]), life("b", [hears])]);
    assertEquals(violations, [
      `a to b: the last ${count} messages have not come, and no event says so`,
    ]);
  }
});

Deno.test("missed reports each message that was dropped on a link that is up", () => {
  const settled = (dropped: number, missed: number) =>
    settle([life("a", [{ ...SENDS, dropped }]), life("b", [{ ...HEARS, missed }])]);
  assertEquals(settled(3, 3), { ...settled(0, 0), dropped: 3 });
  assertEquals(settled(3, 3).violations, []);
  assertEquals(settled(3, 2).violations, [
    "a to b: 3 messages were dropped, missed tells of 2",
  ]);
  assertEquals(settled(3, 4).violations, [
    "a to b: 10 messages were queued and 3 dropped, 10 were heard and 4 missed",
  ]);
});

Deno.test("messages that were heard on a link but not sent on it are a violation", () => {
  const beyond = settle([life("a", [SENDS]), life("b", [{ ...HEARS, heard: 11 }])]);
  assertEquals(beyond.violations, [
    "a to b: 10 messages were queued and 0 dropped, 11 were heard and 0 missed",
  ]);
  const twice = settle([life("a", [SENDS]), life("b", [HEARS, { ...HEARS, link: 8, heard: 2 }])]);
  assertEquals(twice.violations, ["b has heard 2 messages of a on no link of it"]);
  const stranger = settle([life("b", [HEARS])]);
  assertEquals(stranger.violations, ["b has heard 10 messages of a on no link of it"]);
});

Deno.test("the last queued messages of a link that has ended are lost and reported", () => {
  const account = settle([
    life("a", [{ ...SENDS, reason: "heartbeat", downAt: 1_500 }]),
    life("b", [{ ...HEARS, heard: 7, reason: "closed", downAt: 1_600 }]),
  ]);
  assertEquals(account.violations, []);
  assertEquals(account.losses, [{ sender: "a", receiver: "b", downAt: 1_500, count: 3 }]);
});

Deno.test("a link that ends with a goodbye misses no message", () => {
  const left = life("a", [{ ...SENDS, reason: "shut-down", downAt: 1_000 }], "left");
  const ends = { reason: "goodbye" as const, downAt: 1_000 };
  assertEquals(settle([left, life("b", [{ ...HEARS, ...ends }])]).violations, []);
  for (const hears of [{ ...HEARS, heard: 9 }, SILENT]) {
    assertEquals(settle([left, life("b", [{ ...hears, ...ends }])]).violations.length, 1);
  }
});

Deno.test("the fate of a killed node's last messages is unknown", () => {
  const account = settle([
    life("a", [{ ...SENDS, reason: "closed", downAt: 1_000 }]),
    life("b", [{ ...HEARS, heard: 4 }], "killed"),
  ]);
  assertEquals([account.violations, account.losses, account.unknown], [[], [], 6]);
});

Deno.test("a message that a node missed before it was killed is lost, not unknown", () => {
  const account = settle([
    life("a", [{ ...SENDS, reason: "heartbeat", downAt: 1_000 }]),
    life("b", [{ ...HEARS, heard: 4, reason: "closed", downAt: 1_100 }], "killed"),
  ]);
  assertEquals([account.losses.map(({ count }) => count), account.unknown], [[6], 0]);
});

Deno.test("other nodes may have heard and missed more of a killed node than its book says", () => {
  const killed = life("a", [{ ...SENDS, queued: 4 }], "killed");
  const hears: LinkRecord = { ...HEARS, missed: 2, reason: "closed", downAt: 1_000 };
  assertEquals(settle([killed, life("b", [hears])]).violations, []);
});

Deno.test("each link is compared with the messages sent on it, not on the previous link", () => {
  const first: LinkRecord = { ...SENDS, reason: "closed", downAt: 1_000 };
  const second: LinkRecord = { ...SENDS, link: 5, upAt: 1_500, queued: 20 };
  const { violations, losses } = settle([
    life("a", [first, second]),
    life("b", [
      { ...HEARS, heard: 8, reason: "closed", downAt: 1_000 },
      { ...HEARS, link: 8, upAt: 1_500, heard: 20, peerLink: 5 },
    ]),
  ]);
  assertEquals([violations, losses.map(({ count }) => count)], [[], [2]]);
});

Deno.test("a link may end by a fault of one of its ends, while that lasts", () => {
  const lost = (downAt: number, fault: FaultSpan) => {
    const record: LinkRecord = { ...SENDS, reason: "closed", downAt };
    return unexplainedEnds([life("a", [record])], [fault]).length;
  };
  assertEquals([999, 1_000, 3_000, 3_001].map((at) => lost(at, KILLED)), [1, 0, 0, 1]);
  assertEquals(lost(1_500, { ...KILLED, name: "c" }), 1);
  for (const kind of ["pause", "flood", "stall", "expel"] as const) {
    assertEquals(lost(1_500, { ...KILLED, kind }), 1);
  }
});

Deno.test("a goodbye from a node that does not leave is a violation, and so is a frame that is too long", () => {
  const ends = (reason: LinkRecord["reason"], end?: Life["end"]) =>
    unexplainedEnds([
      life("a", [{ ...SENDS, reason, downAt: 1_500 }]),
      life("b", [], end),
    ], [KILLED]).length;
  assertEquals(ends("goodbye", "left"), 0);
  assertEquals(ends("goodbye"), 1);
  assertEquals(ends("frame-too-long", "killed"), 1);
  assertEquals(ends("shut-down"), 1);
});

Deno.test("a client may miss as many messages as missed has told its node, and no more", () => {
  const gap = { life: "b1", sender: "a1", count: 2 };
  const gaps = (...records: LinkRecord[]) => unexplainedGaps([life("b", records)], [gap]).length;
  assertEquals(gaps(HEARS), 1);
  assertEquals(gaps({ ...HEARS, missed: 1 }), 1);
  assertEquals(gaps({ ...HEARS, missed: 2 }), 0);
  assertEquals(gaps(HEARS, { ...HEARS, upAt: 1_500 }), 0);
  assertEquals(unexplainedGaps([], [gap]).length, 1);
});

Deno.test("the sender's drops count if a killed node has not reported what it missed", () => {
  const gap = { life: "b1", sender: "a1", count: 2 };
  const gaps = (dropped: number, end: Life["end"], senderEnd?: Life["end"]) => {
    const lives = [life("a", [{ ...SENDS, dropped }], senderEnd), life("b", [HEARS], end)];
    return unexplainedGaps(lives, [gap]).length;
  };
  assertEquals(gaps(2, "killed"), 0);
  assertEquals(gaps(1, "killed"), 1);
  assertEquals(gaps(2, "left"), 1);
  assertEquals(gaps(0, "killed", "killed"), 0);
});

Deno.test("clients lose their connection when their node ends, or if they are slow", () => {
  const closes = (code: number, end?: Life["end"]) =>
    unexplainedCloses([life("a", [], end)], [{ life: "a1", code, count: 1 }]).length;
  assertEquals(closes(1006, "killed"), 0);
  assertEquals(closes(1013), 0);
  assertEquals(closes(1006), 1);
  assertEquals(closes(1006, "left"), 1);
});

Deno.test("each node sees as many sockets in a room as all nodes have together", () => {
  const view = (name: string, here: number, everywhere: number) => {
    return { name, occupied: { lobby: { here, everywhere } } };
  };
  assertEquals(disagreements([view("a", 1, 3), view("b", 2, 3)]), []);
  assertEquals(disagreements([view("a", 1, 3), view("b", 2, 4)]), [
    "b sees 4 in lobby, where 3 are",
  ]);
});
