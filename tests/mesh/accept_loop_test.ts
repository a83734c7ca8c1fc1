import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { acceptAll } from "../../mesh/accept_loop.ts";
import type { MeshError } from "../../mesh/mesh_error.ts";
import { TaskGroup } from "../../mesh/task_group.ts";
import type { Connection } from "../../mesh/transport.ts";
import { FakeTimers } from "../_fake_timers.ts";

/** Runs the loop over what `accept` gives or throws, one after the other, and then stops it. */
class Accepting {
  readonly timers = new FakeTimers();
  readonly refused: MeshError[] = [];
  accepted = 0;
  /** Whether connections are taken on, or closed at once. */
  isOpen = true;
  readonly #tasks = new TaskGroup(this.timers);
  readonly #coming: (Error | undefined)[] = [];
  #arrived = Promise.withResolvers<void>();
  readonly #loop: Promise<void>;

  constructor() {
    this.#loop = acceptAll({
      address: { hostname: "10.0.0.1", port: 9000 },
      accept: async () => {
        while (this.#coming.length === 0) {
          await this.#arrived.promise;
          this.#arrived = Promise.withResolvers();
        }
        const next = this.#coming.shift();
        if (next !== undefined) throw next;
        return { close: () => {} } as Connection;
      },
      close: () => {},
    }, {
      clock: this.timers,
      tasks: this.#tasks,
      onConnection: () => {
        this.accepted++;
        return this.isOpen;
      },
      onRefused: (_, error) => this.refused.push(error as MeshError),
    });
  }

  /** A connection, or an error, comes up; undefined stands for a connection. */
  async comes(...next: (Error | undefined)[]): Promise<void> {
    this.#coming.push(...next);
    this.#arrived.resolve();
    await new Promise((resolve) => setTimeout(resolve));
  }

  async stop(): Promise<void> {
    this.#tasks.stop();
    await this.comes(undefined);
    await this.#loop;
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

Deno.test("connections that end before they are accepted delay others by 20 ms at most and are not reported", async () => {
  const accepting = new Accepting();
  for (const code of ["ENOTCONN", "ECONNABORTED", "ECONNRESET", "EPROTO"]) {
    await accepting.comes(systemError(code), systemError(code), undefined);
    accepting.timers.advance(20);
    await accepting.comes();
  }
  assertEquals([accepting.accepted, accepting.refused], [4, []]);
  await accepting.stop();
});

Deno.test("thousands of failed accepts in a row do not block timers", async () => {
  const accepting = new Accepting();
  await accepting.comes(...Array.from({ length: 1_000 }, () => systemError("ENOTCONN")), undefined);
  assertEquals(accepting.accepted, 0);
  for (let turns = 0; accepting.accepted === 0; turns++) {
    assert(turns < 20);
    accepting.timers.advance(0);
    await new Promise((resolve) => setTimeout(resolve));
  }
  await accepting.stop();
});

Deno.test("connections that follow one closed at once gather for 20 ms, and are accepted together", async () => {
  const accepting = new Accepting();
  accepting.isOpen = false;
  await accepting.comes(undefined);
  assertEquals([accepting.accepted, accepting.timers.pending], [1, 1]);
  for (let turn = 1; turn <= 10; turn++) {
    await accepting.comes(undefined, undefined, systemError("ENOTCONN"));
    accepting.timers.advance(19);
    await accepting.comes(undefined);
    assertEquals(accepting.accepted, 1 + 3 * (turn - 1));
    accepting.timers.advance(1);
    await accepting.comes();
    assertEquals(accepting.accepted, 1 + 3 * turn);
  }
  await accepting.stop();
});

Deno.test("connections do not wait for others when a flood is over", async () => {
  const accepting = new Accepting();
  accepting.isOpen = false;
  await accepting.comes(undefined);
  accepting.isOpen = true;
  for (let turn = 0; turn < 11; turn++) {
    await accepting.comes(undefined);
    accepting.timers.advance(20);
    await accepting.comes();
  }
  assertEquals([accepting.accepted, accepting.timers.pending], [12, 0]);
  await accepting.comes(undefined);
  assertEquals([accepting.accepted, accepting.timers.pending], [13, 0]);
  await accepting.stop();
});

Deno.test("a thousand connections closed at once leave timers their turn", async () => {
  const accepting = new Accepting();
  accepting.isOpen = false;
  await accepting.comes(...Array.from({ length: 1_000 }, () => undefined));
  for (let turns = 0; accepting.accepted < 1_000; turns++) {
    assert(accepting.accepted <= 1 + 64 * (turns + 1));
    assert(turns < 20);
    accepting.timers.advance(0);
    await new Promise((resolve) => setTimeout(resolve));
  }
  await accepting.stop();
});

Deno.test("a lack of descriptors pauses accepting, and is reported with its cause once per episode", async () => {
  const accepting = new Accepting();
  const { timers, refused } = accepting;
  const cause = systemError("EMFILE");
  await accepting.comes(cause);
  for (let i = 0; i < 50; i++) {
    // Now and then a descriptor becomes free.
    await accepting.comes(i % 5 === 0 ? undefined : systemError("EMFILE"));
    timers.advance(100);
    await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals([accepting.accepted, refused.length], [10, 1]);
  assertEquals(refused[0].code, "accept-failed");
  assertStrictEquals(refused[0].cause, cause);

  timers.advance(10_100);
  await accepting.comes(systemError("EMFILE"));
  timers.advance(100);
  await accepting.comes();
  assertEquals(refused.length, 2);
  await accepting.stop();
  assertEquals(timers.pending, 0);
});

Deno.test("an unknown error also pauses accepting, and is reported", async () => {
  const accepting = new Accepting();
  await accepting.comes(new Error("out of order"), undefined);
  assertEquals(accepting.accepted, 0);
  accepting.timers.advance(100);
  await accepting.comes();
  assertEquals([accepting.accepted, accepting.refused.length], [1, 1]);
  await accepting.stop();
});
