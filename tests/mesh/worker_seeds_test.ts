import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Address, type Mesh, MeshError, type SeedsRequest, workerSeeds } from "../../mod.ts";
import { Simulation } from "../../testing/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { collect, fullyLinked, linkedTo, startNode } from "./_cluster.ts";
import { FakeChannels } from "./_fake_channels.ts";
import { SimulatedWorker } from "./_simulated_worker.ts";

const HOST = "10.0.0.1";
const NAME = `chat@${HOST}:9000`;

/** A machine with one process. */
class Machine {
  readonly simulation = new Simulation({ seed: 1 });
  readonly host = this.simulation.startHost(HOST);
  readonly channels = new FakeChannels();
  readonly nodes: Mesh[] = [];

  /** A worker in this process, or in another one of this machine. */
  worker(channels: FakeChannels = this.channels): SimulatedWorker {
    return new SimulatedWorker(this.host.options, channels);
  }

  /** Starts a node in a worker of its own. */
  async start(options: Parameters<SimulatedWorker["start"]>[1] = {}, name = NAME): Promise<Mesh> {
    const node = await this.simulation.complete(this.worker().start(name, options));
    this.nodes.push(node);
    return node;
  }

  /** A node on a machine of its own, which knows the first one by its address only. */
  async startElsewhere(hostname: string): Promise<Mesh> {
    const { options } = this.simulation.startHost(hostname);
    const worker = new SimulatedWorker(options, new FakeChannels());
    const node = await this.simulation.complete(
      worker.start(`chat@${hostname}:9000`, { seeds: [`${HOST}:9000`] }),
    );
    this.nodes.push(node);
    return node;
  }

  async linked(nodes: readonly Mesh[] = this.nodes, limitMs = 10_000): Promise<number> {
    const isLinked = () => nodes.every((node) => node.peers.length === nodes.length - 1);
    return await this.simulation.runUntil(isLinked, { limitMs });
  }

  async shutdown(nodes: readonly Mesh[] = this.nodes): Promise<void> {
    await this.simulation.complete(Promise.all(nodes.map((node) => node.shutdown())));
  }
}

/** Who others dial at the address of the machine. */
function isHolder(mesh: Mesh): boolean {
  return mesh.name === NAME;
}

Deno.test("one worker holds the port of the name, and the others have free ports in their names", async () => {
  const machine = new Machine();
  const [first, second, third] = [
    await machine.start(),
    await machine.start(),
    await machine.start(),
  ];
  assertEquals(first.name, NAME);
  assertEquals(second.name, `chat@${HOST}:${second.address.port}`);
  assertEquals(third.name, `chat@${HOST}:${third.address.port}`);
  assertEquals(new Set([first.name, second.name, third.name]).size, 3);
  await machine.linked();
  await machine.shutdown();
});

Deno.test("workers without a common port find each other through the channel", async () => {
  const machine = new Machine();
  for (let i = 0; i < 4; i++) await machine.start({}, `chat@${HOST}:0`);
  assert(await machine.linked() < 500);
  await machine.shutdown();
});

Deno.test("workers that start at once find each other, and no dial is refused", async () => {
  const machine = new Machine();
  const starts = Array.from({ length: 8 }, () => machine.worker().start(NAME));
  machine.nodes.push(...await machine.simulation.complete(Promise.all(starts)));
  const refused = machine.nodes.map((node) => collect(node, "refused"));
  assert(await machine.linked() < 500);
  assertEquals(machine.nodes.filter(isHolder).length, 1);
  assertEquals(refused.flat(), []);
  await machine.shutdown();
});

Deno.test("a worker that joins later is linked to all others at once", async () => {
  const machine = new Machine();
  for (let i = 0; i < 3; i++) await machine.start({}, `chat@${HOST}:0`);
  await machine.linked();
  await machine.simulation.run(17_000);
  await machine.start({}, `chat@${HOST}:0`);
  assert(await machine.linked() < 500);
  await machine.shutdown();
});

