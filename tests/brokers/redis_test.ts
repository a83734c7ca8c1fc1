import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { createClient } from "redis";
import {
  type BrokerBackplane,
  BrokerError,
  type BrokerEventMap,
  redisBackplane,
  type RedisOptions,
  type RedisPublisher,
  type RedisSubscriber,
} from "../../brokers/redis.ts";
import {
  encodeRoomBroadcast,
  encodeRoomMessage,
  FrameError,
  type RoomMessage,
} from "../../codec/mod.ts";
import { freePort } from "../../examples/chat/cluster_plan.ts";
import { Broker } from "../../examples/chat/broker.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { isSkipped, redisNode } from "./_servers.ts";
import { collect, fieldsOf, Inbox, nextEvent } from "./_inbox.ts";

function broadcast(message: string, room = "lobby"): Uint8Array {
  return encodeRoomBroadcast(room, message);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

type Listener = (...args: never[]) => void;

/** What both clients have in common. */
class FakeClient {
  status = "ready";
  readonly listeners = new Map<string, Set<Listener>>();

  on(event: string, listener: Listener): void {
    const all = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, all.add(listener));
  }

  off(event: string, listener: Listener): void {
    this.listeners.get(event)?.delete(listener);
  }

  emit(event: string, ...args: unknown[]): void {
    for (const listener of this.listeners.get(event) ?? []) listener(...args as never[]);
  }

  change(status: "ready" | "close" | "end"): void {
    this.status = status;
    this.emit(status);
  }

  get listenerCount(): number {
    return [...this.listeners.values()].reduce((sum, each) => sum + each.size, 0);
  }
}

/** A command that has not been answered. */
interface Pending {
  readonly name: string;
  readonly args: string[];
  readonly answer: PromiseWithResolvers<unknown>;
}

class FakePublisher extends FakeClient implements RedisPublisher {
  readonly pending: PromiseWithResolvers<unknown>[] = [];

  publish(_channel: string, message: Buffer): Promise<unknown> {
    assert(message instanceof Buffer);
    const answer = Promise.withResolvers<unknown>();
    this.pending.push(answer);
    return answer.promise;
  }
}

class FakeSubscriber extends FakeClient implements RedisSubscriber {
  readonly pending: Pending[] = [];
  /** What the server has subscribed this connection to. */
  readonly channels = new Set<string>();

  subscribe(...channels: string[]): Promise<unknown> {
    return this.#command("subscribe", channels);
  }

  unsubscribe(...channels: string[]): Promise<unknown> {
    return this.#command("unsubscribe", channels);
  }

  /** The server carries out the oldest command. */
  async step(): Promise<void> {
    const command = this.pending.shift();
    if (command === undefined) return;
    for (const channel of command.args) {
      if (command.name === "subscribe") this.channels.add(channel);
      else this.channels.delete(channel);
    }
    command.answer.resolve(undefined);
    await turn();
  }

  /** The connection breaks; commands under way are never answered. */
  breakOff(): void {
    this.pending.length = 0;
    this.channels.clear();
    this.change("close");
  }

  #command(name: string, args: string[]): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>();
    this.pending.push({ name, args, answer });
    return answer.promise;
  }
}

function fakeNode(options: Partial<RedisOptions> = {}) {
  const [publisher, subscriber] = [new FakePublisher(), new FakeSubscriber()];
  const timers = new FakeTimers();
  const backplane = redisBackplane({ publisher, subscriber, cluster: "c", timers, ...options });
  return { publisher, subscriber, timers, backplane };
}

