import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Connection,
  type NetworkOptions,
  Random,
  type SimulatedHost,
  Simulation,
} from "../../testing/mod.ts";

const encoder = new TextEncoder();

interface Pair {
  simulation: Simulation;
  a: SimulatedHost;
  b: SimulatedHost;
  dialler: Connection;
  acceptor: Connection;
}

/** Two hosts and a connection between them. */
async function pair(options: NetworkOptions = {}): Promise<Pair> {
  const simulation = new Simulation({ seed: 1, ...options });
  const [a, b] = ["a", "b"].map((name) => simulation.startHost(name));
  const listener = await b.options.transport.listen({ hostname: "b", port: 9000 });
  const { signal } = new AbortController();
  const dial = a.options.transport.connect(listener.address, { signal });
  const [dialler, acceptor] = await simulation.complete(Promise.all([dial, listener.accept()]));
  return { simulation, a, b, dialler, acceptor };
}

async function readAll(connection: Connection, bufferBytes = 64): Promise<Uint8Array> {
  const bytes: number[] = [];
  const buffer = new Uint8Array(bufferBytes);
  for (let size = await connection.read(buffer); size !== null;) {
    bytes.push(...buffer.subarray(0, size));
    size = await connection.read(buffer);
  }
  return Uint8Array.from(bytes);
}

