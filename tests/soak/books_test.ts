import { assertEquals, assertThrows } from "@std/assert";
import { type Audience, audienceName, AudienceTotals, includes } from "./_audience.ts";
import { addNumber, Hearing, readTally, writeTally } from "./_hearing.ts";
import { LinkBook, type Peer } from "./_link_book.ts";
import { allRooms, audienceOf, homeOf, roomsOf } from "./_rooms.ts";
import {
  type LinkMark,
  NODE_ITSELF,
  readStamp,
  type Stamp,
  stamped,
  stampedBytes,
} from "./_stamp.ts";

/** The book is that of node 0, `a`. `b` wants everything, `c` only its rooms. */
const B: Peer = { name: "b", incarnation: "b1", messagesOut: 0, dropped: 0 };
const C: Peer = { ...B, name: "c", incarnation: "c1" };
const STAMP: Stamp = {
  node: 1,
  life: "b1",
  number: 0,
  audience: "room-1",
  audienceNumber: 0,
  client: NODE_ITSELF,
  marks: [{ link: 0, queued: 0, dropped: 0 }, undefined, undefined],
};

function book(): LinkBook {
  return new LinkBook({ names: ["a", "b", "c"], self: 0, isSelective: (node) => node === 2 });
}

function number(number: number): Stamp {
  return { ...STAMP, number, audienceNumber: number };
}

/** Number `number` of node 1, with what it says of its link to node 0. */
function marked(number: number, mark: LinkMark): Stamp {
  return { ...STAMP, number, marks: [mark, undefined, undefined] };
}

Deno.test("a stamp comes back from its message, and a message that was cut has none", () => {
  const stamp: Stamp = {
    node: 3,
    life: "0123456789abcdef",
    number: 7,
    audience: "room-1+table-2!table-3",
    audienceNumber: 2,
    client: 12,
    marks: [{ link: 2, queued: 345, dropped: 6 }, undefined],
  };
  for (const text of ["", " two  words ", "é".repeat(1_000)]) {
    const message = stamped(stamp, text);
    assertEquals(readStamp(message), stamp);
    assertThrows(() => readStamp(`${message}x`), Error, "does not end as it was sent");
    assertThrows(() => readStamp(message.slice(0, -1)), Error, "does not end as it was sent");
  }
  for (const size of [0, 1_000]) {
    const bytes = stampedBytes(stamp, size);
    assertEquals(readStamp(bytes), stamp);
    assertEquals(readStamp(bytes.slice().buffer), stamp);
    assertThrows(() => readStamp(bytes.subarray(0, -1)), Error, "does not end as it was sent");
  }
});

Deno.test("a text that has become binary is noticed, and the reverse", () => {
  const bytes = new TextEncoder().encode(stamped(STAMP, "hello"));
  assertThrows(() => readStamp(bytes), Error, "does not end as it was sent");
  const text = new TextDecoder("latin1").decode(stampedBytes(STAMP, 5));
  assertThrows(() => readStamp(text), Error, "does not end as it was sent");
});

Deno.test("a book lists what was queued and what was dropped for each link", () => {
  const links = book();
  links.up(B, 100);
  links.sent({ peers: 1, dropped: 0 }, [B], [{ ...B, messagesOut: 1 }]);
  const full = { ...B, messagesOut: 1, dropped: 1 };
  links.sent({ peers: 0, dropped: 1 }, [{ ...B, messagesOut: 1 }], [full]);
  assertEquals(links.marks, [undefined, { link: 0, queued: 1, dropped: 1 }, undefined]);
  const [open] = links.open([full]);
  assertEquals([open.queued, open.dropped], [1, 1]);
  const { queued, dropped, reason } = links.down(full, "goodbye", 200);
  assertEquals({ queued, dropped, reason }, { queued: 1, dropped: 1, reason: "goodbye" });
  assertEquals(links.open([]), []);
});

Deno.test("messages of others, such as presence, are not in the book", () => {
  const links = book();
  links.up(B, 100);
  const before = { ...B, messagesOut: 5 };
  links.sent({ peers: 1, dropped: 0 }, [before], [{ ...B, messagesOut: 6 }]);
  assertEquals(links.marks[1], { link: 0, queued: 1, dropped: 0 });
});

Deno.test("a node that wants everything gets each broadcast, and one that does not gets it at most once", () => {
  const sent = (b: number, c: number) => {
    const links = book();
    links.up(B, 100);
    links.up(C, 100);
    const after = [{ ...B, messagesOut: b }, { ...C, messagesOut: c }];
    links.sent({ peers: b + c, dropped: 0 }, [B, C], after);
  };
  sent(1, 0);
  sent(1, 1);
  assertThrows(() => sent(0, 1), Error, "went 0 times to b");
  assertThrows(() => sent(1, 2), Error, "went 2 times to c");
});

