import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ACK, encodeAck, FEATURE_GOODBYE, FrameDecoder, PING } from "../../codec/mod.ts";
import { type Admission, admit, type Contender } from "../../mesh/duplicate_links.ts";
import { newCounters } from "../../mesh/totals.ts";
import { Link } from "../../mesh/link.ts";
import { MeshError } from "../../mesh/mesh_error.ts";
import { isSmallerName } from "../../mesh/node_name.ts";
import { Peers } from "../../mesh/peers.ts";
import { text } from "../_arbitraries.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { pipe } from "./_pipe.ts";

const SELF = "m@10.0.0.1:9000";
const SMALLER = "a@10.0.0.2:9000";
const LARGER = "z@10.0.0.3:9000";
const NONE: ReadonlySet<string> = new Set();

function contender(initiator: string, incarnation = "1"): Contender {
  return { initiator, incarnation };
}

// The rules, one by one.

Deno.test("a node without a link is accepted, whatever happened before", () => {
  assertEquals(admit(undefined, contender(SELF), NONE), "accept");
  assertEquals(admit(undefined, contender(SMALLER), new Set(["1", "2"])), "accept");
});

Deno.test("another incarnation of a linked name replaces the old link, whoever dialled", () => {
  for (const current of [SELF, SMALLER]) {
    for (const newcomer of [SELF, SMALLER]) {
      const admission = admit(contender(current, "1"), contender(newcomer, "2"), NONE);
      assertEquals(admission, "replace");
    }
  }
});

Deno.test("the link that the smaller name has dialled stays, of two links to one incarnation", () => {
  assertEquals(admit(contender(SELF), contender(SMALLER), NONE), "replace");
  assertEquals(admit(contender(SMALLER), contender(SELF), NONE), "refuse");
  assertEquals(admit(contender(SELF), contender(LARGER), NONE), "refuse");
  assertEquals(admit(contender(LARGER), contender(SELF), NONE), "replace");
});

Deno.test("names are compared by bytes, so characters beyond U+FFFF are larger than those below", () => {
  const [small, large] = ["\uffff@h:9000", "🎉@h:9000"];
  assert(large < small, "in UTF-16 it is the other way round");
  assertEquals(admit(contender(large), contender(small), NONE), "replace");
  assertEquals(admit(contender(small), contender(large), NONE), "refuse");
});

Deno.test("a node that dials again replaces its own link, because it would not dial if that were alive", () => {
  for (const name of [SELF, SMALLER, LARGER]) {
    assertEquals(admit(contender(name), contender(name), NONE), "replace");
  }
});

Deno.test("a node of the Mesh runtime replaces no link, because nothing shows that it has restarted", () => {
  for (const newcomer of [SELF, SMALLER]) {
    for (const current of [SMALLER, SELF]) {
      assertEquals(admit(contender(current, ""), contender(newcomer, ""), NONE), "refuse");
      assertEquals(admit(contender(current, "1"), contender(newcomer, ""), NONE), "duplicate");
    }
    assertEquals(admit(contender(SMALLER, ""), contender(newcomer, "1"), NONE), "replace");
  }
});

Deno.test("a replaced incarnation that comes back is a duplicate, whoever dialled", () => {
  for (const initiator of [SELF, SMALLER, LARGER]) {
    const admission = admit(contender(SELF, "2"), contender(initiator, "1"), new Set(["1"]));
    assertEquals(admission, "duplicate");
  }
});

Deno.test("replaced incarnations do not affect a third incarnation, or the present one", () => {
  const superseded = new Set(["1"]);
  assertEquals(admit(contender(SELF, "2"), contender(SELF, "3"), superseded), "replace");
  assertEquals(admit(contender(SELF, "2"), contender(SELF, "2"), superseded), "replace");
});

// Both ends.

const nameText = text.filter((text) => text !== "").map((text) => text.slice(0, 20));
const twoNames = fc.oneof(
  fc.tuple(nameText, nameText),
  // Alike up to a character where the order of UTF-16 is another.
  fc.tuple(
    nameText,
    fc.shuffledSubarray(["a", "\ue000", "\uffff", "🎉"], { minLength: 2, maxLength: 2 }),
  )
    .map(([start, [a, b]]) => [start + a, start + b]),
).filter(([a, b]) => a !== b && a.isWellFormed() && b.isWellFormed());

/** What an end is left with if links come up in this order: the index of the one it keeps. */
function kept(links: { initiator: string; id: number }[], incarnation: string): number | undefined {
  let current: { initiator: string; id: number } | undefined;
  for (const link of links) {
    const before = current && { ...current, incarnation };
    const admission = admit(before, { ...link, incarnation }, NONE);
    if (admission !== "refuse") current = link;
  }
  return current?.id;
}

