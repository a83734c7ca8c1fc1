import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import {
  type Address,
  type Connection,
  type Listener,
  MeshError,
  type MeshErrorCode,
  startMesh,
  type Transport,
} from "../../mod.ts";
import { PendingHandshake, PendingHandshakes } from "../../mesh/pending_handshakes.ts";
import { FakeTimers } from "../_fake_timers.ts";

const TIMEOUT = 5_000;
const ADDRESS = { hostname: "10.0.0.9", port: 9000 };

/** A connection on which nothing ever comes, until it is closed. */
class SilentConnection implements Connection {
  readonly remoteAddress = ADDRESS;
  closed = 0;
  readonly #ended = Promise.withResolvers<null>();

  read(): Promise<null> {
    return this.#ended.promise;
  }

  write(bytes: Uint8Array): Promise<number> {
    return Promise.resolve(bytes.length);
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.closed++;
    this.#ended.reject(new Error("the connection is closed"));
  }
}

/** A handshake that waits for the other side, and what has come of it. */
interface Waiting {
  readonly handshake: PendingHandshake;
  readonly connection: SilentConnection;
  /** The code it was refused with. */
  readonly outcome: Promise<MeshErrorCode>;
}

function setUp({ maxIncoming = 100 } = {}): {
  timers: FakeTimers;
  pending: PendingHandshakes;
  wait(options?: {
    incoming?: boolean;
    name?: string;
    incarnation?: string;
    from?: string;
    isKnown?: boolean;
    hasSpoken?: boolean;
  }): Waiting;
} {
  const timers = new FakeTimers();
  const pending = new PendingHandshakes({ clock: timers, timeoutMs: TIMEOUT, maxIncoming });
  return {
    timers,
    pending,
    wait({ incoming = false, name, incarnation = "1", from, isKnown, hasSpoken = false } = {}) {
      const address = from === undefined ? ADDRESS : { hostname: from, port: 1 };
      const handshake = new PendingHandshake(address, incoming, isKnown);
      handshake.hasSpoken = hasSpoken;
      const connection = new SilentConnection();
      handshake.guard(connection);
      if (name !== undefined) handshake.peer = { name, incarnation, features: 0 };
      return {
        handshake,
        connection,
        outcome: codeOf(pending.run(handshake, () => connection.read())),
      };
    },
  };
}

/** The code of the `MeshError` that a promise rejects with. */
async function codeOf(promise: Promise<unknown>): Promise<MeshErrorCode> {
  try {
    await promise;
  } catch (error) {
    assertInstanceOf(error, MeshError);
    return (error as MeshError).code;
  }
  throw new Error("it did not reject");
}

// One handshake.

Deno.test("a handshake resolves with the result of its work, and leaves no timer", async () => {
  const { timers, pending } = setUp();
  const handshake = new PendingHandshake(ADDRESS, false);
  const running = pending.run(handshake, () => Promise.resolve("linked"));
  assertEquals(timers.pending, 1);
  assertEquals(await running, "linked");
  assertEquals(timers.pending, 0);
  await handshake.over;
  assertEquals(handshake.signal.aborted, false);
});

Deno.test("a handshake rejects with the error of its work, and leaves no timer", async () => {
  const { timers, pending } = setUp();
  const failure = new Error("unreachable");
  for (
    const work of [
      () => Promise.reject(failure),
      (): Promise<never> => {
        throw failure;
      },
    ]
  ) {
    const handshake = new PendingHandshake(ADDRESS, false);
    const error = await pending.run(handshake, work).catch((error: unknown) => error);
    assertStrictEquals(error, failure);
    await handshake.over;
    assertEquals(timers.pending, 0);
  }
});

Deno.test("a handshake that takes too long is cancelled, and its connection is closed", async () => {
  const { timers, wait } = setUp();
  const { handshake, connection, outcome } = wait();
  timers.advance(TIMEOUT - 1);
  assertEquals([handshake.signal.aborted, connection.closed], [false, 0]);

  timers.advance(1);
  assertEquals([handshake.signal.aborted, connection.closed], [true, 1]);
  assertEquals(await outcome, "timeout");
  assertEquals(timers.pending, 0);
});

Deno.test("a handshake that ends in time is not affected by the limit later", async () => {
  const { timers, pending } = setUp();
  const connection = new SilentConnection();
  const handshake = new PendingHandshake(ADDRESS, true);
  handshake.guard(connection);
  await pending.run(handshake, () => Promise.resolve());
  timers.advance(10 * TIMEOUT);
  pending.cancelAll("shut-down", "");
  assertEquals([handshake.signal.aborted, connection.closed], [false, 0]);
});

