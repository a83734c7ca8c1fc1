/**
 * Permissions that are missing, withdrawn and repaired, with the real programs. Those that are not
 * installed are skipped, except where `CI` is `true`: there the tests fail.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokerError, type BrokerEventMap } from "../../brokers/redis.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { collect, Inbox, nextEvent } from "./_inbox.ts";
import { EVERYTHING, GUARDED, type GuardedBroker } from "./_permissions.ts";

const CLUSTER = "roomcast.test";

type Refused = BrokerEventMap["refused"];

/** A node of the guarded user, and what it reports. */
async function guardedNode(broker: GuardedBroker, interest: "cluster" | "room" = "cluster") {
  const timers = new FakeTimers();
  const node = await broker.guarded({ interest, timers });
  const { backplane } = node;
  return {
    backplane,
    timers,
    refused: collect<Refused>(backplane, "refused"),
    ups: collect(backplane, "up"),
    missed: collect(backplane, "missed"),
    inbox: new Inbox(backplane),
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  };
}

for (const { name, ignore, start } of GUARDED) {
  const test = (what: string, topics: string, run: (broker: GuardedBroker) => Promise<void>) =>
    Deno.test({
      name: `${name}: ${what}`,
      ignore,
      async fn() {
        await using broker = await start(topics);
        await run(broker);
      },
    });

  test(
    "a node whose subscription is refused is not connected until the permission is repaired",
    "nothing",
    async (broker) => {
      await using a = await broker.free();
      await using b = await guardedNode(broker);
      const error = await assertRejects(() => b.backplane.ready(), BrokerError) as BrokerError;
      assertEquals([error.code, error.topic], ["subscribe-refused", CLUSTER]);
      assert(error.cause instanceof Error);
      assertEquals(b.refused.map(({ address, code }) => [address, code]), [
        [CLUSTER, "subscribe-refused"],
      ]);
      assertEquals([b.backplane.connected, b.ups.length, b.missed.length], [false, 0, 0]);

      // It asks again, is refused again, and reports it once.
      b.timers.advance(60_000);
      await assertRejects(() => b.backplane.ready(), BrokerError);
      assertEquals([b.refused.length, b.backplane.connected], [1, false]);

      const sender = new Inbox(a.backplane);
      sender.say("lobby", "not heard");
      // NATS has permissions of its own for publishing, so the node can send. In Redis it cannot.
      if (name === "nats") {
        assertEquals(b.inbox.say("lobby", "I hear nothing"), { peers: 1, dropped: 0 });
        await sender.has(1);
      }

      const missed = nextEvent(b.backplane, "missed");
      await broker.allow(EVERYTHING);
      while (b.ups.length === 0) {
        b.timers.advance(60_000);
        await b.backplane.ready().catch(() => {});
      }
      await missed;
      assertEquals(b.backplane.connected, true);
      sender.say("lobby", "heard");
      await b.inbox.has(1);
      assertEquals(b.inbox.messages, ["heard"]);
      assertEquals([b.ups.length, b.missed.length, b.refused.length], [1, 1, 1]);
      assertEquals(b.timers.pending, 0);
    },
  );

  test(
    "a permission that is withdrawn takes the node down until it is repaired",
    EVERYTHING,
    async (broker) => {
      await using a = await broker.free();
      await using b = await guardedNode(broker);
      await b.backplane.ready();
      const sender = new Inbox(a.backplane);
      sender.say("lobby", "before");
      await b.inbox.has(1);

      const down = nextEvent<BrokerEventMap["down"]>(b.backplane, "down", ({ hears }) => !hears);
      const refused = nextEvent<Refused>(b.backplane, "refused");
      await broker.allow("nothing");
      await broker.disconnect?.();
      await down;
      assertEquals((await refused).address, CLUSTER);
      await assertRejects(() => b.backplane.ready(), BrokerError);
      assertEquals(b.backplane.connected, false);
      sender.say("lobby", "not heard");

      const missed = nextEvent(b.backplane, "missed");
      await broker.allow(EVERYTHING);
      while (!b.backplane.connected) {
        b.timers.advance(60_000);
        await b.backplane.ready().catch(() => {});
      }
      await missed;
      sender.say("lobby", "after");
      await b.inbox.has(2);
      assertEquals(b.inbox.messages, ["before", "after"]);
    },
  );

  test(
    "a refused room does not affect other rooms, and is heard once it is permitted",
    `${CLUSTER}.good`,
    async (broker) => {
      await using a = await broker.free({ interest: "room" });
      await using b = await guardedNode(broker, "room");
      b.backplane.openRoom?.("bad");
      b.backplane.openRoom?.("good");
      await b.backplane.ready();
      assertEquals(b.refused.map(({ address, code }) => [address, code]), [
        [`${CLUSTER}.bad`, "subscribe-refused"],
      ]);
      const sender = new Inbox(a.backplane);
      sender.say("bad", "not heard");
      sender.say("good", "heard");
      await b.inbox.has(1);

      const missed = nextEvent(b.backplane, "missed");
      await broker.allow(EVERYTHING);
      let isHeard = false;
      missed.then(() => isHeard = true);
      while (!isHeard) {
        b.timers.advance(60_000);
        await b.backplane.ready();
      }
      sender.say("bad", "heard as well");
      await b.inbox.has(2);
      assertEquals(b.inbox.messages, ["heard", "heard as well"]);
      assertEquals([b.refused.length, b.timers.pending], [1, 0]);
    },
  );
}
