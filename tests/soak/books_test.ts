import { assertEquals, assertThrows } from "@std/assert";
import { addNumber, Hearing, readTally, writeTally } from "./_hearing.ts";
import { LinkBook } from "./_link_book.ts";
import { NODE_ITSELF, readStamp, type Stamp, stamped } from "./_stamp.ts";

const PEER = { name: "b", incarnation: "b1", dropped: 0 };
const STAMP: Stamp = { node: 1, life: "b1", number: 0, roomNumber: 0, client: NODE_ITSELF };

function book(): LinkBook {
  return new LinkBook((node) => "ab"[node]);
}

function number(number: number): Stamp {
  return { ...STAMP, number, roomNumber: number };
}

Deno.test("a stamp comes back from its message, and a message that was cut has none", () => {
  const stamp: Stamp = { node: 3, life: "0123456789abcdef", number: 7, roomNumber: 2, client: 12 };
  for (const text of ["", " two  words ", "é".repeat(1_000)]) {
    const message = stamped(stamp, text);
    assertEquals(readStamp(message), stamp);
    assertThrows(() => readStamp(`${message}x`), Error, "does not end as it was sent");
    assertThrows(() => readStamp(message.slice(0, -1)), Error, "does not end as it was sent");
  }
});

Deno.test("a book tells of each link from which broadcast to which it was up", () => {
  const links = book();
  links.sent({ peers: 0, dropped: 0 });
  assertEquals(links.up(PEER, 100).from, 1);
  links.sent({ peers: 1, dropped: 0 });
  links.sent({ peers: 0, dropped: 1 });
  const [open] = links.open([{ ...PEER, dropped: 1 }]);
  assertEquals([open.to, open.dropped], [3, 1]);
  const { from, to, dropped, reason } = links.down({ ...PEER, dropped: 1 }, "closed", 200);
  assertEquals({ from, to, dropped, reason }, { from: 1, to: 3, dropped: 1, reason: "closed" });
  assertEquals(links.open([]), []);
});

Deno.test("a report that does not agree with the events is noticed", () => {
  const links = book();
  links.up(PEER, 100);
  assertThrows(() => links.sent({ peers: 0, dropped: 0 }), Error, "events tell of 1 links");
  assertThrows(() => links.sent({ peers: 2, dropped: 0 }), Error, "events tell of 1 links");
});

Deno.test("drops that a link has counted and no report told of are noticed, and the reverse", () => {
  const links = book();
  links.up(PEER, 100);
  assertThrows(() => links.open([{ ...PEER, dropped: 1 }]), Error, "reports told of 0");
  links.sent({ peers: 0, dropped: 1 });
  assertThrows(() => links.open([PEER]), Error, "links have dropped 0");
  links.down({ ...PEER, dropped: 1 }, "closed", 200);
  assertEquals(links.open([]), []);
});

Deno.test("events that contradict each other are noticed", () => {
  const links = book();
  assertThrows(() => links.down(PEER, "closed", 100), Error, "which was not up");
  links.up(PEER, 100);
  assertThrows(() => links.up(PEER, 100), Error, "which was up");
  const other = { ...PEER, incarnation: "b2" };
  assertThrows(() => links.down(other, "closed", 100), Error, "which was not up");
});

Deno.test("what comes twice, out of order, or over no link is noticed; what is left out is counted", () => {
  const links = book();
  assertThrows(() => links.heard(number(0), 100), Error, "to which there is no link");
  links.up(PEER, 100);
  assertEquals(links.heard(number(4), 110)?.heardAt, 110);
  assertEquals(links.heard(number(5), 120), undefined);
  assertThrows(() => links.heard(number(5), 130), Error, "twice, or out of order");
  assertThrows(() => links.heard(number(3), 130), Error, "twice, or out of order");
  links.heard(number(9), 140);
  assertEquals(links.open([PEER])[0].heard, { first: 4, last: 9, count: 3, missing: 3 });
  assertThrows(() => links.heard({ ...number(10), life: "b2" }, 150), Error, "there is no link");
});

Deno.test("a client notices what it hears twice, out of order, or of itself", () => {
  const hearing = new Hearing(5, 0);
  hearing.hear(number(4));
  assertThrows(() => hearing.hear(number(4)), Error, "twice, or out of order");
  assertThrows(() => new Hearing(5, 0).hear({ ...STAMP, client: 5 }), Error, "its own");
});

Deno.test("a client tells how much of another node it has not heard, and begins anew with each life", () => {
  const hearing = new Hearing(5, 0);
  assertEquals(hearing.hear(number(4)), 0);
  assertEquals(hearing.hear(number(7)), 2);
  assertEquals(hearing.hear({ ...number(3), life: "b2" }), 0);
});

Deno.test("of its own node a client may only miss what it has said itself", () => {
  const hearing = new Hearing(5, 1);
  hearing.said = 1;
  hearing.hear(number(0));
  assertEquals(hearing.hear(number(2)), 0);
  assertThrows(() => hearing.hear(number(4)), Error, "has said 1");
});

Deno.test("a client and its node agree on what was heard and said, or it shows", () => {
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
