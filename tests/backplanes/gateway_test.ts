import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type GatewayBackplane,
  gatewayBackplane,
  type GatewayEventDetails,
  type GatewayLink,
  type GatewayLocks,
  type GatewayOptions,
} from "../../backplanes/gateway.ts";
import {
  decodeRoomBroadcast,
  encodeRoomBroadcast,
  FrameError,
  type PublishReport,
} from "../../mod.ts";
import { freePort } from "../../examples/chat/cluster_plan.ts";
import { within } from "../cluster/_chat_cluster.ts";
import { startNode } from "../mesh/_cluster.ts";
import type { Order, Word } from "./_gateway_worker.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { collect, Inbox, nextEvent } from "./_inbox.ts";
import { Ring, type RingPort } from "./_ring.ts";

function broadcast(message: string): Uint8Array {
  return encodeRoomBroadcast("lobby", message);
}

/** What is outside: it hears what links publish, speaks to them, and knows how many there are. */
class Outside {
  readonly heard: string[] = [];
  readonly links = new Set<Link>();
  mostLinks = 0;
  linksMade = 0;
  report: PublishReport = { peers: 1, dropped: 0 };
  /** What links say to be their limit. */
  maxMessageBytes: number | undefined;

  readonly connect = (): Promise<GatewayLink> => {
    const link = new Link(this);
    this.links.add(link);
    this.linksMade++;
    this.mostLinks = Math.max(this.mostLinks, this.links.size);
    return Promise.resolve(link);
  };

  say(message: string): void {
    for (const link of this.links) link.receive(broadcast(message));
  }
}

class Link implements GatewayLink {
  readonly #outside: Outside;
  readonly maxMessageBytes?: number;
  receive: (message: Uint8Array) => void = () => {};

  constructor(outside: Outside) {
    this.#outside = outside;
    this.maxMessageBytes = outside.maxMessageBytes;
  }

  publish(message: Uint8Array): PublishReport {
    if (!this.#outside.links.has(this)) throw new Error("published on a link that has ended");
    if (this.#outside.report.dropped === 0) {
      this.#outside.heard.push(decodeRoomBroadcast(message).message);
    }
    return this.#outside.report;
  }

  subscribe(receive: (message: Uint8Array) => void): void {
    this.receive = receive;
  }

  shutdown(): Promise<void> {
    this.#outside.links.delete(this);
    return Promise.resolve();
  }
}

/** Starts a worker, and waits until it knows the gateway. */
async function startWorker(options: GatewayOptions): Promise<GatewayBackplane> {
  const worker = gatewayBackplane(options);
  if (worker.gateway === undefined) await nextEvent(worker, "gatewayup");
  return worker;
}

function newCluster(): string {
  return `test-${crypto.randomUUID()}`;
}

/** Locks that a test grants to the next in line, as if the holder before had ended. */
function grantedLocks(): { locks: GatewayLocks; grant: () => void } {
  const waiting: (() => void)[] = [];
  const locks: GatewayLocks = {
    request: (_name, { signal }, callback) =>
      new Promise((resolve, reject) => {
        const onAbort = () => reject(signal.reason);
        waiting.push(() => {
          signal.removeEventListener("abort", onAbort);
          callback().then(resolve, reject);
        });
        signal.addEventListener("abort", onAbort);
      }),
  };
  return { locks, grant: () => waiting.shift()?.() };
}

function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve);
  return promise;
}