Deno.test("a worker with another channel is not a sibling", async () => {
  const machine = new Machine();
  const one = await machine.start({}, `chat@${HOST}:0`);
  const other = await machine.simulation.complete(
    machine.worker(new FakeChannels()).start(`chat@${HOST}:0`),
  );
  await machine.simulation.run(20_000);
  assertEquals([one.peers.length, other.peers.length], [0, 0]);
  await machine.shutdown([one, other]);
});

for (const how of ["dies", "shuts down"] as const) {
  Deno.test(`another worker takes over the port of one that ${how}, and newcomers find all workers there`, async () => {
    const machine = new Machine();
    const worker = machine.worker();
    const holder = await machine.simulation.complete(worker.start(NAME));
    for (let i = 0; i < 3; i++) await machine.start();
    await machine.linked([holder, ...machine.nodes]);
    assert(isHolder(holder));

    if (how === "dies") worker.die();
    else await machine.shutdown([holder]);
    await machine.linked();
    await machine.simulation.run(1_000);
    // Three listeners for the names, and one at the port.
    assertEquals(machine.host.listenerCount, 4);

    const newcomer = await machine.startElsewhere("10.0.0.2");
    assert(await machine.linked() < 1_000);
    assertEquals(newcomer.peers.length, 3);
    await machine.shutdown();
  });
}

Deno.test("the port is taken over again when the next holder dies, until the last worker has it", async () => {
  const machine = new Machine();
  const workers = Array.from({ length: 4 }, () => machine.worker());
  const nodes: Mesh[] = [];
  for (const worker of workers) nodes.push(await machine.simulation.complete(worker.start(NAME)));
  await machine.linked(nodes);
  while (nodes.length > 1) {
    workers.shift()?.die();
    nodes.shift();
    await machine.linked(nodes);
    await machine.simulation.run(1_000);
    assertEquals(machine.host.listenerCount, nodes.length + 1);
  }
  machine.nodes.push(...nodes);
  await machine.startElsewhere("10.0.0.2");
  await machine.linked();
  await machine.shutdown();
});

Deno.test("a worker does not try for the port while it has a link to the holder", async () => {
  const machine = new Machine();
  await machine.start();
  const worker = machine.worker();
  machine.nodes.push(await machine.simulation.complete(worker.start(NAME)));
  await machine.linked();
  await machine.simulation.run(60_000);
  // For the port, for a free one, and for the port again before it has looked who holds it.
  assertEquals(worker.listenCalls, 3);
  await machine.shutdown();
});

Deno.test("a worker that is started again after the takeover has a name of its own", async () => {
  const machine = new Machine();
  const worker = machine.worker();
  await machine.simulation.complete(worker.start(NAME));
  for (let i = 0; i < 2; i++) await machine.start();
  await machine.simulation.run(1_000);
  worker.die();
  await machine.simulation.run(1_000);
  const again = await machine.start();
  assert(!isHolder(again));
  assert(await machine.linked() < 500);
  await machine.shutdown();
});

Deno.test("the node that takes the port over does not dial itself, and reports nothing", async () => {
  const machine = new Machine();
  const worker = machine.worker();
  await machine.simulation.complete(worker.start(NAME));
  const heir = await machine.start();
  await machine.simulation.runUntil(() => heir.peers.length === 1);
  await machine.simulation.run(1_000);
  worker.die();
  await machine.simulation.run(1_000);
  const refused = collect(heir, "refused");
  await machine.simulation.run(120_000);
  assertEquals(refused, []);
  await machine.shutdown();
});

Deno.test("a process that replaces another one takes the port when it is free", async () => {
  const machine = new Machine();
  const old = await machine.start();
  const channels = new FakeChannels();
  const next = await Promise.all(
    Array.from(
      { length: 2 },
      () => machine.simulation.complete(machine.worker(channels).start(NAME)),
    ),
  );
  assertEquals(next.filter(isHolder), []);
  await machine.linked([old, ...next]);
  await machine.shutdown([old]);
  await machine.simulation.run(1_000);
  machine.nodes.splice(0, 1, ...next);
  await machine.startElsewhere("10.0.0.2");
  await machine.linked();
  await machine.shutdown();
});