Deno.test("property: both ends keep the same one of two links, whatever order they come up in", () => {
  const order = fc.boolean();
  const incarnation = fc.string({ minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(twoNames, incarnation, incarnation, order, order, ([a, b], atA, atB, p, q) => {
      const links = [{ initiator: a, id: 0 }, { initiator: b, id: 1 }];
      const keptByA = kept(p ? links : links.toReversed(), atA);
      const keptByB = kept(q ? links : links.toReversed(), atB);
      assertEquals(keptByA, keptByB);
      assertEquals(keptByA, isSmallerName(a, b) ? 0 : 1);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("property: both ends keep the same one of any number of links, if each node's dials come up in order", () => {
  const dials = fc.array(fc.boolean(), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(twoNames, dials, fc.infiniteStream(fc.boolean()), ([a, b], dials, coins) => {
      const links = dials.map((byA, id) => ({ initiator: byA ? a : b, id }));
      // Each end sees some interleaving of the dials of both.
      const shuffled = () => {
        const queues = [a, b].map((name) => links.filter(({ initiator }) => initiator === name));
        const result: typeof links = [];
        while (result.length < links.length) {
          const next = queues[coins.next().value ? 1 : 0].shift();
          if (next) result.push(next);
        }
        return result;
      };
      assertEquals(kept(shuffled(), "1"), kept(shuffled(), "2"));
    }),
    { numRuns: 1_000 },
  );
});

// Several live nodes by one name.

Deno.test("property: each incarnation gets a name at most once while the name stays linked", () => {
  const incarnation = fc.nat({ max: 5 }).map(String);
  const attempts = fc.array(fc.tuple(incarnation, fc.constantFrom(SELF, SMALLER)), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(attempts, (attempts) => {
      const superseded = new Set<string>();
      const holders: string[] = [];
      let current: Contender | undefined;
      for (const [incarnation, initiator] of attempts) {
        const newcomer = { incarnation, initiator };
        const admission: Admission = admit(current, newcomer, superseded);
        assertEquals(admission === "duplicate", superseded.has(incarnation));
        if (admission === "refuse" || admission === "duplicate") continue;
        if (current?.incarnation !== incarnation) {
          if (current) superseded.add(current.incarnation);
          holders.push(incarnation);
        }
        current = newcomer;
      }
      assertEquals(holders.length, new Set(holders).size);
    }),
  );
});

/** The peers of a node, with incarnations of one name that come and go. */
class NameContest {
  readonly peers = new Peers(SELF, 1);
  readonly refusals: string[] = [];
  /** Who has had a link, in order. */
  readonly holders: string[] = [];
  readonly timers = new FakeTimers();
  readonly timeoutMs = 1_000;
  readonly #links: Link[] = [];
  /** Tag of each frame that the links have written, in order. */
  readonly #written: number[] = [];
  #wrote = Promise.withResolvers<void>();

  /** An incarnation has shaken hands. Gives what has become of it. */
  come(incarnation: string, initiator = SMALLER): "linked" | MeshError["code"] {
    const peer = { name: SMALLER, incarnation, features: FEATURE_GOODBYE };
    try {
      const { link, replaced } = this.peers.add(
        peer,
        initiator,
        () => this.#makeLink(peer, initiator),
      );
      this.#links.push(link);
      replaced?.end("replaced");
    } catch (error) {
      if (error instanceof MeshError) return error.code;
      throw error;
    }
    if (this.holders.at(-1) !== incarnation) this.holders.push(incarnation);
    return "linked";
  }

  /** The link of the name breaks. */
  lose(): void {
    this.peers.get(SMALLER)?.end("closed");
  }

  /** The tags of the first frames that the links write. */
  async firstWritten(count: number): Promise<number[]> {
    while (this.#written.length < count) {
      await this.#wrote.promise;
      this.#wrote = Promise.withResolvers();
    }
    return this.#written;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.#links) link.end("shut-down");
    await Promise.all(this.#links.map((link) => link.ended));
    assertEquals([this.peers.size, this.timers.pending], [0, 0]);
  }

  #makeLink(
    peer: { name: string; incarnation: string; features: number },
    initiator: string,
  ): Link {
    const [connection] = pipe().ends;
    return new Link({
      connection: {
        ...connection,
        write: (bytes) => {
          const payloads = new FrameDecoder().push(bytes);
          this.#written.push(...Array.from(payloads, ([tag]) => tag));
          this.#wrote.resolve();
          return connection.write(bytes);
        },
      },
      peer,
      direction: initiator === SELF ? "outgoing" : "incoming",
      limits: {
        maxMessageBytes: 1_000,
        maxQueuedBytes: 1_000,
        heartbeatIntervalMs: 10 * this.timeoutMs,
        heartbeatTimeoutMs: this.timeoutMs,
      },
      clock: this.timers,
      totals: newCounters(),
      listener: {
        onBroadcast: () => {},
        onPeerList: () => {},
        onMalformed: () => {},
        onOverflow: () => {},
        onInterest: () => {},
        onMissed: () => {},
        onUnsupported: () => {},
        onDown: (link) => void this.peers.remove(link),
      },
    }, initiator === SELF ? undefined : encodeAck({ proof: new Uint8Array(32) }));
  }
}

Deno.test("two live nodes with one name do not take turns, because the first is refused from then on", async () => {
  await using contest = new NameContest();
  assertEquals(contest.come("1"), "linked");
  assertEquals(contest.come("2"), "linked");
  for (let i = 0; i < 100; i++) {
    assertEquals(contest.come("1"), "duplicate-name");
    assertEquals(contest.come("1", SELF), "duplicate-name");
    assertEquals(contest.come("2"), "linked");
  }
  assertEquals(contest.holders, ["1", "2"]);
  assertEquals(contest.peers.get(SMALLER)?.peer.incarnation, "2");
});

Deno.test("a free name goes to the first node that comes, so no node is shut out for ever", async () => {
  await using contest = new NameContest();
  for (const incarnation of ["1", "2", "3"]) contest.come(incarnation);
  assertEquals(contest.come("1"), "duplicate-name");
  assertEquals(contest.come("2"), "duplicate-name");

  contest.lose();
  assertEquals(contest.peers.size, 0);
  for (const incarnation of ["1", "2", "3", "4", "5", "6", "7", "8", "9"]) {
    assertEquals(contest.come(incarnation), "linked");
  }
});

Deno.test("a node that restarts again and again, before its old link is found dead, gets in", async () => {
  await using contest = new NameContest();
  for (let incarnation = 0; incarnation < 100; incarnation++) {
    assertEquals(contest.come(`${incarnation}`), "linked");
    assertEquals(contest.peers.size, 1);
  }
});

Deno.test("a name changes hands 256 times while it stays linked, and then no more", async () => {
  await using contest = new NameContest();
  for (let incarnation = 0; incarnation <= 256; incarnation++) {
    assertEquals(contest.come(`${incarnation}`), "linked");
  }
  for (const incarnation of ["0", "255", "257", "258"]) {
    assertEquals(contest.come(incarnation), "duplicate-name");
  }
  assertEquals(contest.come("256"), "linked");

  contest.lose();
  assertEquals(contest.come("257"), "linked");
  assertEquals(contest.come("0"), "linked");
});

Deno.test("the link of the larger name is refused, and the existing link must prove that it is alive", async () => {
  await using contest = new NameContest();
  assertEquals(contest.come("1"), "linked");
  assertEquals(contest.come("1", SELF), "already-linked");
  const link = contest.peers.get(SMALLER);
  assertEquals(link?.direction, "incoming");

  // Nobody answers its ping, so it is down long before its interval is over.
  contest.timers.advance(contest.timeoutMs);
  assertEquals(contest.peers.size, 0);
  assertEquals(contest.come("1", SELF), "linked");
});

Deno.test("a ping for a doubt that arises together with the link does not precede the ACK", async () => {
  await using contest = new NameContest();
  contest.come("1");
  contest.come("1", SELF);
  assertEquals(await contest.firstWritten(2), [ACK, PING]);
});

Deno.test("property: no node gets a name twice, however many live nodes share it", async () => {
  const attempts = fc.array(
    fc.tuple(fc.nat({ max: 29 }).map(String), fc.constantFrom(SELF, SMALLER)),
    { minLength: 100, maxLength: 400, size: "max" },
  );
  await fc.assert(
    fc.asyncProperty(attempts, async (attempts) => {
      await using contest = new NameContest();
      for (const [incarnation, initiator] of attempts) contest.come(incarnation, initiator);
      assertEquals(contest.holders.length, new Set(contest.holders).size);
    }),
    { numRuns: 30 },
  );
});

Deno.test("a new name is refused when all places are taken, and a new incarnation of a linked one is not", async () => {
  await using contest = new NameContest();
  assertEquals(contest.come("1"), "linked");
  const error = assertThrows(
    () =>
      contest.peers.add({ name: LARGER, incarnation: "1", features: 0 }, LARGER, () => {
        throw new Error("a link was made");
      }),
    MeshError,
  ) as MeshError;
  assertEquals([error.code, error.peer], ["too-many-peers", LARGER]);
  assertEquals(contest.come("2"), "linked");
});