Deno.test("one worker connects for all, and each message crosses once each way", async () => {
  const outside = new Outside();
  const options = { cluster: newCluster(), connect: outside.connect };
  await using a = await startWorker(options);
  await using b = await startWorker(options);
  await using c = await startWorker(options);
  assertEquals(outside.linksMade, 1);
  assertEquals([a.gateway, b.gateway, c.gateway], [a.id, a.id, a.id]);

  const inboxes = [a, b, c].map((worker) => new Inbox(worker));
  outside.report = { peers: 7, dropped: 0 };
  assertEquals(a.publish(broadcast("of a")), { peers: 7, dropped: 0 });
  assertEquals(b.publish(broadcast("of b")), { peers: 1, dropped: 0 });
  assertEquals(c.publish(broadcast("of c")), { peers: 1, dropped: 0 });
  outside.say("from outside");
  for (const inbox of inboxes) await inbox.has(1);
  while (outside.heard.length < 3) await turn();
  assertEquals([...outside.heard].sort(), ["of a", "of b", "of c"]);
  // What workers say to each other is another backplane's affair.
  for (const inbox of inboxes) assertEquals(inbox.messages, ["from outside"]);
  assertEquals(a.stats.relayed, 2);
});

Deno.test("when the gateway shuts down under load the next takes over, and nothing handed over is lost", async () => {
  const outside = new Outside();
  const options = { cluster: newCluster(), connect: outside.connect };
  const workers = [await startWorker(options)];
  for (let i = 0; i < 3; i++) workers.push(await startWorker(options));
  const downs = workers.slice(1).map((worker) =>
    collect<GatewayEventDetails["gatewaydown"]>(worker, "gatewaydown")
  );
  const handedOver: string[] = [];
  let number = 0;
  const load = setInterval(() => {
    for (let i = 0; i < 7; i++) {
      const message = `last ${number++}`;
      if (workers.at(-1)?.publish(broadcast(message)).peers) handedOver.push(message);
    }
  }, 1);
  for (let round = 0; round < 3; round++) {
    while (outside.heard.length < 200 * (round + 1)) await turn();
    const [gateway] = workers.splice(0, 1);
    assertEquals(gateway.gateway, gateway.id);
    await gateway.shutdown();
    if (workers[0].gateway !== workers[0].id) {
      await nextEvent<GatewayEventDetails["gatewayup"]>(
        workers[0],
        "gatewayup",
        ({ here }) => here,
      );
    }
    assertEquals(outside.mostLinks, 1);
  }
  clearInterval(load);
  const [last] = workers;
  assertEquals(last.gateway, last.id);
  assertEquals(outside.linksMade, 4);
  // In order, each once, and every one that a report has counted.
  assertEquals(outside.heard, handedOver);
  for (const events of downs) {
    for (const { here, unconfirmed } of events) if (!here) assertEquals(unconfirmed, 0);
  }
  await last.shutdown();
  assertEquals(outside.links.size, 0);
});

Deno.test("while there is no gateway, messages to the outside are reported as dropped", async () => {
  const outside = new Outside();
  const open = Promise.withResolvers<void>();
  await using worker = gatewayBackplane({
    cluster: newCluster(),
    connect: () => open.promise.then(outside.connect),
  });
  assertEquals(worker.publish(broadcast("too early")), { peers: 0, dropped: 1 });
  assertEquals(worker.stats.dropped, 1);
  open.resolve();
  await nextEvent(worker, "gatewayup");
  assertEquals(worker.publish(broadcast("in time")), { peers: 1, dropped: 0 });
  assertEquals(outside.heard, ["in time"]);
});

Deno.test("a worker that cannot connect says so, and the next in line does", async () => {
  const outside = new Outside();
  const cluster = newCluster();
  await using poor = gatewayBackplane({
    cluster,
    connect: () => Promise.reject(new Error("no network here")),
  });
  const refused = await nextEvent<GatewayEventDetails["refused"]>(poor, "refused");
  assertEquals((refused.cause as Error).message, "no network here");
  await using rich = gatewayBackplane({ cluster, connect: outside.connect });
  if (poor.gateway === undefined) await nextEvent(poor, "gatewayup");
  assertEquals([poor.gateway, rich.gateway], [rich.id, rich.id]);
});

Deno.test("a link that carries single rooms only is refused, as it would not hear for other workers", async () => {
  const outside = new Outside();
  await using worker = gatewayBackplane({
    cluster: newCluster(),
    connect: async () => Object.assign(await outside.connect(), { openRoom() {} }),
  });
  const { cause } = await nextEvent<GatewayEventDetails["refused"]>(worker, "refused");
  assert(cause instanceof TypeError);
  assertEquals(outside.links.size, 0);
});