Deno.test("a report that does not agree with the links is noticed", () => {
  const links = book();
  links.up(B, 100);
  const after = [{ ...B, messagesOut: 1 }];
  assertThrows(() => links.sent({ peers: 0, dropped: 0 }, [B], after), Error, "links tell of 1");
  assertThrows(() => links.sent({ peers: 2, dropped: 0 }, [B], after), Error, "links tell of 1");
});

Deno.test("drops that a link has counted and no report mentions are noticed, and the reverse", () => {
  const links = book();
  links.up(B, 100);
  assertThrows(() => links.open([{ ...B, dropped: 1 }]), Error, "reports told of 0");
  links.sent({ peers: 0, dropped: 1 }, [B], [{ ...B, dropped: 1 }]);
  assertThrows(() => links.open([B]), Error, "links have dropped 0");
  links.down({ ...B, dropped: 1 }, "goodbye", 200);
  assertEquals(links.open([]), []);
});

Deno.test("events that contradict each other are noticed", () => {
  const links = book();
  assertThrows(() => links.down(B, "closed", 100), Error, "which was not up");
  links.up(B, 100);
  assertThrows(() => links.up(B, 100), Error, "which was up");
  const other = { ...B, incarnation: "b2" };
  assertThrows(() => links.down(other, "closed", 100), Error, "which was not up");
});

Deno.test("a message that is missing or comes twice is noticed, once for each mistake", () => {
  const links = book();
  const mark = (queued: number) => ({ link: 6, queued, dropped: 0 });
  assertThrows(() => links.heard(marked(0, mark(0)), 100), Error, "to which there is no link");
  links.up(B, 100);
  assertEquals(links.heard(marked(4, mark(0)), 110)?.heardAt, 110);
  assertEquals(links.heard(marked(5, mark(1)), 120), undefined);
  assertThrows(() => links.heard(marked(5, mark(1)), 130), Error, "after 2 others");
  links.heard(marked(6, mark(2)), 140);
  assertThrows(() => links.heard(marked(9, mark(4)), 150), Error, "4 were sent before it");
  links.heard(marked(10, mark(5)), 160);
  const [{ heard, peerLink }] = links.open([B]);
  assertEquals({ heard, peerLink }, { heard: 6, peerLink: 6 });
  const elsewhere = marked(11, { link: 7, queued: 6, dropped: 0 });
  assertThrows(() => links.heard(elsewhere, 170), Error, "on another link");
  const stranger = { ...marked(12, mark(7)), life: "b2" };
  assertThrows(() => links.heard(stranger, 180), Error, "there is no link");
});

Deno.test("missed reports all earlier drops before a message is heard", () => {
  const mark = (queued: number, dropped: number) => ({ link: 0, queued, dropped });
  const links = book();
  links.up(B, 100);
  links.missed(B, 3);
  links.heard(marked(3, mark(0, 3)), 110);
  assertThrows(() => links.heard(marked(6, mark(1, 5)), 120), Error, "missed tells of 3");
  links.missed(B, 1);
  assertThrows(() => links.heard(marked(7, mark(2, 5)), 130), Error, "missed tells of 6");
  assertEquals(links.missedTotal, 4);
  assertThrows(() => links.missed(C, 1), Error, "to which there is no link");
});

Deno.test("the end of a link without a goodbye is reported as missed, and again with the next link", () => {
  const links = book();
  const ended = () => assertThrows(() => links.open([]), Error, "missed does not say so");
  links.up(B, 100);
  links.down(B, "closed", 200);
  ended();
  links.missed(B, undefined);
  links.open([]);
  const next = { ...B, incarnation: "b2" };
  links.up(next, 300);
  assertThrows(() => links.open([next]), Error, "missed does not say so");
  links.missed(next, undefined);
  links.open([next]);
  assertThrows(() => links.missed(next, undefined), Error, "which had none before");
  links.down(next, "goodbye", 400);
  links.open([]);
  assertThrows(() => links.missed(next, undefined), Error, "whose link has not ended");
});

Deno.test("a link that was replaced by one to the same node is reported as missed once", () => {
  const links = book();
  links.up(B, 100);
  links.down(B, "replaced", 200);
  links.up(B, 200);
  links.missed(B, undefined);
  links.open([B]);
});

Deno.test("a client is in an audience by one of its rooms, unless another of them is left out", () => {
  const audience: Audience = { rooms: ["a", "b"], except: ["c"] };
  assertEquals(audienceName(audience), "a+b!c");
  assertEquals(includes(audience, ["a"]), true);
  assertEquals(includes(audience, ["b", "d"]), true);
  assertEquals(includes(audience, ["d"]), false);
  assertEquals(includes(audience, ["a", "c"]), false);
});