async function writeAll(connection: Connection, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/** What is true of a promise after some simulated time. */
async function after(simulation: Simulation, ms: number, work: Promise<unknown>): Promise<string> {
  let state = "waits";
  work.then(() => state = "done", () => state = "failed");
  await simulation.run(ms);
  return state;
}

Deno.test("a stream arrives whole and in order, however it is cut and however small the buffers", async () => {
  const bytes = new Random(3).bytes(5_000);
  const { simulation, dialler, acceptor } = await pair({ maxChunkBytes: 7, bufferBytes: 100 });
  const written = writeAll(dialler, bytes).then(() => dialler.closeWrite());
  const read = await simulation.complete(readAll(acceptor));
  await written;
  assertEquals(read, bytes);
});

Deno.test("a writer waits while the reader does not read", async () => {
  const { simulation, dialler, acceptor } = await pair({ bufferBytes: 100 });
  const written = writeAll(dialler, new Uint8Array(101));
  assertEquals(await after(simulation, 1_000, written), "waits");
  await simulation.complete(acceptor.read(new Uint8Array(50)));
  assertEquals(await after(simulation, 1_000, written), "done");
});

Deno.test("a partition holds bytes back until it heals, in one direction or both", async () => {
  const { simulation, dialler, acceptor } = await pair();
  simulation.network.partition(["a"], ["b"], { oneWay: true });
  await dialler.write(encoder.encode("to b"));
  await acceptor.write(encoder.encode("to a"));
  const there = acceptor.read(new Uint8Array(10));
  assertEquals(await after(simulation, 1_000, dialler.read(new Uint8Array(10))), "done");
  assertEquals(await after(simulation, 60_000, there), "waits");
  simulation.network.heal();
  assertEquals(await simulation.complete(there), 4);
});

Deno.test("a connection across a partition waits until the partition heals", async () => {
  const { simulation, a } = await pair();
  simulation.network.partition(["a"], ["b"]);
  const { signal } = new AbortController();
  const dial = a.options.transport.connect({ hostname: "b", port: 9000 }, { signal });
  assertEquals(await after(simulation, 10_000, dial), "waits");
  simulation.network.heal();
  (await simulation.complete(dial)).close();
});

Deno.test("an attempt to connect ends as soon as it is aborted", async () => {
  const simulation = new Simulation({ seed: 1 });
  const abort = new AbortController();
  const { transport } = simulation.startHost("a").options;
  const dial = transport.connect({ hostname: "nobody", port: 1 }, { signal: abort.signal });
  assertEquals(await after(simulation, 60_000, dial), "waits");
  abort.abort(new Error("enough"));
  await assertRejects(() => dial, Error, "enough");
});

Deno.test("a connection is refused where nobody listens", async () => {
  const { simulation, a } = await pair();
  const { signal } = new AbortController();
  const dial = a.options.transport.connect({ hostname: "b", port: 1 }, { signal });
  await assertRejects(() => simulation.complete(dial), Error, "refused");
});

Deno.test("a reset breaks both ends at once", async () => {
  const { simulation, dialler, acceptor } = await pair();
  const reads = [dialler, acceptor].map((end) => end.read(new Uint8Array(1)));
  assertEquals(simulation.network.reset("a", "b"), 1);
  const outcomes = await simulation.complete(Promise.allSettled(reads));
  assertEquals(outcomes.map(({ status }) => status), ["rejected", "rejected"]);
});

Deno.test("a half-open connection is dead in one direction for ever, and goes on in the other", async () => {
  const { simulation, dialler, acceptor } = await pair();
  assertEquals(simulation.network.halfOpen("a", "b"), 1);
  await dialler.write(encoder.encode("lost"));
  await acceptor.write(encoder.encode("heard"));
  simulation.network.heal();
  assertEquals(await after(simulation, 60_000, acceptor.read(new Uint8Array(10))), "waits");
  assertEquals(await simulation.complete(dialler.read(new Uint8Array(10))), 5);
});

Deno.test("a killed process is noticed at once, and a dead machine only when it answers again", async () => {
  const killed = await pair();
  killed.b.crash();
  const noticed = killed.dialler.read(new Uint8Array(1));
  assertEquals(await after(killed.simulation, 10, noticed), "failed");

  const { simulation, b, dialler } = await pair();
  b.crash({ silent: true });
  const read = dialler.read(new Uint8Array(1));
  await dialler.write(Uint8Array.of(1));
  assertEquals(await after(simulation, 60_000, read), "waits");
  simulation.startHost("b");
  await dialler.write(Uint8Array.of(2));
  assertEquals(await after(simulation, 60_000, read), "failed");
});

Deno.test("closing with unread bytes discards what the other end has not read", async () => {
  const { simulation, dialler, acceptor } = await pair();
  await acceptor.write(encoder.encode("an answer"));
  await dialler.write(encoder.encode("never read"));
  await simulation.run(100);
  acceptor.close();
  await simulation.run(100);
  await assertRejects(() => dialler.read(new Uint8Array(10)), Error, "reset");
});

Deno.test("a throttle limits the bytes per second", async () => {
  const { simulation, dialler, acceptor } = await pair({ bufferBytes: 1_000_000 });
  simulation.network.throttle("a", "b", 10_000);
  const read = readAll(acceptor);
  await writeAll(dialler, new Uint8Array(100_000));
  await dialler.closeWrite();
  assertEquals(await after(simulation, 7_000, read), "waits");
  assertEquals(await after(simulation, 4_000, read), "done");
});

Deno.test("a paused host runs nothing, and runs everything due when it wakes", async () => {
  const { simulation, a } = await pair();
  const ran: string[] = [];
  a.clock.setTimeout(() => ran.push("first"), 10);
  a.clock.setTimeout(() => ran.push("second"), 20);
  const off = a.clock.setTimeout(() => ran.push("called off"), 30);
  a.pause();
  await simulation.run(1_000);
  assertEquals(ran, []);
  a.wake();
  a.clock.clearTimeout(off);
  await simulation.run(0);
  assertEquals(ran, ["first", "second"]);
  assertEquals(a.timerCount, 0);
});

Deno.test("connections that come in while a host is paused are all accepted when it wakes", async () => {
  const simulation = new Simulation({ seed: 1 });
  const [a, b] = ["a", "b"].map((name) => simulation.startHost(name));
  const listener = await b.options.transport.listen({ hostname: "b", port: 9000 });
  let accepted = 0;
  const acceptAll = (async () => {
    for (; accepted < 4; accepted++) await listener.accept();
  })();
  const dial = () => {
    const { signal } = new AbortController();
    return a.options.transport.connect(listener.address, { signal });
  };
  b.pause();
  await simulation.complete(Promise.all([dial(), dial(), dial()]));
  assertEquals(accepted, 0);
  b.wake();
  await simulation.run(100);
  assertEquals(accepted, 3);
  await simulation.complete(dial());
  await simulation.complete(acceptAll);
});

Deno.test("a host's clock jumps forward only, and does not move other clocks", () => {
  const simulation = new Simulation({ seed: 1 });
  const [a, b] = ["a", "b"].map((name) => simulation.startHost(name));
  a.jumpClock(5_000);
  assertEquals(a.clock.now() - b.clock.now(), 5_000);
  assertThrows(() => a.jumpClock(-1), RangeError, "got -1");
});

Deno.test("both ends of an encrypted connection have the same binding, which no other listener has", async () => {
  const { dialler, acceptor } = await pair();
  assertEquals(dialler.binding?.length, 32);
  assertEquals(dialler.binding, acceptor.binding);
  const plain = await pair({ encrypted: false });
  assertEquals(plain.dialler.binding, undefined);
});

Deno.test("impossible options and hosts are refused, and the message says what was given", () => {
  const simulation = new Simulation({ seed: 1 });
  simulation.startHost("a");
  assertThrows(() => simulation.startHost("a"), RangeError, "a is already up");
  assertThrows(() => new Simulation({ seed: -1 }), RangeError, "got -1");
  assertThrows(() => new Simulation({ seed: 1, bufferBytes: 0 }), RangeError, "got 0");
  assertThrows(() => new Simulation({ seed: 1, maxChunkBytes: 1.5 }), RangeError, "got 1.5");
  assertThrows(
    () => new Simulation({ seed: 1, delay: { minMs: 2, maxMs: 1 } }),
    RangeError,
    "got 2 and 1",
  );
  assertThrows(() => simulation.network.throttle("a", "b", 0), RangeError, "got 0");
});

Deno.test("a condition that does not come true in time is an error, and so is a promise that never settles", async () => {
  const simulation = new Simulation({ seed: 1 });
  await assertRejects(
    () => simulation.runUntil(() => false, { limitMs: 5_000 }),
    Error,
    "5000 ms of simulated time",
  );
  assertEquals(simulation.elapsedMs, 5_000);
  await assertRejects(() => simulation.complete(new Promise(() => {}), { limitMs: 10 }));
  assertEquals(await simulation.runUntil(() => true), 0);
});

Deno.test("random numbers are spread evenly, and differ from seed to seed", () => {
  const random = new Random(2 ** 40);
  const counts = new Array<number>(6).fill(0);
  for (let i = 0; i < 6_000; i++) counts[random.integer(1, 6) - 1]++;
  assert(counts.every((count) => count > 850 && count < 1_150), String(counts));
  const firsts = new Set(Array.from({ length: 1_000 }, (_, seed) => new Random(seed).fraction()));
  assertEquals(firsts.size, 1_000);
  assertEquals(random.shuffled([1, 2, 3]).sort(), [1, 2, 3]);
  assertThrows(() => random.pick([]), RangeError);
});

Deno.test("a connection that is closed is neither read nor written, and one read at a time is enough", async () => {
  const { simulation, dialler } = await pair();
  const first = dialler.read(new Uint8Array(1));
  await assertRejects(() => dialler.read(new Uint8Array(1)), Error, "under way");
  dialler.close();
  await assertRejects(() => first, Error, "closed");
  await assertRejects(() => dialler.read(new Uint8Array(1)), Error, "closed");
  await assertRejects(() => dialler.write(Uint8Array.of(1)), Error, "closed");
  await assertRejects(() => dialler.closeWrite(), Error, "closed");
  await simulation.run(10);
});

Deno.test("a listener owns its address, and closes connections that nobody has accepted", async () => {
  const simulation = new Simulation({ seed: 1 });
  const [a, b] = ["a", "b"].map((name) => simulation.startHost(name));
  const address = { hostname: "b", port: 9000 };
  const listener = await b.options.transport.listen(address);
  await assertRejects(() => b.options.transport.listen(address), Error, "address in use");
  const { signal } = new AbortController();
  const dialled = await simulation.complete(a.options.transport.connect(address, { signal }));
  listener.close();
  await assertRejects(() => listener.accept(), Error, "closed");
  assertEquals(await simulation.complete(dialled.read(new Uint8Array(1))), null);
});

Deno.test("port 0 gives a free port, however often it is asked for", async () => {
  const simulation = new Simulation({ seed: 1 });
  const { transport } = simulation.startHost("a").options;
  const ports = new Set<number>();
  for (let i = 0; i < 20_000; i++) {
    const listener = await transport.listen({ hostname: "a", port: 0 });
    ports.add(listener.address.port);
    listener.close();
  }
  assertEquals([ports.size, Math.min(...ports), Math.max(...ports)], [0x4000, 0xc000, 0xffff]);
});

Deno.test("a dial that is aborted before or during its attempt ends and leaves nothing", async () => {
  const { simulation, a, b } = await pair();
  const dial = (signal: AbortSignal) =>
    a.options.transport.connect({ hostname: "b", port: 9000 }, { signal });
  await assertRejects(() => dial(AbortSignal.abort()));
  const controller = new AbortController();
  const dialling = dial(controller.signal);
  controller.abort();
  await assertRejects(() => dialling);
  await simulation.run(1_000);
  assertEquals([a.connectionCount, b.connectionCount], [1, 1]);
});

Deno.test("a host that is not paused cannot be woken, and a crashed one can neither crash nor set timers", async () => {
  const simulation = new Simulation({ seed: 1 });
  const host = simulation.startHost("a");
  host.wake();
  assertEquals(host.state, "running");
  host.crash();
  host.crash();
  host.wake();
  host.pause();
  host.clock.setTimeout(() => assert(false, "a dead host has run"), 1);
  assertEquals([host.state, host.timerCount], ["crashed", 0]);
  await simulation.run(10);
});

Deno.test("a partition of a host from itself has no effect", async () => {
  const { simulation, dialler, acceptor } = await pair();
  simulation.network.partition(["a", "b"], ["a"]);
  simulation.network.heal();
  simulation.network.partition(["a"], ["a"]);
  await writeAll(dialler, Uint8Array.of(1));
  assertEquals(await simulation.complete(acceptor.read(new Uint8Array(9))), 1);
});

Deno.test("a condition that depends on time alone is awaited until the limit", async () => {
  const simulation = new Simulation({ seed: 1 });
  const start = simulation.now;
  const isLate = () => simulation.now >= start + 5_000;
  assertEquals(await simulation.runUntil(isLate, { limitMs: 5_000 }), 5_000);
});