Deno.test("a port that something else holds is reported until it is free, and then taken", async () => {
  const machine = new Machine();
  const stranger = await machine.host.options.transport.listen({ hostname: HOST, port: 9000 });
  const node = await machine.start();
  const refused = collect(node, "refused");
  await machine.simulation.run(30_000);
  const [first] = refused;
  const cause = first.cause;
  if (!(cause instanceof MeshError)) throw cause;
  assertEquals([first.address, first.code], [`${HOST}:9000`, "listen-failed"]);
  assertEquals(
    cause.message,
    `the port of ${HOST}:9000 is taken, but not by this cluster: ` +
      `no link to ${HOST}:9000 in 5000 ms`,
  );
  assert(refused.length > 1 && refused.every(({ code }) => code === "listen-failed"));

  stranger.close();
  await machine.startElsewhere("10.0.0.2");
  await machine.linked(machine.nodes, 60_000);
  await machine.shutdown();
});

Deno.test("shutdown leaves nothing of a worker, whichever port it holds", async () => {
  const machine = new Machine();
  const holder = await machine.start();
  const [heir, other] = [await machine.start(), await machine.start()];
  await machine.linked();
  assertEquals(machine.channels.openCount, 3);
  await machine.shutdown([holder]);
  await machine.simulation.run(1_000);
  assertEquals(machine.channels.openCount, 2);
  await machine.shutdown([heir, other]);
  assertEquals(machine.channels.openCount, 0);
  assertEquals(machine.host.listenerCount, 0);
  assertEquals(machine.host.connectionCount, 0);
  assertEquals(machine.host.timerCount, 0);
});

Deno.test("a node can be shut down while it waits for its siblings", async () => {
  const machine = new Machine();
  await machine.start();
  const late = await machine.start();
  await machine.simulation.run(10);
  await machine.shutdown();
  assertEquals(late.peers.length, 0);
  assertEquals([machine.channels.openCount, machine.host.timerCount], [0, 0]);
});

Deno.test("siblings are found although the other seeds fail, and the failure is reported", async () => {
  const machine = new Machine();
  const seeds = () => Promise.reject(new Error("no name server"));
  const nodes = [];
  for (let i = 0; i < 2; i++) nodes.push(await machine.start({ seeds }, `chat@${HOST}:0`));
  const refused = collect(nodes[0], "refused");
  assert(await machine.linked() < 500);
  await machine.simulation.run(12_000);
  assert(refused.some(({ code }) => code === "seeds-failed"));
  await machine.shutdown();
});

Deno.test("siblings are found although the other seeds are never answered", async () => {
  const machine = new Machine();
  const seeds = () => new Promise<string[]>(() => {});
  for (let i = 0; i < 2; i++) await machine.start({ seeds }, `chat@${HOST}:0`);
  assert(await machine.linked() < 500);
  await machine.start({ seeds }, `chat@${HOST}:0`);
  await machine.linked();
  await machine.shutdown();
});

Deno.test("a fixed port in the name with a listening port of 0 is refused, because all workers would share one name", async () => {
  const error = await assertRejects(
    () => startNode("a", { name: "a@10.0.0.1:9000", listen: { port: 0 }, seeds: workerSeeds() }),
    RangeError,
  );
  assert(error.message.startsWith("listen.port must not be 0 for workers"));
});

Deno.test("a taken port is an error without workerSeeds, as before", async () => {
  await using holder = await startNode("a");
  const error = await assertRejects(
    () => startNode("b", { name: `b@127.0.0.1:${holder.address.port}`, seeds: () => [] }),
    MeshError,
  );
  assertEquals(error.code, "listen-failed");
});

Deno.test("a port without permission to listen is an error for a worker too", async () => {
  const { host } = new Machine();
  const denied = new Error("permission denied");
  const transport = {
    ...host.options.transport,
    listen: (address: Address) =>
      address.port === 80 ? Promise.reject(denied) : host.options.transport.listen(address),
  };
  const error = await assertRejects(
    () => startNode("b", { ...host.options, name: "b@h:80", transport, seeds: workerSeeds() }),
    MeshError,
  );
  assertEquals([error.code, error.cause], ["listen-failed", denied]);
});