Deno.test("redis: the backplane is subscribed to the open rooms after any joins, leaves and broken connections", async () => {
  const rooms = ["a", "b", "c", "d"];
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...rooms) },
    { weight: 3, arbitrary: fc.constant("step" as const) },
    { weight: 2, arbitrary: fc.constant("turn" as const) },
    { weight: 1, arbitrary: fc.constantFrom("break" as const, "ready" as const) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: "max" }),
      fc.boolean(),
      async (steps, remembers) => {
        const { subscriber, backplane } = fakeNode({ interest: "room" });
        const open = new Set<string>();
        let lastKnown: string[] = [];
        const ready = () => {
          // Some clients subscribe again by themselves.
          if (remembers) { for (const channel of lastKnown) subscriber.channels.add(channel); }
          subscriber.change("ready");
        };
        for (const what of steps) {
          if (what === "step") await subscriber.step();
          else if (what === "turn") await turn();
          else if (what === "break" && subscriber.status === "ready") {
            lastKnown = [...subscriber.channels];
            subscriber.breakOff();
          } else if (what === "ready" && subscriber.status === "close") ready();
          else if (open.delete(what)) backplane.closeRoom?.(what);
          else if (rooms.includes(what)) {
            open.add(what);
            backplane.openRoom?.(what);
          }
          // At most one round is under way, so nothing piles up.
          assert(subscriber.pending.length <= 4);
        }
        if (subscriber.status !== "ready") ready();
        const settled = backplane.ready();
        await turn();
        while (subscriber.pending.length > 0) await subscriber.step();
        await settled;
        assertEquals(
          [...subscriber.channels].sort(),
          [...open].map((room) => `roomcast.c.${room}`).sort(),
        );
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("redis: the backplane subscribes to a room that closes during an outage and opens right after it", async () => {
  const { subscriber, backplane } = fakeNode({ interest: "room" });
  backplane.openRoom?.("lobby");
  await turn();
  await subscriber.step();
  subscriber.breakOff();
  backplane.closeRoom?.("lobby");
  // This client does not subscribe again by itself.
  subscriber.change("ready");
  backplane.openRoom?.("lobby");
  await turn();
  await subscriber.step();
  assertEquals([...subscriber.channels], ["roomcast.c.lobby"]);
});

Deno.test("redis: one command subscribes to all rooms that are opened in one turn", async () => {
  const { subscriber, backplane } = fakeNode({ interest: "room" });
  for (let i = 0; i < 20; i++) backplane.openRoom?.(`room ${i}`);
  await turn();
  assertEquals(subscriber.pending.map(({ name, args }) => [name, args.length]), [[
    "subscribe",
    20,
  ]]);
});

Deno.test("redis: unconfirmed messages have a limit, and are counted when the connection breaks", async () => {
  const { publisher, subscriber, backplane } = fakeNode({ maxQueuedBytes: 300 });
  await turn();
  await subscriber.step();
  const downs = collect<BrokerEventMap["down"]>(backplane, "down");
  const ups = collect<BrokerEventMap["up"]>(backplane, "up");
  const missed = collect(backplane, "missed");
  const message = broadcast("x".repeat(79)); // 100 bytes in the envelope
  for (let i = 0; i < 5; i++) backplane.publish(message);
  assertEquals(backplane.stats.dropped, 2);
  publisher.pending[0].resolve(1);
  await turn();
  assertEquals(backplane.stats.queuedBytes, 200);

  // The client knows before it reports it, and would keep what it is given now.
  publisher.status = "reconnecting";
  assertEquals(backplane.publish(message), { peers: 0, dropped: 1 });
  assertEquals(publisher.pending.length, 3);
  publisher.change("close");
  assertEquals(downs.map(fieldsOf), [{ sends: false, hears: true, unconfirmed: 2 }]);
  backplane.publish(message);
  publisher.change("ready");
  // It could hear all the time, so it has missed nothing.
  assertEquals([ups.length, missed.length], [1, 0]);
  // Late answers on the old connection are not counted again.
  for (const answer of publisher.pending.splice(0)) answer.reject(new Error("gone"));
  await turn();
  assertEquals([backplane.stats.queuedBytes, backplane.stats.dropped], [0, 4]);
});

Deno.test("redis: a refused message counts as dropped and is reported", async () => {
  const { publisher, backplane } = fakeNode();
  const refused = collect<BrokerEventMap["refused"]>(backplane, "refused");
  backplane.publish(broadcast("hello"));
  const cause = new Error("NOPERM");
  publisher.pending[0].reject(cause);
  await turn();
  assertEquals(refused.map(fieldsOf), [
    { address: "roomcast.c", code: "publish-refused", cause },
  ]);
  assertEquals([backplane.stats.dropped, backplane.stats.queuedBytes], [1, 0]);
});

Deno.test("redis: a refused subscription is reported, and retried on the next connection", async () => {
  const { subscriber, backplane } = fakeNode();
  const refused = collect<BrokerEventMap["refused"]>(backplane, "refused");
  await turn();
  const cause = new Error("NOPERM");
  subscriber.pending.shift()?.answer.reject(cause);
  await turn();
  assertEquals(refused.map(fieldsOf), [
    { address: "roomcast.c", code: "subscribe-refused", cause },
  ]);
  subscriber.breakOff();
  subscriber.change("ready");
  await turn();
  assertEquals(subscriber.pending.map(({ args }) => args), [["roomcast.c"]]);
});

Deno.test("redis: a refused channel does not affect the others of its command", async () => {
  const { subscriber, backplane } = fakeNode({ interest: "room" });
  const refused = collect<BrokerEventMap["refused"]>(backplane, "refused");
  for (const room of ["good", "bad", "fine"]) backplane.openRoom?.(room);
  const ready = backplane.ready();
  await turn();
  const cause = new Error("NOPERM");
  subscriber.pending.shift()?.answer.reject(cause);
  await turn();
  assertEquals(subscriber.pending.map(({ args }) => args), [
    ["roomcast.c.good"],
    ["roomcast.c.bad"],
    ["roomcast.c.fine"],
  ]);
  await subscriber.step();
  subscriber.pending.shift()?.answer.reject(cause);
  await subscriber.step();
  await ready;
  assertEquals(refused.map(fieldsOf), [
    { address: "roomcast.c.bad", code: "subscribe-refused", cause },
  ]);
  assertEquals([...subscriber.channels], ["roomcast.c.good", "roomcast.c.fine"]);
});

Deno.test("redis: a refused unsubscribe is not reported", async () => {
  const { subscriber, backplane } = fakeNode({ interest: "room" });
  const refused = collect<BrokerEventMap["refused"]>(backplane, "refused");
  for (const room of ["a", "b"]) backplane.openRoom?.(room);
  await turn();
  await subscriber.step();
  subscriber.breakOff();
  for (const room of ["a", "b"]) backplane.closeRoom?.(room);
  subscriber.change("ready");
  const ready = backplane.ready();
  await turn();
  assertEquals(subscriber.pending.map(({ name }) => name), ["unsubscribe"]);
  subscriber.pending.shift()?.answer.reject(new Error("NOSUB"));
  await ready;
  assertEquals([refused.length, subscriber.pending.length], [0, 0]);
});

Deno.test("redis: shutdown makes the client forget its channels if the connection breaks meanwhile", async () => {
  const { publisher, subscriber, backplane, timers } = fakeNode();
  await turn();
  await subscriber.step();
  const ended = backplane.shutdown();
  await turn();
  subscriber.breakOff();
  await ended;
  assertEquals(subscriber.pending.map(({ name, args }) => [name, args]), [
    ["unsubscribe", ["roomcast.c"]],
  ]);
  assertEquals([publisher.listenerCount, subscriber.listenerCount, timers.pending], [0, 0, 0]);
});

Deno.test("redis: shutdown takes two seconds if the server does not answer, and leaves no listener", async () => {
  const { publisher, subscriber, backplane, timers } = fakeNode();
  await turn();
  await subscriber.step();
  const ended = backplane.shutdown();
  await turn();
  timers.advance(2_000);
  await ended;
  assertEquals([publisher.listenerCount, subscriber.listenerCount, timers.pending], [0, 0, 0]);
});

Deno.test("redis: the backplane is up once its subscriptions are in force, and not before", async () => {
  const { subscriber, backplane } = fakeNode();
  const ups = collect<BrokerEventMap["up"]>(backplane, "up");
  await turn();
  assertEquals([ups.length, backplane.connected], [0, false]);
  await subscriber.step();
  assertEquals([ups.splice(0).map(fieldsOf), backplane.connected], [[{ dropped: 0 }], true]);
  subscriber.breakOff();
  subscriber.change("ready");
  await turn();
  assertEquals([ups.length, backplane.connected], [0, false]);
  // The connection breaks once more before Redis has answered.
  subscriber.breakOff();
  subscriber.change("ready");
  await turn();
  assertEquals(ups.length, 0);
  await subscriber.step();
  assertEquals([ups.map(fieldsOf), backplane.connected], [[{ dropped: 0 }], true]);
});

Deno.test("redis: ready waits for the rooms that are open now, and for no later ones", async () => {
  const { subscriber, backplane } = fakeNode({ interest: "room" });
  backplane.openRoom?.("mine");
  let isReady = false;
  const ready = backplane.ready().then(() => isReady = true);
  await turn();
  // On a busy server, something is always under way.
  backplane.openRoom?.("another");
  assertEquals(isReady, false);
  await subscriber.step();
  assertEquals([isReady, subscriber.pending.length], [true, 1]);
  await ready;

  // It also waits for what is under way already.
  let isNext = false;
  const next = backplane.ready().then(() => isNext = true);
  backplane.openRoom?.("a third");
  await turn();
  assertEquals(isNext, false);
  await subscriber.step();
  assertEquals([isNext, subscriber.pending.length], [true, 1]);
  await next;
});

Deno.test("redis: ready waits for the rooms that are open when Redis is back", async () => {
  const { subscriber, backplane } = fakeNode({ interest: "room" });
  subscriber.breakOff();
  for (let i = 0; i < 3; i++) backplane.openRoom?.(`room ${i}`);
  const ready = backplane.ready();
  for (let i = 0; i < 2; i++) backplane.closeRoom?.(`room ${i}`);
  subscriber.change("ready");
  await turn();
  await subscriber.step();
  await ready;
  assertEquals([...subscriber.channels], ["roomcast.c.room=202"]);
});

Deno.test("redis: ready waits for the client that publishes", async () => {
  const publisher = new FakePublisher();
  publisher.status = "connect";
  const { backplane } = fakeNode({ publisher, interest: "room" });
  let isReady = false;
  const ready = backplane.ready().then(() => isReady = true);
  await turn();
  assertEquals(isReady, false);
  publisher.change("ready");
  await ready;
  assertEquals(backplane.publish(broadcast("hello")), { peers: 1, dropped: 0 });

  publisher.change("close");
  const closed = assertRejects(() => backplane.ready(), BrokerError, "closed");
  publisher.change("end");
  await closed;
  publisher.change("close");
  const shutDown = assertRejects(() => backplane.ready(), BrokerError, "shut down");
  await backplane.shutdown();
  await shutDown;
  assertEquals(publisher.listenerCount, 0);
});

Deno.test("redis: ready rejects once the client has been closed for good", async () => {
  const { subscriber, backplane } = fakeNode();
  const waiting = assertRejects(() => backplane.ready(), Error, "closed");
  subscriber.breakOff();
  subscriber.change("end");
  await waiting;
  await assertRejects(() => backplane.ready(), Error, "closed");
  // Somebody has told the client to connect after all.
  subscriber.change("ready");
  await turn();
  await Promise.all([backplane.ready(), subscriber.step()]);

  const late = new FakeSubscriber();
  late.status = "end";
  const { backplane: another } = fakeNode({ subscriber: late });
  await assertRejects(() => another.ready(), Error, "closed");
  await another.shutdown();
});

Deno.test("redis: messages of channels of other subscribers are ignored", async () => {
  const { subscriber, backplane } = fakeNode();
  const inbox = new Inbox(backplane);
  const malformed = collect<BrokerEventMap["malformed"]>(backplane, "malformed");
  subscriber.emit("messageBuffer", Buffer.from("news"), Buffer.from("not for us"));
  assertEquals([inbox.heard.length, malformed.length, backplane.stats.bytesIn], [0, 0, 0]);
  await turn();
});

Deno.test("redis: shutdown removes every listener from the clients, which stay open", async () => {
  const { publisher, subscriber, backplane, timers } = fakeNode();
  await turn();
  await subscriber.step();
  const ended = backplane.shutdown();
  await turn();
  assertEquals(subscriber.pending.map(({ name }) => name), ["unsubscribe"]);
  await subscriber.step();
  await ended;
  assertEquals([publisher.listenerCount, subscriber.listenerCount], [0, 0]);
  assertEquals([publisher.status, subscriber.status], ["ready", "ready"]);
  assertEquals(timers.pending, 0);
});

Deno.test("redis: clients that would break a promise are refused, and the error says what it expects", () => {
  const [publisher, subscriber] = [new FakePublisher(), new FakeSubscriber()];
  const resending = Object.assign(new FakePublisher(), {
    options: { autoResendUnfulfilledCommands: true },
  });
  const prefixed = Object.assign(new FakeSubscriber(), { options: { keyPrefix: "app:" } });
  const attempts: [Partial<Record<keyof RedisOptions, unknown>>, string][] = [
    [{ publisher: resending }, "autoResendUnfulfilledCommands: false"],
    [{ subscriber: prefixed }, "subscriber must be made without keyPrefix"],
    [{ publisher: subscriber }, "must have a method publish"],
    [{ publisher: undefined }, "publisher must be an object"],
    [{ sharded: true }, "publisher must have a method spublish"],
    [{ sharded: "yes" }, "sharded must be true or false"],
    [{ cluster: "a b" }, "cluster"],
  ];
  for (const [options, part] of attempts) {
    assertThrows(
      () => redisBackplane({ publisher, subscriber, cluster: "c", ...options } as RedisOptions),
      Error,
      part,
    );
  }
  for (const option of ["publisher", "subscriber"] as const) {
    const client = { publisher, subscriber }[option];
    const cluster = Object.assign(Object.create(client), { isCluster: true });
    assertThrows(
      () => redisBackplane({ publisher, subscriber, cluster: "c", [option]: cluster }),
      TypeError,
      `${option} must be a client of one server`,
    );
  }
  const both = Object.assign(new FakeSubscriber(), { publish: () => Promise.resolve() });
  const lazy = Object.assign(new FakeSubscriber(), { status: "wait" });
  assertThrows(
    () => redisBackplane({ publisher, subscriber: lazy, cluster: "c" }),
    TypeError,
    "lazyConnect",
  );
  assertThrows(
    () => redisBackplane({ publisher: both, subscriber: both, cluster: "c" }),
    TypeError,
    "two clients",
  );
  assertEquals([publisher.listenerCount, subscriber.listenerCount], [0, 0]);
});

const ignore = isSkipped("redis");

/** Resolves when everything published so far has been delivered. */
async function settled(from: BrokerBackplane, to: BrokerBackplane): Promise<void> {
  const inbox = new Inbox(to);
  to.openRoom?.("settled");
  await to.ready();
  from.publish(broadcast("settled", "settled"));
  await inbox.hears((message) => message === "settled");
}

for (const sharded of [false, true]) {
  Deno.test({
    name: `redis: a node with interest in the room and without members gets nothing${
      sharded ? ", sharded" : ""
    }`,
    ignore,
    async fn() {
      await using broker = await Broker.start("redis");
      const options = { interest: "room", sharded } as const;
      await using a = await redisNode(broker, options);
      await using b = await redisNode(broker, options);
      await using c = await redisNode(broker, options);
      b.backplane.openRoom?.("lobby");
      await b.backplane.ready();
      const inbox = new Inbox(b.backplane);
      for (let i = 0; i < 100; i++) a.backplane.publish(broadcast(String(i)));
      await inbox.has(100);
      await settled(a.backplane, c.backplane);
      assertEquals(c.backplane.stats.messagesIn, 1);
    },
  });
}

Deno.test({
  name:
    "redis: a subscriber that Redis disconnects is down, and hears again once it has reconnected",
  ignore,
  async fn() {
    await using broker = await Broker.start("redis");
    await using a = await redisNode(broker);
    await using b = await redisNode(broker);
    await b.backplane.ready();
    const inbox = new Inbox(b.backplane);
    const down = nextEvent<BrokerEventMap["down"]>(b.backplane, "down");
    const up = nextEvent(b.backplane, "up");
    await a.publisher.call("CLIENT", "KILL", "TYPE", "pubsub");
    assertEquals(fieldsOf(await down), { sends: true, hears: false, unconfirmed: 0 });
    await up;
    await Promise.all([a, b].map(({ backplane }) => backplane.ready()));
    a.backplane.publish(broadcast("welcome back"));
    await inbox.hears((message) => message === "welcome back");
  },
});

Deno.test({
  name: "redis: shutdown while Redis is away leaves no subscription behind when it is back",
  ignore,
  async fn() {
    await using broker = await Broker.start("redis");
    await using a = await redisNode(broker, { interest: "room" });
    for (const room of ["lobby", "kitchen"]) a.backplane.openRoom?.(room);
    await a.backplane.ready();
    const channels = () => a.publisher.call("PUBSUB", "CHANNELS", "roomcast.*");
    assertEquals((await channels() as string[]).length, 2);
    const down = nextEvent<BrokerEventMap["down"]>(
      a.backplane,
      "down",
      ({ hears }) => !hears,
    );
    await broker.stop();
    await down;
    await a.backplane.shutdown();
    await broker.start();
    // The client sends the commands that it kept before this one.
    await a.subscriber.subscribe("some other channel");
    assertEquals(await channels(), []);
  },
});

/** Starts two servers of one Redis Cluster. */
async function startCluster() {
  const folder = await Deno.makeTempDir();
  const servers: Broker[] = [];
  const buses: number[] = [];
  for (const name of ["one", "two"]) {
    buses.push(freePort());
    servers.push(
      await Broker.start("redis", [
        ...["--cluster-enabled", "yes", "--cluster-port", String(buses.at(-1))],
        ...["--cluster-config-file", `${folder}/${name}.conf`],
      ]),
    );
  }
  return {
    servers,
    buses,
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test({
  name: "redis: nodes on two servers of a Redis Cluster hear each other",
  ignore,
  async fn() {
    await using cluster = await startCluster();
    const [one, two] = cluster.servers;
    await using a = await redisNode(one);
    await using b = await redisNode(two);
    await b.backplane.ready();
    await a.publisher.call("CLUSTER", "MEET", "127.0.0.1", two.port, cluster.buses[1]);
    const inbox = new Inbox(b.backplane);
    // The servers need some time to find each other.
    const repeat = setInterval(() => a.backplane.publish(broadcast("hello")), 20);
    await inbox.has(3);
    clearInterval(repeat);
    assertEquals(new Set(inbox.messages), new Set(["hello"]));
  },
});

Deno.test("redis: a client of node-redis is refused, and the error names the expected client", () => {
  const publisher: unknown = createClient();
  const subscriber: unknown = createClient();
  for (const sharded of [false, true]) {
    assertThrows(
      () => redisBackplane({ publisher, subscriber, cluster: "c", sharded } as RedisOptions),
      TypeError,
      "publisher must be a client of ioredis",
    );
  }
});

Deno.test({
  name: "redis: the backplane subscribes again after an outage, and ioredis does not",
  ignore,
  async fn() {
    await using broker = await Broker.start("redis");
    await using node = await redisNode(broker);
    assertEquals(node.subscriber.options.autoResubscribe, false);
    await node.backplane.ready();
    const up = nextEvent(node.backplane, "up");
    await node.publisher.call("CLIENT", "KILL", "TYPE", "pubsub");
    await up;
    const channels = await node.publisher.call("PUBSUB", "NUMSUB", "roomcast.test");
    assertEquals(channels, ["roomcast.test", 1]);
  },
});

Deno.test({
  name: "redis: bytes of exactly the largest size, 16 MiB, arrive",
  ignore,
  async fn() {
    await using broker = await Broker.start("redis");
    await using a = await redisNode(broker);
    await using b = await redisNode(broker);
    await b.backplane.ready();
    assertEquals(a.backplane.maxMessageBytes, 16 * 1024 * 1024);
    const overhead = encodeRoomMessage({ rooms: ["r"], except: [], message: new Uint8Array() });
    const message = new Uint8Array(a.backplane.maxMessageBytes - overhead.length);
    crypto.getRandomValues(message.subarray(0, 65_536));
    message.set(message.subarray(0, 65_536), message.length - 65_536);
    const bytes = encodeRoomMessage({ rooms: ["r"], except: [], message });
    const inbox = new Inbox(b.backplane);
    assertEquals(a.backplane.publish(bytes), { peers: 1, dropped: 0 });
    await inbox.has(1);
    const [heard] = inbox.heard;
    assert("message" in heard && typeof heard.message !== "string");
    const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
    assertEquals(digest((heard as RoomMessage).message as Uint8Array), digest(message));
    const larger = encodeRoomMessage({ rooms: ["rr"], except: [], message });
    assertThrows(() => a.backplane.publish(larger), FrameError, "16777217 bytes");
  },
});
