import { assertEquals } from "@std/assert";
import {
  type FaultSpan,
  type Life,
  settle,
  unexplainedCloses,
  unexplainedEnds,
  unexplainedGaps,
} from "./_account.ts";
import type { LinkRecord } from "./_link_book.ts";

/** A link to b's first life, over which a has queued 10 broadcasts. */
const SENDS: LinkRecord = {
  peer: "b",
  life: "b1",
  upAt: 100,
  from: 0,
  to: 10,
  dropped: 0,
  heard: { first: -1, last: -1, count: 0, missing: 0 },
};

/** b's end of it: it has heard all of them. */
const HEARS: LinkRecord = {
  ...SENDS,
  peer: "a",
  life: "a1",
  to: 0,
  heard: { first: 0, last: 9, count: 10, missing: 0 },
};

const KILLED: FaultSpan = { kind: "kill", name: "b", from: 1_000, to: 2_000 };

function life(name: string, records: LinkRecord[], end?: Life["end"]): Life {
  return { name, incarnation: `${name}1`, end, records };
}

function heard(first: number, last: number, missing = 0): Pick<LinkRecord, "heard"> {
  return { heard: { first, last, count: last - first + 1 - missing, missing } };
}

Deno.test("messages that have all come need no explanation", () => {
  const account = settle([life("a", [SENDS]), life("b", [HEARS])]);
  assertEquals(account, { violations: [], delivered: 10, dropped: 0, losses: [], unknown: 0 });
});

Deno.test("what is missing on a link that is still up is not accounted for", () => {
  const { violations } = settle([
    life("a", [SENDS]),
    life("b", [{ ...HEARS, ...heard(0, 8) }]),
  ]);
  assertEquals(violations, ["a to b: the last 1 messages have not come, and no event says so"]);
});

Deno.test("a link that is up and on which nothing was heard is not accounted for", () => {
  const { violations } = settle([life("a", [SENDS]), life("b", [{ ...HEARS, ...nothing() }])]);
  assertEquals(violations, ["a to b: the last 10 messages have not come, and no event says so"]);
});

Deno.test("what is missing before other messages on one link is not accounted for, whatever follows", () => {
  for (const gap of [heard(0, 9, 2), heard(2, 9)]) {
    const { violations } = settle([
      life("a", [{ ...SENDS, reason: "failed", downAt: 1_000 }]),
      life("b", [{ ...HEARS, ...gap, reason: "heartbeat", downAt: 1_000 }]),
    ]);
    assertEquals(violations, [
      "a to b: 2 messages are missing before others on the same link, 0 were reported as dropped",
    ]);
  }
});

Deno.test("what was reported as dropped may be missing, and no more than that", () => {
  const missing = (dropped: number) =>
    settle([
      life("a", [{ ...SENDS, dropped }]),
      life("b", [{ ...HEARS, ...heard(0, 9, 3) }]),
    ]).violations.length;
  assertEquals([2, 3].map(missing), [1, 0]);
});

Deno.test("what was heard beyond what was sent, or once more on another link, is a violation", () => {
  const beyond = settle([life("a", [SENDS]), life("b", [{ ...HEARS, ...heard(0, 10) }])]);
  assertEquals(beyond.violations, [
    "b has heard messages 0 to 10 of a: not sent on one link",
    "a to b: the last 10 messages have not come, and no event says so",
  ]);
  const again = { ...HEARS, upAt: 200, ...heard(4, 6) };
  const twice = settle([life("a", [SENDS]), life("b", [HEARS, again])]);
  assertEquals(twice.violations, ["b has heard messages 4 to 6 of a: not sent on one link"]);
  const stranger = settle([life("b", [HEARS])]);
  assertEquals(stranger.violations, ["b has heard messages 0 to 9 of a: not sent on one link"]);
});

Deno.test("the end of what was queued for a link that has ended is lost, and reported", () => {
  const account = settle([
    life("a", [{ ...SENDS, reason: "heartbeat", downAt: 1_500 }]),
    life("b", [{ ...HEARS, ...heard(0, 6), reason: "closed", downAt: 1_600 }]),
  ]);
  assertEquals(account.violations, []);
  assertEquals(account.losses, [{ sender: "a", receiver: "b", downAt: 1_500, count: 3 }]);
});

Deno.test("behind a goodbye nothing may be missing", () => {
  const left = life("a", [{ ...SENDS, reason: "shut-down", downAt: 1_000 }], "left");
  const hears: LinkRecord = { ...HEARS, reason: "goodbye", downAt: 1_000 };
  assertEquals(settle([left, life("b", [hears])]).violations, []);
  for (const lost of [heard(0, 8), nothing()]) {
    assertEquals(settle([left, life("b", [{ ...hears, ...lost }])]).violations.length, 1);
  }
});