Deno.test("each handshake has its own time", async () => {
  const { timers, wait } = setUp();
  const first = wait();
  timers.advance(TIMEOUT / 2);
  const second = wait();
  timers.advance(TIMEOUT / 2);
  assertEquals([first.connection.closed, second.connection.closed], [1, 0]);
  timers.advance(TIMEOUT / 2);
  assertEquals(await Promise.all([first.outcome, second.outcome]), ["timeout", "timeout"]);
  assertEquals(timers.pending, 0);
});

Deno.test("a cancelled handshake reports the reason, and not an error that the cancelling caused", async () => {
  const { pending } = setUp();
  const handshake = new PendingHandshake({ hostname: "::1", port: 9000 }, false);
  const connection = new SilentConnection();
  handshake.guard(connection);
  const running = pending.run(handshake, () => connection.read());
  handshake.cancel("shut-down", "the node has been shut down");

  const error = await running.catch((error: unknown) => error);
  assertInstanceOf(error, MeshError);
  const { code, peer, message } = error as MeshError;
  assertEquals([code, peer, message], ["shut-down", "[::1]:9000", "the node has been shut down"]);
});

Deno.test("a handshake is cancelled for the first reason", async () => {
  const { timers, wait } = setUp();
  const { handshake, connection, outcome } = wait();
  handshake.cancel("shut-down", "first");
  handshake.cancel("too-many-handshakes", "second");
  timers.advance(TIMEOUT);
  assertEquals(await outcome, "shut-down");
  assertEquals(connection.closed, 1);
});

Deno.test("a connection that opens too late is closed at once", () => {
  const handshake = new PendingHandshake(ADDRESS, false);
  handshake.cancel("timeout", "too late");
  const connection = new SilentConnection();
  connection.read().catch(() => {});
  handshake.guard(connection);
  assertEquals(connection.closed, 1);
});

// Many pending.

Deno.test("an incoming handshake beyond the limit pushes out the oldest at once", async () => {
  const { timers, wait } = setUp({ maxIncoming: 3 });
  const waiting = [1, 2, 3, 4, 5].map(() => wait({ incoming: true }));
  assertEquals(waiting.map(({ connection }) => connection.closed), [1, 1, 0, 0, 0]);
  assertEquals(timers.pending, 5, "the work of the first two has not noticed yet");
  assertEquals(await waiting[0].outcome, "too-many-handshakes");
  assertEquals(await waiting[1].outcome, "too-many-handshakes");
  assertEquals(timers.pending, 3);

  timers.advance(TIMEOUT);
  for (const { outcome } of waiting.slice(2)) assertEquals(await outcome, "timeout");
});

/** Fills the places as told, has one more connection come in, and gives who has been pushed out. */
async function pushedOut(
  places: { from: string; isKnown?: boolean; hasSpoken?: boolean }[],
): Promise<number[]> {
  const { pending, wait } = setUp({ maxIncoming: places.length });
  const waiting = places.map((place) => wait({ incoming: true, ...place }));
  const last = wait({ incoming: true, from: "10.9.9.9", isKnown: true });
  const out = waiting.flatMap(({ connection }, i) => connection.closed > 0 ? [i] : []);
  assertEquals(last.connection.closed, 0);
  pending.cancelAll("shut-down", "");
  await Promise.all([...waiting, last].map(({ outcome }) => outcome));
  return out;
}

Deno.test("a connection that has sent nothing is pushed out before one that has, even if that one is older", async () => {
  const spoken = { from: "10.0.0.1", hasSpoken: true };
  assertEquals(await pushedOut([spoken, { from: "10.0.0.2" }, { from: "10.0.0.3" }]), [1]);
});

Deno.test("an unknown address that holds more than a quarter of the places gives up one, silent or not", async () => {
  const silent = Array.from({ length: 5 }, (_, i) => ({ from: `10.0.1.${i}` }));
  const crowd = Array.from({ length: 3 }, () => ({ from: "10.0.0.1", hasSpoken: true }));
  assertEquals(await pushedOut([...silent, ...crowd]), [5]);
  // Of its own, those that have sent nothing go first.
  assertEquals(await pushedOut([...silent, ...crowd.slice(1), { from: "10.0.0.1" }]), [7]);
  // A quarter of the places is no crowd.
  assertEquals(await pushedOut([...silent, { from: "10.0.1.9" }, ...crowd.slice(1)]), [0]);
});

Deno.test("hosts of known nodes are pushed out last, however many places they hold", async () => {
  const known = { from: "10.0.0.1", isKnown: true };
  const stranger = { from: "10.0.0.2", hasSpoken: true };
  assertEquals(await pushedOut([known, known, known, stranger]), [3]);
  assertEquals(await pushedOut([{ ...known, hasSpoken: true }, known, known]), [1]);
});

