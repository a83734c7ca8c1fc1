/** Links that are slow, and links that have died: the heartbeat must tell one from the other. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { decodePing, encodeRoomBroadcast, FrameDecoder, PING } from "../../codec/mod.ts";
import { type Connection, type Mesh, type PeerDownEvent, startMesh } from "../../mesh/mod.ts";
import { newCounters } from "../../mesh/totals.ts";
import { Link } from "../../mesh/link.ts";
import { type SimulatedHost, Simulation } from "../../testing/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { COOKIE } from "./_cluster.ts";

const INTERVAL = 10_000;
const TIMEOUT = 5_000;

/** A timer may be late by a fifth of the timeout before the node blames itself. */
const LATE = TIMEOUT / 5;

interface Pair {
  simulation: Simulation;
  nodes: readonly Mesh[];
  hosts: readonly SimulatedHost[];
  downs: { at: number; event: PeerDownEvent }[];
}

/** Two linked nodes with the default times, on a network whose buffers hold `bufferBytes`. */
async function linkedPair(options: { seed: number; bufferBytes?: number }): Promise<Pair> {
  const simulation = new Simulation({ maxChunkBytes: 1_448, bufferBytes: 200_000, ...options });
  const hosts = ["10.0.0.1", "10.0.0.2"].map((hostname) => simulation.startHost(hostname));
  const nodes: Mesh[] = [];
  const downs: Pair["downs"] = [];
  for (const host of hosts) {
    const starting = startMesh({
      name: `n@${host.hostname}:9000`,
      cookie: COOKIE,
      forgetAfterMs: 1,
      ...host.options,
    });
    const mesh = await simulation.complete(starting);
    mesh.addEventListener("peerdown", (event) => downs.push({ at: simulation.now, event }));
    nodes.push(mesh);
  }
  await simulation.complete(nodes[0].connect(nodes[1].name));
  return { simulation, nodes, hosts, downs };
}

/** Publishes 1 kB messages, `bytesPerSecond` in all. */
function offer(simulation: Simulation, mesh: Mesh, bytesPerSecond: number): void {
  const message = encodeRoomBroadcast("r", "m".repeat(1_000));
  const next = () => {
    if (mesh.peers.length > 0) mesh.publish(message);
    simulation.after(1_000_000 / bytesPerSecond, next);
  };
  next();
}

for (const kbits of [64, 200]) {
  for (const ways of ["one way", "both ways"]) {
    Deno.test(`a link of ${kbits} kbit/s on which 20 kB/s are offered ${ways} stays up`, async () => {
      const { simulation, nodes, hosts: [a, b], downs } = await linkedPair({ seed: kbits });
      simulation.network.throttle(a.hostname, b.hostname, 125 * kbits);
      simulation.network.throttle(b.hostname, a.hostname, 125 * kbits);
      offer(simulation, nodes[0], 20_000);
      if (ways === "both ways") offer(simulation, nodes[1], 20_000);
      await simulation.run(10 * 60_000);
      assertEquals(downs.map(({ event }) => event.reason), []);
      assertEquals(nodes.map(({ peers }) => peers.length), [1, 1]);
    });
  }
}

Deno.test("a message of 16 MiB crosses a link of 1 Mbit/s, which takes over two minutes", async () => {
  const { simulation, nodes, hosts: [a, b], downs } = await linkedPair({ seed: 1 });
  simulation.network.throttle(a.hostname, b.hostname, 125_000);
  let heard = 0;
  nodes[1].subscribe((message) => heard += message.length);
  const message = encodeRoomBroadcast("r", "m".repeat(16 * 1024 * 1024 - 8));
  nodes[0].publish(message);
  await simulation.run(60_000);
  assertEquals([heard, downs.length], [0, 0]);
  await simulation.run(120_000);
  assertEquals([heard, downs.length], [message.length, 0]);
});

