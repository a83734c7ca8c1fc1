import type { MalformedEvent } from "../../backplane/mod.ts";
/**
 * What every backplane promises, held against each of them: `_rigs.ts` says which there are. Those
 * over NATS and Redis need the broker installed; without it they are skipped, except where `CI` is
 * `true`: there they fail.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type Backplane,
  encodeRoomBroadcast,
  FrameError,
  type PublishReport,
  Rooms,
} from "../../mod.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { Inbox, nextEvent } from "./_inbox.ts";
import { type Rig, type RigKind, RIGS, ROOM } from "./_rigs.ts";

/** What the largest message is tried with: all of them carry it. */
const LARGE = 1024 * 1024 - 9;

function say(backplane: Backplane, message: string): PublishReport {
  return backplane.publish(encodeRoomBroadcast(ROOM, message));
}

/** Lets other things happen. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve);
  return promise;
}

/** A room broadcast whose lengths are right and whose texts are these bytes. */
function broadcastOf(room: number[], message: number[]): Uint8Array {
  return Uint8Array.of(0x1e, room.length, 0, ...room, message.length, 0, 0, 0, ...message);
}

for (const kind of RIGS) {
  const test = (name: string, run: (rig: Rig, kind: RigKind) => Promise<void>) =>
    Deno.test({
      name: `${kind.name}: ${name}`,
      ignore: kind.ignore,
      async fn() {
        await using rig = await kind.start();
        await run(rig, kind);
      },
    });

  test("every other node hears each message once, its publisher never", async ({ nodes }) => {
    const inboxes = nodes.map(({ backplane }) => new Inbox(backplane));
    for (let i = 0; i < 100; i++) {
      for (const [from, { backplane }] of nodes.entries()) {
        const { peers, dropped } = say(backplane, `${from} ${i}`);
        assert(peers > 0);
        assertEquals(dropped, 0);
      }
      if (i % 10 === 0) await turn();
    }
    // From one node messages come in order: behind its last nothing of it is to come.
    for (const [to, inbox] of inboxes.entries()) {
      for (const from of nodes.keys()) {
        if (from !== to) await inbox.hears((message) => message === `${from} 99`);
        const expected = from === to ? [] : Array.from({ length: 100 }, (_, i) => `${from} ${i}`);
        assertEquals(inbox.messages.filter((message) => message[0] === String(from)), expected);
      }
    }
  });

  test("messages of one node arrive in order, whatever their sizes", async ({ nodes }) => {
    const [sender, ...others] = nodes;
    const inboxes = others.map(({ backplane }) => new Inbox(backplane));
    let runs = 0;
    const sizes = fc.array(
      fc.oneof(fc.nat(100), fc.nat(5_000), fc.constantFrom(0, 70_000, 300_000)),
      { minLength: 1, maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(5), async (sizes, pause) => {
        const run = runs++;
        const messages = sizes.map((size, i) => `${run} ${i} ${"x".repeat(size)}`);
        const before = inboxes.map((inbox) => inbox.heard.length);
        for (const [i, message] of messages.entries()) {
          assertEquals(say(sender.backplane, message).dropped, 0);
          if (pause > 0 && i % pause === 0) await turn();
        }
        for (const [i, inbox] of inboxes.entries()) {
          await inbox.has(before[i] + messages.length);
          assertEquals(inbox.messages.slice(before[i]), messages);
        }
      }),
      { numRuns: 15 },
    );
  });

  test("ten thousand messages in a burst arrive, or are reported as dropped", async ({ nodes }) => {
    const [sender, ...others] = nodes;
    const inboxes = others.map(({ backplane }) => new Inbox(backplane));
    const sent: string[] = [];
    for (let i = 0; i < 10_000; i++) {
      const message = `${i} ${"x".repeat(i % 200)}`;
      if (say(sender.backplane, message).dropped === 0) sent.push(message);
    }
    for (const inbox of inboxes) {
      await inbox.has(sent.length);
      assertEquals(inbox.messages, sent);
    }
  });

  test("a large message arrives, and one above the limit is refused before anybody hears it", async ({ nodes }) => {
    const [sender, ...others] = nodes;
    const inboxes = others.map(({ backplane }) => new Inbox(backplane));
    const rooms = new Rooms<FakeSocket>({ backplane: sender.backplane });
    const here = new FakeSocket();
    rooms.join(here, ROOM);
    const { maxMessageBytes = 0 } = sender.backplane;
    assert(maxMessageBytes >= LARGE);

    const overhead = 7 + ROOM.length;
    const tooLong = "x".repeat(maxMessageBytes - overhead + 1);
    for (
      const refused of [
        () => rooms.broadcast(ROOM, tooLong),
        () => sender.backplane.publish(encodeRoomBroadcast(ROOM, tooLong)),
      ]
    ) {
      const error = assertThrows(refused, FrameError) as FrameError;
      assertEquals(error.code, "message-too-long");
    }
    assertEquals(here.heard, []);

    const large = "x".repeat(LARGE - overhead);
    assertEquals(rooms.broadcast(ROOM, large).dropped, 0);
    for (const inbox of inboxes) {
      await inbox.has(1);
      assertEquals(inbox.messages.length, 1);
      assert(inbox.messages[0] === large);
    }
  });

  test("malformed bytes from outside are dropped and reported, and cost nothing else", async ({ nodes, inject, injectRaw }) => {
    const [{ backplane, events }, other] = nodes;
    const rooms = new Rooms<FakeSocket>({ backplane });
    const socket = new FakeSocket();
    rooms.join(socket, ROOM);
    const room = [...new TextEncoder().encode(ROOM)];
    const valid = broadcastOf(room, [0x68, 0x69]);
    const malformed: [Uint8Array, string][] = [
      [broadcastOf(room, [0xff, 0xfe]), "invalid-utf8"],
      [broadcastOf([0xc0, 0x80], []), "invalid-utf8"],
      [valid.slice(0, -1), "truncated"],
      [Uint8Array.of(...valid, 0), "trailing-bytes"],
    ];
    for (const [bytes, code] of malformed) {
      const reported = nextEvent<MalformedEvent>(events, "malformed");
      await inject(bytes);
      assertEquals((await reported).code, code);
    }
    for (const bytes of [[], [0xe1], [0x1e, 0, 0, 0, 0, 0, 0, 0], [1, 2, 3]]) {
      if (injectRaw === undefined) continue;
      const reported = nextEvent<MalformedEvent>(events, "malformed");
      await injectRaw(Uint8Array.from(bytes));
      assert(["truncated", "wrong-tag"].includes((await reported).code));
    }
    say(other.backplane, "as if nothing had been");
    const heard = () => socket.heard.length > 0;
    socket.onSend = () => events.dispatchEvent(new CustomEvent("heard"));
    if (!heard()) await nextEvent(events, "heard");
    assertEquals(socket.heard, ["as if nothing had been"]);
  });

  test("an outage under load: what is lost is reported, and messages flow again", async (rig) => {
    const [sender, , receiver] = rig.nodes;
    const inbox = new Inbox(receiver.backplane);
    const reports: PublishReport[] = [];
    let published = 0;
    const load = setInterval(() => {
      for (let i = 0; i < 5; i++) reports.push(say(sender.backplane, String(published++)));
    }, 1);
    try {
      await inbox.has(100);
      let lost = 0;
      const last = await rig.outage(async () => {
        const before = published;
        await within("messages in the outage", until(() => published >= before + 100));
        const inOutage = reports.slice(before);
        // To the broker, or to the outside, which is out of reach; or to nobody, who is counted as none.
        lost = inOutage.filter(({ peers }) => peers === 0).length;
        assertEquals(lost, inOutage.length);
      });
      assert(lost >= 100);
      const again = last === receiver ? inbox : new Inbox(last.backplane);
      const from = published;
      await again.hears(
        (message) => Number(message) >= from,
        "a message published after the outage",
      );
    } finally {
      clearInterval(load);
    }
    const numbers = inbox.messages.map(Number);
    // In order and none twice; and what is missing is missing in one piece, that of the outage.
    let gaps = 0;
    for (const [i, number] of numbers.entries()) {
      if (i === 0) continue;
      assert(number > numbers[i - 1], `${number} after ${numbers[i - 1]}`);
      if (number > numbers[i - 1] + 1) gaps++;
    }
    assert(gaps <= 1, `${gaps} gaps`);
  });

  test("a node that has shut down sends and hears nothing, and the others go on", async ({ nodes }) => {
    const [gone, a, b] = [nodes[0], nodes[1], nodes[2]];
    const inboxes = [gone, a, b].map(({ backplane }) => new Inbox(backplane));
    say(a.backplane, "before");
    await Promise.all([inboxes[0].has(1), inboxes[2].has(1)]);
    say(gone.backplane, "last words");
    await gone.end();
    await gone.end();
    await Promise.all([inboxes[1].has(1), inboxes[2].has(2)]);

    assertEquals(say(gone.backplane, "nobody hears this"), { peers: 0, dropped: 0 });
    say(a.backplane, "after");
    await inboxes[2].hears((message) => message === "after");
    assertEquals(inboxes[0].messages, ["before"]);
    assertEquals(inboxes[1].messages, ["last words"]);
    assertEquals(inboxes[2].messages, ["before", "last words", "after"]);
  });

  test("rooms on different nodes hear each other, and only their own", async ({ nodes }) => {
    const rooms = nodes.map(({ backplane }) => new Rooms<FakeSocket>({ backplane }));
    const sockets = nodes.map(() => new FakeSocket());
    const heard = Promise.withResolvers<void>();
    for (const [i, socket] of sockets.entries()) rooms[i].join(socket, ROOM);
    sockets[2].onSend = (message) => message === "end" && heard.resolve();
    // Not open on the last node: with interest in the room it does not even get there.
    rooms[0].broadcast("another", "not for them");
    const { sent, dropped } = rooms[0].broadcast(ROOM, "hello", { except: sockets[0] });
    assertEquals({ sent, dropped }, { sent: 0, dropped: 0 });
    rooms[0].broadcast(ROOM, "end");
    await within("the end", heard.promise);
    assertEquals([sockets[0].heard, sockets[2].heard], [["end"], ["hello", "end"]]);
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}
