import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { RefusedTopics } from "../../brokers/_refused_topics.ts";
import { FakeTimers } from "../_fake_timers.ts";

/** The largest random fraction, so delays are the longest possible. */
const largest = (size: number) => new Uint8Array(size).fill(0xff);

/** A broker that answers when a test says so. */
function refusedTopics() {
  const timers = new FakeTimers();
  const asked: PromiseWithResolvers<void>[] = [];
  const refused = new RefusedTopics(timers, largest, () => {
    refused.beginRound();
    const answer = Promise.withResolvers<void>();
    asked.push(answer);
    return answer.promise;
  });
  return { timers, asked, refused };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("refused topics: a topic is asked for again after longer and longer pauses", async () => {
  const { timers, asked, refused } = refusedTopics();
  refused.add("a", "no");
  const pauses: number[] = [];
  for (let i = 0; i < 9; i++) {
    const start = timers.now();
    while (asked.length === 0) timers.advance(1);
    pauses.push(timers.now() - start);
    refused.add("a", "no");
    refused.endRound();
    asked.splice(0)[0].resolve();
    await turn();
  }
  assertEquals(pauses, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

Deno.test("refused topics: a topic is reported once, until it has been granted", () => {
  const { refused } = refusedTopics();
  assertEquals(refused.add("a", 1), true);
  assertEquals(refused.add("a", 2), false);
  assertEquals([refused.size, refused.first], [1, { topic: "a", cause: 2 }]);
  refused.beginRound();
  assertEquals([refused.endRound(), refused.size], [true, 0]);
  assertEquals(refused.add("a", 3), true);
});

Deno.test("refused topics: a topic that is refused in a round stays, and the others are granted", () => {
  const { timers, refused } = refusedTopics();
  for (const topic of ["a", "b"]) refused.add(topic, "no");
  assertEquals(refused.endRound(), false);
  refused.beginRound();
  refused.add("b", "no");
  assertEquals([refused.endRound(), refused.topics()], [true, ["b"]]);
  refused.beginRound();
  assertEquals([refused.endRound(), refused.topics(), timers.pending], [true, [], 0]);
  assertEquals(refused.endRound(), false);
});

Deno.test("refused topics: one timer serves all, and none runs while the broker is asked", async () => {
  const { timers, asked, refused } = refusedTopics();
  for (let i = 0; i < 1_000; i++) refused.add(`room ${i}`, "no");
  assertEquals(timers.pending, 1);
  timers.advance(250);
  refused.add("another", "no");
  assertEquals([asked.length, timers.pending], [1, 0]);
  asked[0].resolve();
  await turn();
  assertEquals(timers.pending, 1);
});

Deno.test("refused topics: a topic that is no longer wanted is not asked for, and the timer ends", () => {
  const { timers, refused } = refusedTopics();
  for (const topic of ["a", "b"]) refused.add(topic, "no");
  refused.delete("a");
  assertEquals([refused.topics(), timers.pending], [["b"], 1]);
  refused.delete("b");
  refused.delete("never refused");
  assertEquals([refused.size, timers.pending], [0, 0]);
});

Deno.test("refused topics: a client that is closed for good is not asked again", async () => {
  const { timers, asked, refused } = refusedTopics();
  refused.add("a", "no");
  timers.advance(250);
  asked[0].reject(new Error("closed"));
  await turn();
  assertEquals([refused.size, timers.pending], [0, 0]);
});

Deno.test("refused topics: a stop leaves no timer, and later refusals are ignored", async () => {
  const { timers, asked, refused } = refusedTopics();
  refused.add("a", "no");
  timers.advance(250);
  refused.stop();
  asked[0].resolve();
  await turn();
  assertEquals([refused.add("b", "no"), refused.size, timers.pending], [false, 0, 0]);
});

Deno.test("refused topics: a timer always runs if topics are refused and nobody asks", async () => {
  const topic = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.tuple(fc.constantFrom("add" as const, "delete" as const), topic),
    fc.tuple(fc.constantFrom("begin" as const, "end" as const, "advance" as const), topic),
    fc.tuple(fc.constantFrom("answer" as const, "fail" as const), topic),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const { timers, asked, refused } = refusedTopics();
      for (const [what, topic] of steps) {
        if (what === "add") refused.add(topic, "no");
        if (what === "delete") refused.delete(topic);
        if (what === "begin") refused.beginRound();
        if (what === "end") refused.endRound();
        if (what === "advance") timers.advance(30_000);
        if (what === "answer") asked.shift()?.resolve();
        if (what === "fail") asked.shift()?.reject(new Error("closed"));
        await Promise.resolve();
        await turn();
        assert(asked.length <= 1);
        assertEquals(timers.pending, refused.size > 0 && asked.length === 0 ? 1 : 0);
      }
    }),
    { numRuns: 50 },
  );
});
