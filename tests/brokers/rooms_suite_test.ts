/**
 * `Rooms` over every backplane: `_rigs.ts` lists them. NATS and Redis are skipped where they are not
 * installed, except where `CI` is `true`: there the tests fail.
 */

import { assert, assertEquals } from "@std/assert";
import { Rooms } from "../../rooms/mod.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { collect } from "./_inbox.ts";
import { type Rig, type RigKind, RIGS, ROOMS } from "./_rigs.ts";

const [A, B, ANN] = ROOMS;

/** A socket that tells when it has heard something, or was closed. */
class Member extends FakeSocket {
  #news = Promise.withResolvers<void>();

  constructor() {
    super();
    this.onSend = () => this.#news.resolve();
  }

  override close(code?: number, reason?: string): void {
    super.close(code, reason);
    this.#news.resolve();
  }

  /** Resolves when it has heard a message. */
  async hears(message: string): Promise<void> {
    await this.#until(() => this.heard.includes(message), message);
  }

  async isClosed(): Promise<void> {
    await this.#until(() => this.closeCalls.length > 0, "the close");
  }

  #until(condition: () => boolean, what: string): Promise<void> {
    const wait = async () => {
      while (!condition()) {
        await this.#news.promise;
        this.#news = Promise.withResolvers();
      }
    };
    return within(what, wait());
  }
}

/** A member of some rooms of `rooms`. */
function member(rooms: Rooms<Member>, ...names: string[]): Member {
  const socket = new Member();
  for (const name of names) rooms.join(socket, name);
  return socket;
}

for (const kind of RIGS) {
  const test = (
    name: string,
    run: (all: Rooms<Member>[], rig: Rig, kind: RigKind) => Promise<void>,
  ) =>
    Deno.test({
      name: `${kind.name}: ${name}`,
      ignore: kind.ignore,
      async fn() {
        await using rig = await kind.start();
        const all = rig.nodes.map(({ backplane }) => new Rooms<Member>({ backplane }));
        await run(all, rig, kind);
      },
    });

  test("members of a room hear each other on all nodes, and nobody else hears them", async (all) => {
    const members = all.map((rooms) => member(rooms, A));
    const stranger = member(all[2], B);
    const { sent, dropped } = all[0].broadcast(A, "hello", { except: members[0] });
    assertEquals([sent, dropped], [0, 0]);
    for (const name of [A, B]) all[0].broadcast(name, "end");
    for (const each of [...members, stranger]) await each.hears("end");
    assertEquals(members.map(({ heard }) => heard), [
      ["end"],
      ["hello", "end"],
      ["hello", "end"],
    ]);
    assertEquals(stranger.heard, ["end"]);
  });

  test("Rooms on one node hear each other", async (all, { nodes }) => {
    const neighbours = new Rooms<Member>({ backplane: nodes[0].backplane });
    const [here, there] = [member(neighbours, A), member(all[1], A)];
    all[0].broadcast(A, "from here");
    all[1].broadcast(A, "from there");
    await Promise.all([here.hears("from there"), there.hears("from here")]);
    assertEquals(here.heard, ["from here", "from there"]);
    neighbours[Symbol.dispose]();
    all[1].broadcast(A, "after");
    const own = member(all[0], A);
    all[1].broadcast(A, "end");
    await own.hears("end");
    assertEquals(here.heard, ["from here", "from there"]);
  });

  test("a member of several of a broadcast's rooms hears it once, on every node", async (all) => {
    const members = all.flatMap((
      rooms,
    ) => [member(rooms, A), member(rooms, B), member(rooms, A, B)]);
    const { sent } = all[0].broadcast([A, B], "once");
    assertEquals(sent, 3);
    for (const name of [A, B]) all[0].broadcast(name, `end of ${name}`);
    for (const [i, each] of members.entries()) {
      if (i % 3 !== 1) await each.hears(`end of ${A}`);
      if (i % 3 !== 0) await each.hears(`end of ${B}`);
      assertEquals(each.heard.filter((message) => message === "once").length, 1);
    }
  });

  test("an excluded room leaves out all its members, whichever node they are on", async (all) => {
    const annsDevices = all.map((rooms) => member(rooms, A, B, ANN));
    const others = all.map((rooms) => member(rooms, A, B));
    all[0].broadcast(A, "not for Ann", { except: ANN });
    all[1].broadcast([A, B], "nor this", { except: [ANN] });
    all[0].broadcast(A, "end of the first");
    for (const name of [A, B]) all[1].broadcast(name, `end of ${name}`);
    for (const each of [...annsDevices, ...others]) {
      for (const end of ["end of the first", `end of ${A}`, `end of ${B}`]) await each.hears(end);
    }
    for (const { heard } of annsDevices) assertEquals(heard.length, 3);
    for (const { heard } of others) {
      for (const text of ["not for Ann", "nor this"]) {
        assertEquals(heard.filter((message) => message === text).length, 1);
      }
    }
  });

  test("bytes arrive as bytes, unchanged", async (all) => {
    const [, there] = [member(all[0], A), member(all[1], A)];
    const sizes = [0, 1, 126, 65_536];
    for (const size of sizes) {
      const bytes = Uint8Array.from({ length: size + 2 }, (_, i) => i * 7);
      // A view of a part: only that part travels, as it is now.
      all[0].broadcast(A, bytes.subarray(1, 1 + size));
      bytes.fill(0);
    }
    all[0].broadcast(A, "end");
    await there.hears("end");
    assertEquals(there.heard.length, sizes.length + 1);
    for (const [i, size] of sizes.entries()) {
      const expected = Uint8Array.from({ length: size }, (_, i) => (i + 1) * 7);
      assertEquals(there.heard[i], expected);
    }
  });

  test("disconnect closes the members of a room on every node", async (all) => {
    const anns = all.map((rooms) => member(rooms, ANN));
    const bob = member(all[2], A);
    const report = all[1].disconnect(ANN, { code: 4001, reason: "signed out" });
    assertEquals(report.dropped, 0);
    for (const ann of anns) {
      await ann.isClosed();
      assertEquals(ann.closeCalls, [{ code: 4001, reason: "signed out" }]);
    }
    all[1].broadcast(A, "still here");
    await bob.hears("still here");
    assertEquals(bob.closeCalls, []);
  });

  if (kind.isBroker) {
    test("Rooms reports after an outage that it may have missed messages", async (all, rig) => {
      const missed = all.map((rooms) => collect(rooms, "missed"));
      await rig.outage(() => Promise.resolve());
      assertEquals(missed.map((events) => events.length), [1, 1, 1]);
      assert(all.every(({ totals }) => totals.missed === 1));
    });
  }
}
