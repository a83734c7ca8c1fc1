/**
 * What every backplane promises, held against each of them: `_rigs.ts` lists them. NATS and Redis are
 * skipped where they are not installed, except where `CI` is `true`: there the tests fail.
 */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { MalformedEvent } from "../../backplane/mod.ts";
import {
  encodePing,
  encodeRoomBroadcast,
  encodeRoomClose,
  encodeRoomMessage,
  FrameError,
  type RoomMessage,
} from "../../codec/mod.ts";
import type { Backplane, PublishReport } from "../../mod.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { collect, type Heard, Inbox, nextEvent } from "./_inbox.ts";
import { type Rig, type RigKind, RIGS, ROOM, ROOMS } from "./_rigs.ts";

/** The largest message that every backplane carries, in bytes. */
const LARGE = 1024 * 1024 - 9;

/** Bytes of a ROOM_BROADCAST for {@linkcode ROOM}, without its message. */
const BROADCAST_OVERHEAD = 7 + ROOM.length;

/** Bytes of a ROOM_MESSAGE for {@linkcode ROOM}, without its message. */
const MESSAGE_OVERHEAD = 12 + ROOM.length;

const [A, B, C]: readonly string[] = ROOMS;

/** Lets other things happen. */
function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve);
  return promise;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** A ROOM_BROADCAST with right lengths and these bytes for its texts. */
function broadcastOf(room: number[], message: number[]): Uint8Array {
  return Uint8Array.of(0x1e, room.length, 0, ...room, message.length, 0, 0, 0, ...message);
}

/** What a member of these rooms hears of what has arrived, as `Rooms` delivers it. */
function heardBy(memberOf: readonly string[], heard: readonly Heard[]): Heard[] {
  const isIn = (rooms: readonly string[]) => rooms.some((room) => memberOf.includes(room));
  return heard.filter((message) =>
    "room" in message ? isIn([message.room]) : isIn(message.rooms) && !isIn(message.except)
  );
}