// The function by itself

interface Asking extends SeedsRequest {
  shutdown(): void;
}

function asker(name: string): Asking {
  const controller = new AbortController();
  return { name, signal: controller.signal, shutdown: () => controller.abort() };
}

/** Lets all promises and posts come to rest. */
function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

class Process {
  readonly timers = new FakeTimers();
  readonly channels = new FakeChannels();

  seeds(options: Parameters<typeof workerSeeds>[0] = {}): ReturnType<typeof workerSeeds> {
    return workerSeeds({ openChannel: this.channels.open, clock: this.timers, ...options });
  }

  /** Asks, and lets the time pass that the first answer takes. */
  async ask(seeds: ReturnType<typeof workerSeeds>, request: SeedsRequest): Promise<string[]> {
    const answer = seeds(request);
    for (let i = 0; i < 10; i++) {
      await rest();
      this.timers.advance(10);
    }
    return [...await answer].sort();
  }
}

Deno.test("the names of siblings come before the other seeds", async () => {
  const process = new Process();
  const [a, b] = [asker("x@h:1"), asker("x@h:2")];
  assertEquals(await process.ask(process.seeds({ seeds: ["10.0.0.2:9000"] }), a), [
    "10.0.0.2:9000",
  ]);
  const asked: SeedsRequest[] = [];
  const seeds = process.seeds({
    seeds: (request) => {
      asked.push(request);
      return ["10.0.0.3:9000"];
    },
  });
  assertEquals(await process.ask(seeds, b), ["10.0.0.3:9000", "x@h:1"]);
  assertEquals(asked.map(({ name, signal }) => [name, signal]), [[b.name, b.signal]]);
  a.shutdown();
  b.shutdown();
  assertEquals([process.channels.openCount, process.timers.pending], [0, 0]);
});

Deno.test("a sibling that says goodbye is forgotten at once, and a silent one after a minute", async () => {
  const process = new Process();
  const requests = [asker("x@h:1"), asker("x@h:2"), asker("x@h:3")];
  const seeds = requests.map(() => process.seeds());
  for (const [i, request] of requests.entries()) await process.ask(seeds[i], request);
  assertEquals(await process.ask(seeds[0], requests[0]), ["x@h:2", "x@h:3"]);
  requests[1].shutdown();
  assertEquals(await process.ask(seeds[0], requests[0]), ["x@h:3"]);
  process.timers.advance(50_000);
  assertEquals(await process.ask(seeds[0], requests[0]), ["x@h:3"]);
  process.timers.advance(11_000);
  assertEquals(await process.ask(seeds[0], requests[0]), []);
  // It was only busy.
  await process.ask(seeds[2], requests[2]);
  assertEquals(await process.ask(seeds[0], requests[0]), ["x@h:3"]);
});

Deno.test("one function serves several nodes", async () => {
  const process = new Process();
  const seeds = process.seeds();
  const [a, b] = [asker("x@h:1"), asker("x@h:2")];
  await process.ask(seeds, a);
  assertEquals(await process.ask(seeds, b), ["x@h:1"]);
  assertEquals(await process.ask(seeds, a), ["x@h:2"]);
  a.shutdown();
  assertEquals(process.channels.openCount, 1);
  assertEquals(await process.ask(seeds, b), []);
  b.shutdown();
});

Deno.test("greetings at the same moment get one answer", async () => {
  const process = new Process();
  const a = asker("x@h:1");
  await process.ask(process.seeds(), a);
  const posts: unknown[] = [];
  const end = process.channels.open("roomcast");
  end.onmessage = ({ data }) => posts.push(data);
  for (let i = 0; i < 20; i++) end.postMessage({ kind: "hello", name: `y@h:${i}` });
  await rest();
  process.timers.advance(1_000);
  await rest();
  assertEquals(posts, [{ kind: "here", name: "x@h:1", address: undefined }]);
});