Deno.test("what the link drops for another worker is counted and reported by the gateway", async () => {
  const outside = new Outside();
  const options = { cluster: newCluster(), connect: outside.connect };
  await using gateway = await startWorker(options);
  await using worker = await startWorker(options);
  outside.report = { peers: 0, dropped: 2 };
  const event = nextEvent<GatewayEventDetails["undelivered"]>(gateway, "undelivered");
  for (let i = 0; i < 3; i++) worker.publish(broadcast(String(i)));
  assertEquals(await event, { messages: 3 });
  assertEquals(gateway.stats.undelivered, 3);
});

Deno.test("a gateway that is gone without a word: what it was handed is counted as unconfirmed", async () => {
  const outside = new Outside();
  const cluster = newCluster();
  const { locks, grant } = grantedLocks();
  // It has the lock and never reads a thing, since its channel is deaf.
  const mute = (name: string) => {
    const channel = new BroadcastChannel(name);
    return {
      postMessage: (message: unknown) => channel.postMessage(message),
      addEventListener: () => {},
      close: () => channel.close(),
    };
  };
  await using gone = gatewayBackplane({
    cluster,
    connect: outside.connect,
    locks,
    openChannel: mute,
  });
  const isUp = nextEvent(gone, "gatewayup");
  await using next = gatewayBackplane({ cluster, connect: outside.connect, locks });
  const knows = nextEvent(next, "gatewayup");
  grant();
  await isUp;
  await knows;
  assertEquals(next.gateway, gone.id);
  for (let i = 0; i < 5; i++) {
    assertEquals(next.publish(broadcast(String(i))), { peers: 1, dropped: 0 });
  }
  const down = nextEvent<GatewayEventDetails["gatewaydown"]>(next, "gatewaydown");
  const up = nextEvent(next, "gatewayup");
  grant();
  assertEquals(await down, { worker: gone.id, here: false, unconfirmed: 5 });
  assertEquals(next.stats.unconfirmed, 5);
  await up;
  assertEquals(next.gateway, next.id);
});

/** Workers on a ring, whose posts, locks and time are the test's. */
class OnRing {
  readonly ring: Ring;
  readonly timers = new FakeTimers();
  readonly grant: () => void;
  readonly ports: RingPort[] = [];
  readonly #locks: GatewayLocks;

  constructor(capacity = 256) {
    this.ring = new Ring(capacity);
    const { locks, grant } = grantedLocks();
    this.#locks = locks;
    this.grant = grant;
  }