Deno.test("outgoing handshakes are not limited, and neither push out nor are pushed out", async () => {
  const { pending, wait } = setUp({ maxIncoming: 1 });
  const outgoing = [1, 2, 3].map(() => wait());
  const incoming = wait({ incoming: true });
  outgoing.push(...[4, 5, 6].map(() => wait()));
  assertEquals(incoming.connection.closed, 0);

  const next = wait({ incoming: true });
  assertEquals([incoming.connection.closed, next.connection.closed], [1, 0]);
  assertEquals(outgoing.map(({ connection }) => connection.closed), [0, 0, 0, 0, 0, 0]);

  pending.cancelAll("shut-down", "");
  await Promise.all([incoming, next, ...outgoing].map(({ outcome }) => outcome));
});

Deno.test("a handshake that is over makes room, so none is pushed out", async () => {
  const { pending, wait } = setUp({ maxIncoming: 2 });
  const staying = wait({ incoming: true });
  for (let i = 0; i < 10; i++) {
    await pending.run(new PendingHandshake(ADDRESS, true), () => Promise.resolve());
    assertEquals(
      await codeOf(pending.run(new PendingHandshake(ADDRESS, true), refuse)),
      "wrong-cookie",
    );
  }
  assertEquals(staying.connection.closed, 0);
  staying.handshake.cancel("shut-down", "");
  await staying.outcome;
});

function refuse(): Promise<never> {
  return Promise.reject(new MeshError("wrong-cookie", "10.0.0.9:9000", "wrong cookie"));
}

Deno.test("all pending handshakes can be cancelled at once", async () => {
  const { timers, pending, wait } = setUp();
  const waiting = [wait(), wait({ incoming: true }), wait()];
  pending.cancelAll("shut-down", "the node has been shut down");
  assertEquals(waiting.map(({ connection }) => connection.closed), [1, 1, 1]);
  const outcomes = await Promise.all(waiting.map(({ outcome }) => outcome));
  assertEquals(outcomes, ["shut-down", "shut-down", "shut-down"]);
  assertEquals(timers.pending, 0);
});

// Who waits for whom.

Deno.test("a wait for the handshakes with a node waits for all of them, and for no others", async () => {
  const { pending, wait } = setUp();
  const other = wait({ name: "b@h:1" });
  const nameless = wait();
  const concerned = [wait({ name: "a@h:1" }), wait({ name: "a@h:1", incoming: true })];
  let over = 0;
  for (const { handshake } of concerned) void handshake.over.then(() => over++);

  const settled = pending.settled("a@h:1").then(() => over);
  for (const { handshake, outcome } of concerned) {
    handshake.cancel("closed", "");
    await outcome;
  }
  assertEquals(await settled, 2);

  for (const { handshake, outcome } of [other, nameless]) {
    handshake.cancel("closed", "");
    await outcome;
  }
});

Deno.test("a wait for the handshakes with a node ends at once if there are none", async () => {
  const { pending, wait } = setUp();
  await pending.settled("a@h:1");
  const { handshake, outcome } = wait({ name: "b@h:1" });
  await pending.settled("a@h:1");
  handshake.cancel("closed", "");
  await outcome;
  await pending.settled("b@h:1");
});

Deno.test("a handshake counts as over only when its work is done", async () => {
  const { pending } = setUp();
  const order: string[] = [];
  const handshake = new PendingHandshake(ADDRESS, true);
  handshake.peer = { name: "a@h:1", incarnation: "1", features: 0 };
  const { promise, resolve } = Promise.withResolvers<void>();
  const running = pending.run(handshake, async () => {
    await promise;
    order.push("link in place");
  });
  const settled = pending.settled("a@h:1").then(() => order.push("settled"));
  resolve();
  await Promise.all([running, settled]);
  assertEquals(order, ["link in place", "settled"]);
});

Deno.test("a node is committed only to a dial under way, to one incarnation of one name", async () => {
  const { pending, wait } = setUp();
  const incoming = wait({ incoming: true, name: "a@h:1" });
  const nameless = wait();
  const identity = { name: "a@h:1", incarnation: "1", features: 0 };
  assertEquals(pending.committedTo(identity), undefined);

  const dial = wait({ name: "a@h:1" });
  assertEquals(pending.committedTo(identity), dial.handshake);
  assertEquals(pending.committedTo({ ...identity, incarnation: "2" }), undefined);
  assertEquals(pending.committedTo({ ...identity, name: "b@h:1" }), undefined);

  dial.handshake.cancel("closed", "");
  await dial.outcome;
  assertEquals(pending.committedTo(identity), undefined);

  pending.cancelAll("shut-down", "");
  await Promise.all([incoming.outcome, nameless.outcome]);
});

// Any course of events.