function inboxesOf(backplanes: readonly { readonly backplane: Backplane }[]): Inbox[] {
  return backplanes.map(({ backplane }) => new Inbox(backplane));
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

  test("every other node hears each message once, with its sender, and the publisher does not", async ({ nodes }) => {
    const inboxes = inboxesOf(nodes);
    const ids = nodes.map(({ backplane }) => backplane.nodeId);
    assertEquals(new Set(ids).size, nodes.length);
    for (let i = 0; i < 100; i++) {
      for (const [from, inbox] of inboxes.entries()) {
        const { peers, dropped } = inbox.say(ROOM, `${from} ${i}`);
        assert(peers > 0);
        assertEquals(dropped, 0);
      }
      if (i % 10 === 0) await turn();
    }
    // Messages of one node arrive in order, so nothing follows its last one.
    for (const [to, inbox] of inboxes.entries()) {
      for (const from of nodes.keys()) {
        if (from !== to) await inbox.hears((message) => message === `${from} 99`);
        const expected = from === to ? [] : Array.from({ length: 100 }, (_, i) => `${from} ${i}`);
        assertEquals(inbox.messages.filter((message) => message[0] === String(from)), expected);
      }
      const senders = inbox.messages.map((message) => ids[Number(message[0])]);
      assertEquals(inbox.from, senders);
    }
  });

  test("subscriptions on one node hear each other and not themselves, until they are disposed", async ({ nodes }) => {
    const [{ backplane }, other] = nodes;
    const [a, b] = [new Inbox(backplane), new Inbox(backplane)];
    const elsewhere = new Inbox(other.backplane);
    a.say(ROOM, "from a");
    assertEquals([a.messages, b.messages, b.from], [[], ["from a"], [backplane.nodeId]]);
    backplane.publish(encodeRoomBroadcast(ROOM, "from nobody"));
    assertEquals([a.messages, b.messages], [["from nobody"], ["from a", "from nobody"]]);
    b[Symbol.dispose]();
    a.say(ROOM, "after");
    elsewhere.say(ROOM, "from elsewhere");
    await Promise.all([elsewhere.has(3), a.has(2)]);
    assertEquals(elsewhere.messages, ["from a", "from nobody", "after"]);
    assertEquals(a.messages, ["from nobody", "from elsewhere"]);
    assertEquals(b.messages, ["from a", "from nobody"]);
  });

  test("a room that is opened is heard once ready has resolved", async ({ nodes }) => {
    const [first, , last] = nodes;
    const [sender, inbox] = inboxesOf([first, last]);
    for (let i = 0; i < 20; i++) {
      const room = `opened later ${i}`;
      last.backplane.openRoom?.(room);
      await within("ready", last.backplane.ready?.() ?? Promise.resolve());
      sender.say(room, room);
      await inbox.hears((message) => message === room);
    }
  });

  test("messages of one node arrive in order, whatever their sizes", async ({ nodes }) => {
    const [sender, ...inboxes] = inboxesOf(nodes);
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
          assertEquals(sender.say(ROOM, message).dropped, 0);
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
    const [sender, ...inboxes] = inboxesOf(nodes);
    const sent: string[] = [];
    for (let i = 0; i < 10_000; i++) {
      const message = `${i} ${"x".repeat(i % 200)}`;
      if (sender.say(ROOM, message).dropped === 0) sent.push(message);
    }
    for (const inbox of inboxes) {
      await inbox.has(sent.length);
      assertEquals(inbox.messages, sent);
    }
  });

  test("a text of the largest size arrives, and a larger one is refused before anybody hears it", async ({ nodes }) => {
    const [sender, ...inboxes] = inboxesOf(nodes);
    const neighbour = new Inbox(nodes[0].backplane);
    const { maxMessageBytes = 0 } = nodes[0].backplane;
    assert(maxMessageBytes >= LARGE);
    const tooLong = "x".repeat(maxMessageBytes - BROADCAST_OVERHEAD + 1);
    const error = assertThrows(() => sender.say(ROOM, tooLong), FrameError) as FrameError;
    assertEquals(error.code, "message-too-long");
    assertEquals(neighbour.heard, []);

    const large = "x".repeat(LARGE - BROADCAST_OVERHEAD);
    assertEquals(sender.say(ROOM, large).dropped, 0);
    for (const inbox of [...inboxes, neighbour]) {
      await inbox.has(1);
      assertEquals(inbox.messages.length, 1);
      assert(inbox.messages[0] === large);
    }
  });

  test("bytes arrive unchanged, from none up to the largest size", async ({ nodes }) => {
    const [sender, ...inboxes] = inboxesOf(nodes);
    const largest = new Uint8Array(LARGE - MESSAGE_OVERHEAD);
    for (let i = 0; i < largest.length; i++) largest[i] = i * 31 + (i >> 8);
    const all = [0, 1, 255, 70_000, largest.length].map((size) => largest.subarray(0, size));
    for (const message of all) {
      const bytes = encodeRoomMessage({ rooms: [ROOM], except: [], message });
      assertEquals(sender.publish(bytes).dropped, 0);
    }
    for (const inbox of inboxes) {
      await inbox.has(all.length);
      for (const [i, heard] of inbox.heard.entries()) {
        const bytes = "message" in heard ? heard.message : "";
        // assertEquals() takes seconds for so many bytes.
        if (typeof bytes === "string") throw new Error("bytes arrived as a text");
        assertEquals(bytes.length, all[i].length);
        assert(bytes.every((byte, at) => byte === all[i][at]));
      }
    }
  });

  test("a member of several rooms of a message hears it once, and a member of an excluded room never", async ({ nodes }) => {
    const [sender, ...inboxes] = inboxesOf(nodes);
    const room = fc.constantFrom(...ROOMS);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(room, { minLength: 1 }),
        fc.uniqueArray(room),
        fc.oneof(fc.string(), fc.uint8Array()),
        async (rooms, except, content) => {
          const before = inboxes.map(({ heard }) => heard.length);
          const message: RoomMessage = { rooms, except, message: content };
          assertEquals(sender.publish(encodeRoomMessage(message)).dropped, 0);
          const end = `end ${run++}`;
          for (const room of ROOMS) sender.say(room, end);
          for (const [i, inbox] of inboxes.entries()) {
            const count = (text: string) => inbox.messages.filter((each) => each === text).length;
            await inbox.until(() => count(end) === ROOMS.length, "the end in each room");
            const heard = inbox.heard.slice(before[i])
              .filter((each) => !("message" in each && each.message === end));
            for (const memberOf of [[A], [B], [C], [A, B], [A, C], [B, C], [A, B, C]]) {
              const isIn = (names: readonly string[]) => names.some((n) => memberOf.includes(n));
              const got = heardBy(memberOf, heard);
              assertEquals(got.length, isIn(rooms) && !isIn(except) ? 1 : 0, String(memberOf));
              for (const each of got) assertEquals("message" in each && each.message, content);
            }
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  test("a room's close arrives in order with its messages", async ({ nodes }) => {
    const [sender, ...inboxes] = inboxesOf(nodes);
    sender.say(ROOM, "before");
    const report = sender.publish(encodeRoomClose(ROOM, 4001, "signed out"));
    assertEquals([report.peers > 0, report.dropped], [true, 0]);
    sender.say(ROOM, "after");
    for (const inbox of inboxes) {
      await inbox.has(3);
      assertEquals(inbox.heard, [
        { room: ROOM, message: "before" },
        { room: ROOM, code: 4001, reason: "signed out" },
        { room: ROOM, message: "after" },
      ]);
    }
  });

  test("a message that is not for rooms is refused, and nobody hears it", async ({ nodes }) => {
    const [sender, inbox] = inboxesOf(nodes);
    const neighbour = new Inbox(nodes[0].backplane);
    const attempts: [Uint8Array, string][] = [
      [new Uint8Array(), "truncated"],
      [encodePing(new Uint8Array(8)), "wrong-tag"],
      [Uint8Array.of(0x1e, 0, 0, 9, 0, 0, 0), "truncated"],
      [Uint8Array.of(0x1e, 0, 0, 0, 0, 0, 0, 0), "trailing-bytes"],
      [Uint8Array.of(0xe2, 0, 0, 0, 0, 0, 0, 0, 0, 0), "no-target"],
      [Uint8Array.of(0xe2, 2, 0, 0, 0, 0, 0, 0, 0, 0), "unknown-flags"],
      [Uint8Array.of(0xe5, 0, 0, 0xee, 0x03, 0), "bad-close-code"],
    ];
    for (const [bytes, code] of attempts) {
      const error = assertThrows(() => sender.publish(bytes), FrameError) as FrameError;
      assertEquals(error.code, code);
    }
    sender.say(ROOM, "valid");
    await Promise.all([inbox.has(1), neighbour.has(1)]);
    assertEquals([inbox.messages, neighbour.messages], [["valid"], ["valid"]]);
  });

  test("malformed bytes from outside are dropped and reported, and do no other harm", async ({ nodes, inject, injectRaw }) => {
    const [{ backplane, events }, other] = nodes;
    const inbox = new Inbox(backplane);
    const room = [...new TextEncoder().encode(ROOM)];
    const valid = broadcastOf(room, [0x68, 0x69]);
    const malformed: [Uint8Array, string][] = [
      [broadcastOf(room, [0xff, 0xfe]), "invalid-utf8"],
      [broadcastOf([0xc0, 0x80], []), "invalid-utf8"],
      [valid.slice(0, -1), "truncated"],
      [Uint8Array.of(...valid, 0), "trailing-bytes"],
      [Uint8Array.of(0xe2, 0, 0, 0, 0, 0, 0, 0, 0, 0), "no-target"],
      [Uint8Array.of(0xe5, 0, 0, 0xee, 0x03, 0), "bad-close-code"],
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
    new Inbox(other.backplane).say(ROOM, "as if nothing had happened");
    await inbox.has(1);
    assertEquals(inbox.messages, ["as if nothing had happened"]);
  });

  test("an error of an event listener is printed, and harms nobody else", async ({ nodes, inject }) => {
    const [{ backplane, events }, other] = nodes;
    const inbox = new Inbox(backplane);
    const fault = new Error("a fault of the application");
    events.addEventListener("malformed", () => {
      throw fault;
    });
    const reported = nextEvent<MalformedEvent>(events, "malformed");
    const printed: unknown[][] = [];
    const { error } = console;
    console.error = (...values: unknown[]) => void printed.push(values);
    using _restored = { [Symbol.dispose]: () => void (console.error = error) };
    await inject(broadcastOf([0xff], []));
    await reported;
    assertEquals(printed.map((values) => values.at(-1)), [fault]);
    new Inbox(other.backplane).say(ROOM, "as if nothing had happened");
    await inbox.has(1);
  });

  test("losses in an outage under load are reported, and messages flow again after it", async (rig) => {
    const [first, , receiver] = rig.nodes;
    const [sender, inbox] = inboxesOf([first, receiver]);
    const missed = collect(receiver.events, "missed");
    const reports: PublishReport[] = [];
    let published = 0;
    const load = setInterval(() => {
      for (let i = 0; i < 5; i++) reports.push(sender.say(ROOM, String(published++)));
    }, 1);
    try {
      await inbox.has(100);
      assertEquals(missed.length, 0);
      let lost = 0;
      const last = await rig.outage(async () => {
        const before = published;
        await within("messages in the outage", until(() => published >= before + 100));
        const inOutage = reports.slice(before);
        // The broker is out of reach, or there is no other node.
        lost = inOutage.filter(({ peers }) => peers === 0).length;
        assertEquals(lost, inOutage.length);
      });
      assert(lost >= 100);
      if (kind.isBroker) assertEquals(missed.length, 1);
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
    // They are in order, none is there twice, and what is missing is one piece, that of the outage.
    let gaps = 0;
    for (const [i, number] of numbers.entries()) {
      if (i === 0) continue;
      assert(number > numbers[i - 1], `${number} after ${numbers[i - 1]}`);
      if (number > numbers[i - 1] + 1) gaps++;
    }
    assert(gaps <= 1, `${gaps} gaps`);
  });

  test("a node that has shut down sends and hears nothing, and the others go on", async ({ nodes }) => {
    const [gone, ...others] = nodes;
    const [goneInbox, a, b] = inboxesOf([gone, ...others]);
    a.say(ROOM, "before");
    await Promise.all([goneInbox.has(1), b.has(1)]);
    goneInbox.say(ROOM, "last words");
    await gone.end();
    await gone.end();
    await Promise.all([a.has(1), b.has(2)]);

    assertEquals(goneInbox.say(ROOM, "nobody hears this"), { peers: 0, dropped: 0 });
    a.say(ROOM, "after");
    await b.hears((message) => message === "after");
    assertEquals(goneInbox.messages, ["before"]);
    assertEquals(a.messages, ["last words"]);
    assertEquals(b.messages, ["before", "last words", "after"]);
    assertNotEquals(others[0].backplane.nodeId, others[1].backplane.nodeId);
  });
}