  start(connect: GatewayOptions["connect"]): GatewayBackplane {
    return gatewayBackplane({
      ...{ cluster: "test", connect, locks: this.#locks, timers: this.timers },
      openChannel: () => {
        const port = this.ring.open();
        this.ports.push(port);
        return port;
      },
    });
  }

  /** Lets everything happen that needs no more time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      await turn();
      await this.ring.settle();
    }
  }
}

Deno.test("a gateway that leaves takes all that waits for it, without running over the ring", async () => {
  const outside = new Outside();
  const workers = new OnRing(12);
  const [gateway, worker] = [1, 2].map(() => workers.start(outside.connect));
  workers.grant();
  await workers.settle();
  assertEquals(worker.gateway, gateway.id);
  const long = "x".repeat(40_000);
  const words = Array.from({ length: 100 }, (_, i) => `${i} ${long}`);
  for (const word of words) assertEquals(worker.publish(broadcast(word)).peers, 1);
  const downs = collect<GatewayEventDetails["gatewaydown"]>(worker, "gatewaydown");
  const ended = gateway.shutdown();
  await workers.settle();
  await ended;
  await workers.settle();
  assertEquals(downs.map(({ unconfirmed }) => unconfirmed), [0]);
  assertEquals([outside.heard, gateway.stats.missed], [words, 0]);
  await worker.shutdown();
  assertEquals(workers.timers.pending, 0);
});

Deno.test("a gateway that leaves waits for a worker that has only just heard of it", async () => {
  const outside = new Outside();
  const workers = new OnRing();
  const gateway = workers.start(outside.connect);
  workers.grant();
  await workers.settle();
  const worker = workers.start(outside.connect);
  // The worker's greeting is read and answered; the answer it will read together with the farewell.
  workers.ports[0].read(Infinity);
  worker.addEventListener("gatewayup", () => {
    for (let i = 0; i < 3; i++) worker.publish(broadcast(`quick ${i}`));
  });
  const ended = gateway.shutdown();
  await workers.settle();
  await ended;
  assertEquals(outside.heard, ["quick 0", "quick 1", "quick 2"]);
  await worker.shutdown();
  assertEquals([worker.stats.unconfirmed, workers.timers.pending], [0, 0]);
});

Deno.test("what waits for a gateway that is gone is taken back, and counted with what it has not read", async () => {
  const outside = new Outside();
  const workers = new OnRing();
  const [gateway, worker] = [1, 2].map(() => workers.start(outside.connect));
  workers.grant();
  await workers.settle();
  for (let i = 0; i < 7; i++) {
    worker.publish(broadcast(String(i)));
    // A post for each, of which four are under way unread.
    await Promise.resolve();
  }
  const downs = collect<GatewayEventDetails["gatewaydown"]>(worker, "gatewaydown");
  workers.grant(); // as when the gateway's worker has ended
  await turn();
  assertEquals(downs, [{ worker: gateway.id, here: false, unconfirmed: 7 }]);
  assertEquals(worker.gateway, worker.id);
  await Promise.all([worker.shutdown(), gateway.shutdown(), workers.settle()]);
  // Those under way it has read after all; the others were never posted.
  assertEquals(outside.heard, ["0", "1", "2", "3"]);
});

Deno.test("what the ring has lost on its way in or out is counted by the worker that was too slow", async () => {
  const outside = new Outside();
  const workers = new OnRing(3);
  const [gateway, worker] = [1, 2].map(() => workers.start(outside.connect));
  workers.grant();
  await workers.settle();
  const told = [gateway, worker].map((each) =>
    collect<GatewayEventDetails["missed"]>(each, "missed")
  );
  const inbox = new Inbox(worker);
  for (let i = 0; i < 4; i++) {
    outside.say(String(i));
    worker.publish(broadcast(String(i)));
    await Promise.resolve();
  }
  await workers.settle();
  const heard = [outside.heard.length, inbox.heard.length];
  const missed = told.map((events) => events.reduce((sum, { messages }) => sum + messages, 0));
  assertEquals(missed.map((count, i) => count + heard[i]), [4, 4]);
  assertEquals(missed.map((count) => count > 0), [true, true]);
  assertEquals([gateway, worker].map(({ stats }) => stats.missed), missed);
  await Promise.all([worker.shutdown(), gateway.shutdown(), workers.settle()]);
});

Deno.test("a connect that never settles gives the lock to the next, and a link that comes late is shut down", async () => {
  const outside = new Outside();
  const workers = new OnRing();
  const open = Promise.withResolvers<void>();
  const signals: AbortSignal[] = [];
  const stuck = workers.start((signal) => {
    signals.push(signal);
    return open.promise.then(outside.connect);
  });
  const refused = collect<GatewayEventDetails["refused"]>(stuck, "refused");
  const next = workers.start(outside.connect);
  workers.grant();
  await workers.settle();
  workers.timers.advance(29_999);
  await workers.settle();
  assertEquals([refused.length, signals[0].aborted], [0, false]);
  workers.timers.advance(1);
  await workers.settle();
  assertEquals(refused.map(({ cause }) => String(cause)), [
    "Error: connect has taken more than 30 s",
  ]);
  assertEquals(signals[0].aborted, true);
  workers.grant();
  await workers.settle();
  assertEquals(stuck.gateway, next.id);
  open.resolve();
  await workers.settle();
  assertEquals([outside.linksMade, outside.links.size], [2, 1]);
  await Promise.all([stuck.shutdown(), next.shutdown(), workers.settle()]);
  assertEquals(outside.links.size, 0);
});

Deno.test("shutdown waits for a link that is being made, but not for ever", async () => {
  const outside = new Outside();
  const workers = new OnRing();
  const open = Promise.withResolvers<void>();
  const connect = () => open.promise.then(outside.connect);
  const [patient, hurried] = [1, 2].map(() => workers.start(connect));
  workers.grant();
  await workers.settle();
  const ended = patient.shutdown();
  await turn();
  open.resolve();
  await ended;
  assertEquals([outside.linksMade, outside.links.size], [1, 0]);

  const never = new OnRing();
  const deaf = never.start(() => new Promise(() => {}));
  never.grant();
  await never.settle();
  const end = deaf.shutdown();
  await turn();
  never.timers.advance(2_000);
  await end;
  await hurried.shutdown();
  assertEquals([workers.timers.pending, never.timers.pending], [0, 0]);
});

Deno.test("a link that cannot be shut down is reported, and the gateway is down all the same", async () => {
  const outside = new Outside();
  const workers = new OnRing();
  const cause = new Error("no way back");
  const worker = workers.start(async () =>
    Object.assign(await outside.connect(), { shutdown: () => Promise.reject(cause) })
  );
  const refused = collect<GatewayEventDetails["refused"]>(worker, "refused");
  const downs = collect<GatewayEventDetails["gatewaydown"]>(worker, "gatewaydown");
  workers.grant();
  await workers.settle();
  await worker.shutdown();
  assertEquals(refused, [{ cause }]);
  assertEquals(downs, [{ worker: worker.id, here: true, unconfirmed: 0 }]);
});

Deno.test("the limit of the gateway's link is that of all workers, whatever else a stranger says", async () => {
  const outside = new Outside();
  outside.maxMessageBytes = 100;
  const workers = new OnRing();
  const [gateway, worker] = [1, 2].map(() => workers.start(outside.connect));
  workers.grant();
  await workers.settle();
  assertEquals([gateway.maxMessageBytes, worker.maxMessageBytes], [100, 100]);
  assertThrows(() => worker.publish(broadcast("x".repeat(100))), FrameError);

  const stranger = workers.ring.open();
  for (const maxMessageBytes of [NaN, 0, -1, 1.5, Infinity, "100", null]) {
    stranger.postMessage({
      ...{ kind: "here", from: gateway.id, hello: false, posted: 0, sent: [0, 0], read: {} },
      state: { role: "up", left: undefined, maxMessageBytes },
    });
    await workers.settle();
    assertEquals(worker.maxMessageBytes, 16 * 1024 * 1024);
  }
  await Promise.all([worker.shutdown(), gateway.shutdown(), workers.settle()]);
});

Deno.test("what a link or a worker lends is not kept beyond the call", async () => {
  const outside = new Outside();
  const kept: Uint8Array[] = [];
  const workers = new OnRing();
  const [gateway, worker] = [1, 2].map(() =>
    workers.start(async () =>
      Object.assign(await outside.connect(), {
        publish(message: Uint8Array): PublishReport {
          kept.push(message);
          return { peers: 1, dropped: 0 };
        },
      })
    )
  );
  workers.grant();
  await workers.settle();
  const inbox = new Inbox(worker);
  const [link] = outside.links;
  const buffer = broadcast("first");
  link.receive(buffer);
  buffer.set(broadcast("other"));
  await workers.settle();
  assertEquals(inbox.messages, ["first"]);

  for (const word of ["one", "two"]) worker.publish(broadcast(word));
  await workers.settle();
  // Not views into one post, which would be held as long as any of them.
  for (const message of kept) assertEquals(message.buffer.byteLength, message.length);
  assertEquals(kept.map((message) => decodeRoomBroadcast(message).message), ["one", "two"]);
  await Promise.all([worker.shutdown(), gateway.shutdown(), workers.settle()]);
});

Deno.test("options that make no sense are refused", () => {
  const attempts: [unknown, string][] = [
    [{ cluster: "a" }, "connect must be a function, got undefined"],
    [{ cluster: "a", connect: () => {}, locks: {} }, "locks must have a method request"],
    [{ cluster: "*", connect: () => {} }, "cluster"],
  ];
  for (const [options, part] of attempts) {
    assertThrows(() => gatewayBackplane(options as GatewayOptions), Error, part);
  }
});

/** A worker in a thread of its own. */
class Thread {
  readonly #worker = new Worker(new URL("./_gateway_worker.ts", import.meta.url), {
    type: "module",
  });
  readonly words: Word[] = [];
  #changed = Promise.withResolvers<void>();