const event = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("incoming" as const, "outgoing" as const) },
  { weight: 2, arbitrary: fc.nat({ max: 9 }).map((cancelled) => ({ cancelled })) },
  { weight: 2, arbitrary: fc.nat({ max: 2 * TIMEOUT }).map((passed) => ({ passed })) },
  { weight: 1, arbitrary: fc.constant("all off" as const) },
);

Deno.test("property: the youngest incoming handshakes stay, up to the limit; all end with a reason, and no timer is left", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(event),
      async (maxIncoming, events) => {
        const { timers, pending, wait } = setUp({ maxIncoming });
        let open: { waiting: Waiting; incoming: boolean; until: number }[] = [];
        const ended: { waiting: Waiting; code: MeshErrorCode }[] = [];
        const end = (code: MeshErrorCode, which: (candidate: typeof open[number]) => boolean) => {
          ended.push(...open.filter(which).map(({ waiting }) => ({ waiting, code })));
          open = open.filter((candidate) => !which(candidate));
        };

        for (const event of events) {
          if (event === "incoming" || event === "outgoing") {
            const incoming = event === "incoming";
            const others = open.filter((candidate) => candidate.incoming);
            if (incoming && others.length === maxIncoming) {
              end("too-many-handshakes", (candidate) => candidate === others[0]);
            }
            open.push({ waiting: wait({ incoming }), incoming, until: timers.now() + TIMEOUT });
          } else if (event === "all off") {
            pending.cancelAll("shut-down", "");
            end("shut-down", () => true);
          } else if ("passed" in event) {
            timers.advance(event.passed);
            end("timeout", ({ until }) => until <= timers.now());
          } else {
            const chosen = open[event.cancelled];
            chosen?.waiting.handshake.cancel("closed", "");
            end("closed", (candidate) => candidate === chosen);
          }
          assert(open.every(({ waiting }) => waiting.connection.closed === 0));
          assert(ended.every(({ waiting }) => waiting.connection.closed === 1));
          for (const { waiting, code } of ended) assertEquals(await waiting.outcome, code);
          assertEquals(timers.pending, open.length);
        }

        pending.cancelAll("shut-down", "");
        for (const { waiting } of open) assertEquals(await waiting.outcome, "shut-down");
        assertEquals(timers.pending, 0);
      },
    ),
  );
});

// In a node.

/** A network to which nobody else is connected. A dial ends some time after it is called off. */
class LoneTransport implements Transport {
  readonly dialled: string[] = [];

  listen(): Promise<Listener> {
    const { promise, reject } = Promise.withResolvers<Connection>();
    const close = () => reject(new Error("the listener is closed"));
    return Promise.resolve({ address: ADDRESS, accept: () => promise, close });
  }

  connect({ hostname }: Address, { signal }: { signal: AbortSignal }): Promise<Connection> {
    this.dialled.push(hostname);
    const { promise, reject } = Promise.withResolvers<Connection>();
    signal.addEventListener("abort", () => setTimeout(() => reject(signal.reason), 0));
    return promise;
  }
}

const NODE = { name: "a@10.0.0.9:9000", cookie: "0123456789abcdef" };

Deno.test("shutdown also waits for the dials of the application, and leaves none of their timers", async () => {
  const timers = new FakeTimers();
  const transport = new LoneTransport();
  const mesh = await startMesh({ ...NODE, transport, clock: timers });
  const dial = codeOf(mesh.connect("nobody"));
  await mesh.shutdown();
  assertEquals(timers.pending, 0);
  assertEquals(await dial, "shut-down");
});

Deno.test("a dial of the application that took the last place frees it for a known node", async () => {
  const timers = new FakeTimers();
  const transport = new LoneTransport();
  const asked = Promise.withResolvers<void>();
  const seeds = () => {
    asked.resolve();
    return ["seed"];
  };
  const limits = { maxPeers: 1, handshakeTimeoutMs: TIMEOUT / 2 };
  await using mesh = await startMesh({ ...NODE, ...limits, seeds, transport, clock: timers });
  const dial = codeOf(mesh.connect("nobody"));
  timers.advance(0);
  await asked.promise;

  timers.advance(TIMEOUT / 2);
  assertEquals(await dial, "timeout");
  assertEquals(transport.dialled, ["nobody", "seed"]);
});

Deno.test("a handshake stops waiting when it is cancelled", async () => {
  const handshake = new PendingHandshake(ADDRESS, true);
  const waiting = handshake.unlessCancelled(new Promise(() => {})).catch((error) => error);
  handshake.cancel("shut-down", "it is over");
  const error = await waiting;
  assertInstanceOf(error, MeshError);
  assertEquals((error as MeshError).code, "shut-down");
  // And does not begin to.
  const late = await handshake.unlessCancelled(Promise.resolve()).catch((error) => error);
  assertStrictEquals(late, error);
});