Deno.test("property: both ends give up a link within an interval and a timeout of a cut, whatever they send", async () => {
  const slowest: number[] = [];
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(),
        bufferBytes: fc.constantFrom(20_000, 200_000, 4_000_000),
        cutAfterMs: fc.integer({ min: 1, max: 30_000 }),
        offered: fc.constantFrom(0, 1_000, 20_000, 200_000),
        carried: fc.constantFrom(2_000, 8_000, 1_000_000),
        answered: fc.boolean(),
        oneWay: fc.boolean(),
      }),
      async ({ seed, bufferBytes, cutAfterMs, offered, carried, answered, oneWay }) => {
        const { simulation, nodes, hosts: [a, b], downs } = await linkedPair({ seed, bufferBytes });
        simulation.network.throttle(a.hostname, b.hostname, carried);
        simulation.network.throttle(b.hostname, a.hostname, carried);
        if (offered > 0) offer(simulation, nodes[0], offered);
        // With the other way open and full, its own ping waits in the queue of the end that hears
        // nothing, and so does the bound.
        if (answered && offered > 0 && !oneWay) offer(simulation, nodes[1], offered);
        await simulation.run(cutAfterMs);
        const cutAt = simulation.now;
        simulation.network.partition([a.hostname], [b.hostname], { oneWay });
        await simulation.run(INTERVAL + TIMEOUT + LATE);
        // If one way still works, the end that hears nothing closes, and the other learns of that
        // after what travels before it.
        assert(oneWay ? downs.length >= 1 : downs.length === 2, `${downs.length} ends noticed`);
        assert(downs.every(({ event }) => event.reason !== "failed"));
        slowest.push(Math.max(...downs.map(({ at }) => at - cutAt)));
      },
    ),
    { numRuns: 60 },
  );
  // The bound is not far from what happens.
  assert(Math.max(...slowest) > INTERVAL, `${Math.max(...slowest)} ms at most`);
});

/** A connection whose writes end when the test says so. */
class ManualConnection implements Connection {
  readonly remoteAddress = { hostname: "10.0.0.9", port: 1 };
  readonly written: Uint8Array[] = [];
  #writing: PromiseWithResolvers<number> | undefined;
  readonly #end = Promise.withResolvers<null>();

  read(): Promise<null> {
    return this.#end.promise;
  }

  write(bytes: Uint8Array): Promise<number> {
    this.written.push(bytes.slice());
    this.#writing = Promise.withResolvers();
    return this.#writing.promise;
  }

  /** Ends the write under way, of which `size` bytes have been taken. */
  async take(size = Infinity): Promise<void> {
    this.#writing?.resolve(Math.min(size, this.written.at(-1)?.length ?? 0));
    await new Promise((resolve) => setTimeout(resolve));
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#end.resolve(null);
    this.#writing?.reject(new Error("closed"));
  }
}

Deno.test("bytes that are written before a waiting ping give it more time, and bytes after it do not", async () => {
  const timers = new FakeTimers();
  const connection = new ManualConnection();
  let reason: string | undefined;
  const link = new Link({
    connection,
    peer: { name: "z@h:1", incarnation: "1", features: 0 },
    direction: "outgoing",
    limits: {
      maxMessageBytes: 1e6,
      maxQueuedBytes: 1e6,
      heartbeatIntervalMs: INTERVAL,
      heartbeatTimeoutMs: TIMEOUT,
    },
    clock: timers,
    totals: newCounters(),
    listener: {
      onBroadcast: () => {},
      onPeerList: () => {},
      onMalformed: () => {},
      onOverflow: () => {},
      onInterest: () => {},
      onMissed: () => {},
      onUnsupported: () => {},
      onDown: (_, why) => reason = why,
    },
  });
  const message = encodeRoomBroadcast("r", "m".repeat(1_000));
  link.publish(message);
  await connection.take(0);
  timers.advance(INTERVAL); // The ping is due, and waits until the message has been written.
  for (let taken = 0; taken < 10; taken++) {
    timers.advance(TIMEOUT - 1);
    await connection.take(100);
    assertEquals(reason, undefined);
  }
  await connection.take();
  const [ping] = new FrameDecoder().push(connection.written.at(-1) ?? new Uint8Array());
  assertEquals(ping[0], PING);
  decodePing(ping);
  await connection.take();
  // The ping is on its way. A system's buffer takes more, even if the path is cut.
  link.publish(message);
  timers.advance(TIMEOUT - 1);
  await connection.take();
  link.publish(message);
  await connection.take();
  timers.advance(1);
  assertEquals(reason, "heartbeat");
  await link.ended;
});