  constructor(order: Omit<Order & { kind: "start" }, "kind">) {
    this.#worker.onmessage = ({ data }: MessageEvent<Word>) => {
      this.words.push(data);
      this.#changed.resolve();
    };
    this.tell({ kind: "start", ...order });
  }

  tell(order: Order): void {
    this.#worker.postMessage(order);
  }

  /** Ends it without a word. */
  terminate(): void {
    this.#worker.terminate();
  }

  async says(matches: (word: Word) => boolean, what: string): Promise<void> {
    const wait = async () => {
      while (!this.words.some(matches)) {
        await this.#changed.promise;
        this.#changed = Promise.withResolvers();
      }
    };
    await within(what, wait());
  }

  heard(): string[] {
    return this.words.flatMap((word) => word.kind === "heard" ? [word.message] : []);
  }
}

Deno.test("a worker that is terminated while it is the gateway: another takes over, and messages flow again", async () => {
  await using far = await startNode("far");
  const inbox = new Inbox(far);
  const order = {
    cluster: newCluster(),
    name: `near@127.0.0.1:${freePort()}`,
    seed: far.name,
  };
  const isGateway = (word: Word) => word.kind === "gateway" && word.here;
  const threads = [new Thread(order)];
  await threads[0].says(isGateway, "the first being the gateway");
  threads.push(new Thread(order), new Thread(order));
  for (const thread of threads.slice(1)) {
    await thread.says((word) => word.kind === "met" && word.others === 2, "all having met");
    await thread.says((word) => word.kind === "gateway", "knowing the gateway");
  }
  const [gateway, b, c] = threads;
  b.tell({ kind: "say", message: "before" });
  for (const thread of [gateway, c]) {
    await thread.says((word) => word.kind === "heard" && word.message === "before", "before");
  }
  await inbox.hears((message) => message === "before");

  gateway.terminate();
  const isNext = (thread: Thread) => thread.words.some(isGateway);
  const taken = async () => {
    while (!isNext(b) && !isNext(c)) await turn();
  };
  await within("one of the others being the gateway", taken());
  const next = isNext(b) ? b : c;
  const other = next === b ? c : b;
  await other.says((word) => word.kind === "gateway gone", "the old gateway being gone");
  const ups = () => other.words.filter((word) => word.kind === "gateway").length;
  await other.says(() => ups() === 2, "knowing the new gateway");
  // The far node has one link to them, whichever worker has it.
  assertEquals(far.peers.map(({ name }) => name), [order.name]);

  other.tell({ kind: "say", message: "after" });
  await inbox.hears((message) => message === "after");
  await next.says((word) => word.kind === "heard" && word.message === "after", "after");
  far.publish(broadcast("from afar"));
  for (const thread of [b, c]) {
    await thread.says((word) => word.kind === "heard" && word.message === "from afar", "from afar");
  }
  assertEquals(inbox.messages, ["before", "after"]);
  assertEquals(
    [...next.heard(), ...other.heard()].sort(),
    [
      ...(next === c ? ["before"] : []),
      ...(other === c ? ["before"] : []),
      "after",
      "from afar",
      "from afar",
    ].sort(),
  );
  for (const thread of [other, next]) {
    thread.tell({ kind: "shutdown" });
    await thread.says((word) => word.kind === "ended", "ending");
    thread.terminate();
  }
});