Deno.test("what a killed node has heard in its last moments is unknown", () => {
  const account = settle([
    life("a", [{ ...SENDS, reason: "closed", downAt: 1_000 }]),
    life("b", [{ ...HEARS, ...heard(0, 3) }], "killed"),
  ]);
  assertEquals([account.violations, account.losses, account.unknown], [[], [], 6]);
});

Deno.test("what a node has missed before it was killed is lost, and not unknown", () => {
  const account = settle([
    life("a", [{ ...SENDS, reason: "heartbeat", downAt: 1_000 }]),
    life("b", [{ ...HEARS, ...heard(0, 3), reason: "closed", downAt: 1_100 }], "killed"),
  ]);
  assertEquals([account.losses.map(({ count }) => count), account.unknown], [[6], 0]);
});

Deno.test("others may have heard more of a killed node than it has told of, but without a gap", () => {
  const killed = life("a", [{ ...SENDS, to: 4 }], "killed");
  const hears = (part: Pick<LinkRecord, "heard">) =>
    settle([killed, life("b", [{ ...HEARS, ...part, reason: "closed", downAt: 1_000 }])]);
  assertEquals(hears(heard(0, 9)).violations, []);
  assertEquals(hears(heard(0, 9, 1)).violations.length, 1);
});

Deno.test("each link is held against what was sent on it, not on the one before", () => {
  const first: LinkRecord = { ...SENDS, reason: "closed", downAt: 1_000 };
  const second: LinkRecord = { ...SENDS, upAt: 1_500, from: 10, to: 20 };
  const hears = [
    { ...HEARS, ...heard(0, 7), reason: "closed" as const, downAt: 1_000 },
    { ...HEARS, upAt: 1_500, ...heard(10, 19) },
  ];
  assertEquals(settle([life("a", [first, second]), life("b", hears)]).violations, []);
  // Late words of the first link on the second.
  const mixed = [hears[0], { ...hears[1], ...heard(8, 19) }];
  assertEquals(
    settle([life("a", [first, second]), life("b", mixed)]).violations[0],
    "b has heard messages 8 to 19 of a: not sent on one link",
  );
});

Deno.test("a link may end by a fault of one of its ends, while that lasts", () => {
  const lost = (downAt: number, fault: FaultSpan) => {
    const record: LinkRecord = { ...SENDS, reason: "closed", downAt };
    return unexplainedEnds([life("a", [record])], [fault]).length;
  };
  assertEquals([999, 1_000, 3_000, 3_001].map((at) => lost(at, KILLED)), [1, 0, 0, 1]);
  assertEquals(lost(1_500, { ...KILLED, name: "c" }), 1);
  assertEquals(lost(1_500, { ...KILLED, kind: "pause" }), 1);
  assertEquals(lost(1_500, { ...KILLED, kind: "flood" }), 1);
});

Deno.test("only a node that leaves says goodbye, and a frame too long has no excuse", () => {
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

Deno.test("a client may miss what its node has missed, and nothing else", () => {
  const gap = { life: "b1", sender: "a1", count: 2 };
  const gaps = (...records: LinkRecord[]) => unexplainedGaps([life("b", records)], [gap]).length;
  assertEquals(gaps(HEARS), 1);
  assertEquals(gaps({ ...HEARS, ...heard(0, 9, 2) }), 0);
  assertEquals(gaps(HEARS, { ...HEARS, upAt: 1_500, ...heard(20, 30) }), 0);
  assertEquals(unexplainedGaps([], [gap]).length, 1);
});

Deno.test("a node that was killed may not have told of its last gap, of which the sender's drops tell", () => {
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

Deno.test("clients lose their connection with their node, or if they are slow", () => {
  const closes = (code: number, end?: Life["end"], count = 1) =>
    unexplainedCloses([life("a", [], end)], [{ life: "a1", code, count }]).length;
  assertEquals(closes(1006, "killed"), 0);
  assertEquals(closes(1013), 0);
  assertEquals(closes(1006), 1);
  // Few may be cut off by Deno when their node leaves.
  assertEquals([3, 4].map((count) => closes(1006, "left", count)), [0, 1]);
});

function nothing(): Pick<LinkRecord, "heard"> {
  return { heard: { first: -1, last: -1, count: 0, missing: 0 } };
}