Deno.test("a message that is not a greeting is ignored, and names are remembered up to a limit", async () => {
  const process = new Process();
  const a = asker("x@h:1");
  const seeds = process.seeds();
  await process.ask(seeds, a);
  const end = process.channels.open("roomcast");
  for (const data of [null, 1, "here", [], {}, { kind: "here" }, { kind: "here", name: 1 }]) {
    end.postMessage(data);
  }
  end.postMessage({ kind: "there", name: "y@h:1" });
  end.postMessage({ kind: "here", name: a.name });
  assertEquals(await process.ask(seeds, a), []);
  for (let i = 0; i < 2_000; i++) end.postMessage({ kind: "here", name: `y@h:${i}` });
  assertEquals((await process.ask(seeds, a)).length, 1_024);
});

Deno.test("a node that has shut down opens no channel", async () => {
  const process = new Process();
  const a = asker("x@h:1");
  a.shutdown();
  assertEquals(await process.seeds()(a), []);
  assertEquals(process.channels.openCount, 0);
});

Deno.test("seeds that are not a list are an error", async () => {
  const process = new Process();
  const text = "10.0.0.2:9000" as unknown as string[];
  const seeds = process.seeds({ seeds: () => text });
  await assertRejects(() => process.ask(seeds, asker("x@h:1")), TypeError, "list of addresses");
});

Deno.test("siblings tell each other where they can be dialled within the process", async () => {
  const process = new Process();
  const address = { hostname: "127.0.0.1", port: 4711 };
  const [a, b] = [{ ...asker("x@h:1"), localAddress: address }, asker("x@h:2")];
  const [ofA, ofB] = [process.seeds(), process.seeds()];
  await process.ask(ofA, a);
  await process.ask(ofB, b);
  assertEquals(ofB.localAddressOf(a.name), address);
  assertEquals(ofA.localAddressOf(b.name), undefined);
  assertEquals(ofB.localAddressOf("x@h:3"), undefined);
  const end = process.channels.open("roomcast");
  end.postMessage({ kind: "here", name: a.name, address: { hostname: 1, port: "x" } });
  await rest();
  assertEquals(ofB.localAddressOf(a.name), undefined);
  a.shutdown();
  b.shutdown();
  assertEquals(ofB.localAddressOf(a.name), undefined);
});

Deno.test("options of the wrong shape are refused at once", () => {
  const wrong: Record<string, unknown>[] = [{ channel: 1 }, { seeds: "h:1" }, { openChannel: 1 }];
  for (const options of wrong) assertThrows(() => workerSeeds(options), TypeError);
  assertThrows(() => workerSeeds(null as never), TypeError, "options must be an object with");
});

// The platform's channel

Deno.test("nodes find each other through a real BroadcastChannel", async () => {
  const seeds = () => workerSeeds({ channel: "worker_seeds_test" });
  await using a = await startNode("a", { seeds: seeds() });
  await using b = await startNode("b", { seeds: seeds() });
  await fullyLinked([a, b]);
  await using c = await startNode("c", { name: `c@127.0.0.1:${a.address.port}`, seeds: seeds() });
  await fullyLinked([a, b, c]);
  // Nobody can listen in within a process.
  for (const { peers } of [a, b, c]) {
    assertEquals(peers.map((peer) => peer.encrypted), [false, false]);
  }
  await a.shutdown();
  await linkedTo(b, [c.name]);
  // The port is c's now, and a node that has never heard of it gets there.
  await using d = await startNode("d", { seeds: [`127.0.0.1:${a.address.port}`] });
  await fullyLinked([b, c, d]);
  assertEquals(d.peers.map((peer) => peer.encrypted), [true, true]);
});

Deno.test("the channel does not keep a process alive", async () => {
  const module = new URL("../../mesh/mod.ts", import.meta.url).href;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { workerSeeds } from ${JSON.stringify(module)};
       const { signal } = new AbortController();
       console.log(await workerSeeds({ seeds: ["h:1"] })({ name: "x@h:2", signal }));`,
    ],
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(60_000),
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout).trim()], [0, '[ "h:1" ]']);
});