Deno.test("a client hears each message for any of its rooms once", () => {
  const totals = new AudienceTotals();
  const say = (number: number, rooms: string[], ...except: string[]) => {
    const total = totals.of({ rooms, except });
    total.count++;
    total.sum = addNumber(total.sum, number);
  };
  say(1, ["a"]);
  say(2, ["a", "b"]);
  say(4, ["a"], "b");
  say(8, ["b"]);
  say(16, ["c"]);
  assertEquals(totals.heardBy(["a", "b"]), { count: 3, sum: 11 });
  assertEquals(totals.heardBy(["a", "c"]), { count: 4, sum: 23 });
  assertEquals(totals.heardBy(["d"]), { count: 0, sum: 0 });
});

Deno.test("each client has a room and a table, and every other room lives on two nodes", () => {
  assertEquals(roomsOf(12), ["room-1", "table-1"]);
  assertEquals(roomsOf(17), ["room-1", "table-2"]);
  assertEquals(allRooms(10).sort(), ["room-0", "table-0", "table-1"]);
  const homes = (room: number) =>
    new Set(Array.from({ length: 10 }, (_, i) => homeOf(10 * room + i, 4))).size;
  assertEquals([0, 1, 2, 3].map(homes), [4, 2, 4, 2]);
});

Deno.test("a client's message is for its room, its table or both, or for the room without the table", () => {
  const audiences = Array.from({ length: 100 }, (_, i) => audienceOf(["room", "table"], i / 100));
  const names = new Set(audiences.map(audienceName));
  assertEquals([...names].sort(), ["room", "room!table", "room+table", "table"]);
});

Deno.test("a client notices messages that come twice, out of order, or from itself", () => {
  const hearing = new Hearing(5, 0);
  hearing.hear(number(4));
  assertThrows(() => hearing.hear(number(4)), Error, "twice, or out of order");
  assertThrows(() => new Hearing(5, 0).hear({ ...STAMP, client: 5 }), Error, "its own");
});

Deno.test("a client reports how many messages of each life of another node it has not heard", () => {
  const hearing = new Hearing(5, 0);
  assertEquals(hearing.hear(number(4)), 0);
  assertEquals(hearing.hear(number(7)), 2);
  assertEquals(hearing.hear({ ...number(3), life: "b2" }), 0);
});

Deno.test("a client counts missing messages for each audience, and checks the order across all", () => {
  const hearing = new Hearing(5, 0);
  const other = (number: number, audienceNumber: number): Stamp => {
    return { ...STAMP, number, audience: "table-1", audienceNumber };
  };
  hearing.hear(number(4));
  assertEquals(hearing.hear(other(9, 0)), 0);
  assertEquals(hearing.hear({ ...number(11), audienceNumber: 5 }), 0);
  assertEquals(hearing.hear(other(12, 2)), 1);
  assertThrows(() => hearing.hear({ ...number(10), audienceNumber: 6 }), Error, "out of order");
});

Deno.test("a client may miss messages until other nodes know that its node wants its room", () => {
  const hearing = new Hearing(5, 0, 1_000);
  assertEquals(hearing.hear(number(2), 998), 0);
  assertEquals(hearing.hear(number(4), 999), 0);
  assertEquals(hearing.hear(number(6), 1_000), 0);
  assertEquals(hearing.hear(number(8), 1_001), 1);
  assertThrows(() => hearing.hear(number(8), 1_002), Error, "twice, or out of order");
});

Deno.test("a client may miss only its own messages from its own node", () => {
  const hearing = new Hearing(5, 1);
  hearing.said = 1;
  hearing.hear(number(0));
  assertEquals(hearing.hear(number(2)), 0);
  assertThrows(() => hearing.hear(number(4)), Error, "has said 1");
});

Deno.test("a disagreement between a client and its node on what was heard and said is noticed", () => {
  const hearing = new Hearing(5, 0);
  hearing.hear(number(0xffff_ffff));
  hearing.hear({ ...number(2), life: "c1" });
  hearing.said = 3;
  const tally = { count: 2, sum: 1, said: 3 };
  hearing.compare(tally, true);
  hearing.compare({ ...tally, said: 2 }, false);
  assertThrows(() => hearing.compare({ ...tally, said: 2 }, true), Error, "and heard 2");
  for (const wrong of [{ count: 3 }, { sum: 2 }, { said: 4 }]) {
    assertThrows(() => hearing.compare({ ...tally, ...wrong }, false), Error, "its node 0");
  }
});

Deno.test("a tally fits the reason of a close, and nothing else is taken for one", () => {
  const tally = { count: 2 ** 40, sum: addNumber(0xffff_ffff, 2), said: 0 };
  assertEquals(readTally(writeTally(tally)), tally);
  assertEquals(tally.sum, 1);
  for (const reason of ["", "too much unsent", "1 2", "1 2 3 4"]) {
    assertEquals(readTally(reason), undefined);
  }
});
