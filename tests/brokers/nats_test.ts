import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BrokerError,
  type BrokerEventMap,
  natsBackplane,
  type NatsConnection,
  type NatsMessage,
  type NatsOptions,
  type NatsStatus,
} from "../../brokers/nats.ts";
import {
  decodeRoomBroadcast,
  decodeRoomMessage,
  encodeRoomBroadcast,
  encodeRoomMessage,
  FrameError,
  type RoomBroadcast,
  type RoomMessage,
} from "../../codec/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { freePort } from "../../examples/chat/cluster_plan.ts";
import { Broker } from "../../examples/chat/broker.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { connectNats, isSkipped, natsNode } from "./_servers.ts";
import { collect, fieldsOf, Inbox, nextEvent } from "./_inbox.ts";

function broadcast(message: string, room = "lobby"): Uint8Array {
  return encodeRoomBroadcast(room, message);
}

/** Resolves in the next turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** A connection that does what a test tells it. */
class FakeNats implements NatsConnection {
  info: { max_payload: number } | undefined = { max_payload: 1024 };
  readonly published: { subject: string; payload: Uint8Array }[] = [];
  readonly subjects = new Map<string, (error: Error | null, message: NatsMessage) => void>();
  readonly flushes: PromiseWithResolvers<void>[] = [];
  /** Thrown by `publish`, if anything. */
  failure: Error | undefined;
  statusStopped = false;
  readonly #followers = new Set<ReadableStreamDefaultController<NatsStatus>>();

  publish(subject: string, payload: Uint8Array): void {
    if (this.failure) throw this.failure;
    this.published.push({ subject, payload });
  }

  subscribe(
    subject: string,
    { callback }: { callback: (error: Error | null, message: NatsMessage) => void },
  ): { unsubscribe(): void } {
    if (this.subjects.has(subject)) throw new Error(`subscribed twice to ${subject}`);
    this.subjects.set(subject, callback);
    return { unsubscribe: () => this.subjects.delete(subject) };
  }

  flush(): Promise<void> {
    const flush = Promise.withResolvers<void>();
    this.flushes.push(flush);
    return flush.promise;
  }

  status(): AsyncIterable<NatsStatus> & { stop(): void } {
    let stop = () => {};
    const stream = new ReadableStream<NatsStatus>({
      start: (controller) => {
        this.#followers.add(controller);
        stop = () => {
          this.statusStopped = true;
          if (this.#followers.delete(controller)) controller.close();
        };
      },
    });
    return Object.assign(stream, { stop });
  }

  isClosed(): boolean {
    return false;
  }

  /** It has been closed. */
  end(): void {
    for (const follower of this.#followers) follower.close();
    this.#followers.clear();
  }

  async happens(status: NatsStatus): Promise<void> {
    for (const follower of this.#followers) follower.enqueue(status);
    await turn();
  }

  /** The server has read everything. */
  async confirm(): Promise<void> {
    for (const flush of this.flushes.splice(0)) flush.resolve();
    await turn();
  }
}

function fakeNode(options: Partial<NatsOptions> = {}) {
  const connection = new FakeNats();
  const timers = new FakeTimers();
  return {
    connection,
    timers,
    backplane: natsBackplane({ connection, cluster: "c", timers, ...options }),
  };
}

Deno.test("nats: unconfirmed messages have a limit, and those above it are dropped and reported", async () => {
  const { connection, backplane } = fakeNode({ maxQueuedBytes: 300 });
  const overflows = collect<BrokerEventMap["overflow"]>(backplane, "overflow");
  const message = broadcast("x".repeat(79)); // 91 bytes, 100 in the envelope
  const reports = Array.from({ length: 5 }, () => backplane.publish(message));
  assertEquals(reports.map(({ dropped }) => dropped), [0, 0, 0, 1, 1]);
  assertEquals(connection.published.length, 3);
  assertEquals(backplane.stats.queuedBytes, 300);
  await turn();
  assertEquals(overflows.length, 1);

  // A new episode begins only after half of the queue has been confirmed.
  await connection.confirm();
  assertEquals(backplane.stats.queuedBytes, 0);
  assertEquals(backplane.publish(message), { peers: 1, dropped: 0 });
  for (let i = 0; i < 3; i++) backplane.publish(message);
  await turn();
  assertEquals(overflows.map(fieldsOf), [{ peer: undefined, dropped: 2 }, {
    peer: undefined,
    dropped: 3,
  }]);
  assertEquals(backplane.stats.dropped, 3);
});

Deno.test("nats: a single message always fits, and one flush confirms all messages of a turn", async () => {
  const { connection, backplane } = fakeNode({ maxQueuedBytes: 1 });
  await turn();
  await connection.confirm(); // of the cluster's subscription
  assertEquals(backplane.publish(broadcast("larger than one byte")).dropped, 0);
  await turn();
  assertEquals(connection.flushes.length, 1);
  await connection.confirm();
  assertEquals(connection.flushes.length, 0);
});

Deno.test("nats: messages are dropped while the server is away, and events count dropped and unconfirmed ones", async () => {
  const { connection, backplane } = fakeNode();
  const downs = collect<BrokerEventMap["down"]>(backplane, "down");
  const ups = collect<BrokerEventMap["up"]>(backplane, "up");
  await turn();
  // It is up once its subscription is in force, which the answer to the flush confirms.
  assertEquals([ups.length, backplane.connected], [0, false]);
  await connection.confirm();
  assertEquals([ups.splice(0).map(fieldsOf), backplane.connected], [[{ dropped: 0 }], true]);
  for (let i = 0; i < 4; i++) backplane.publish(broadcast("hello"));
  await connection.happens({ type: "disconnect" });
  assertEquals(downs.map(fieldsOf), [{ sends: false, hears: false, unconfirmed: 4 }]);
  assertEquals([backplane.connected, backplane.stats.queuedBytes], [false, 0]);
  for (let i = 0; i < 3; i++) {
    assertEquals(backplane.publish(broadcast("hello")), { peers: 0, dropped: 1 });
  }
  assertEquals(connection.published.length, 4);
  await connection.happens({ type: "reconnect" });
  assertEquals(backplane.publish(broadcast("hello")), { peers: 1, dropped: 0 });
  await turn();
  assertEquals(connection.flushes.length, 3);
  assertEquals([ups.length, backplane.connected], [0, false]);
  await connection.confirm();
  assertEquals([ups.map(fieldsOf), backplane.connected], [[{ dropped: 3 }], true]);
  // Late confirmations of the old connection count for nothing.
  assertEquals(backplane.stats.queuedBytes, 0);
  assertEquals(backplane.stats.unconfirmed, 4);

  // The next outage has a count of its own.
  await connection.happens({ type: "disconnect" });
  backplane.publish(broadcast("hello"));
  await connection.happens({ type: "reconnect" });
  await connection.confirm();
  assertEquals(ups.map(fieldsOf), [{ dropped: 3 }, { dropped: 1 }]);
});

Deno.test("nats: a connection that breaks again before it hears anything is not up", async () => {
  const { connection, backplane } = fakeNode();
  const ups = collect<BrokerEventMap["up"]>(backplane, "up");
  await connection.happens({ type: "disconnect" });
  await connection.happens({ type: "reconnect" });
  await connection.happens({ type: "disconnect" });
  await connection.confirm();
  assertEquals([ups.length, backplane.connected], [0, false]);
});

Deno.test("nats: the client gets no message after the connection is lost, even before it reports that", () => {
  const { connection, backplane } = fakeNode();
  connection.info = undefined;
  assertEquals(backplane.publish(broadcast("hello")), { peers: 0, dropped: 1 });
  assertEquals([connection.published.length, backplane.stats.queuedBytes], [0, 0]);
});

Deno.test("nats: a forbidden publish counts for the backplane that owns the subject", async () => {
  const connection = new FakeNats();
  const nodes = ["c", "c2"].map((cluster) => natsBackplane({ connection, cluster }));
  const refused = nodes.map((node) => collect<BrokerEventMap["refused"]>(node, "refused"));
  const violation = (subject: string) => ({
    type: "error",
    error: Object.assign(new Error("Permissions Violation"), { operation: "publish", subject }),
  });
  for (const subject of ["roomcast.c2", "roomcast.c.lobby", "news"]) {
    await connection.happens(violation(subject));
  }
  assertEquals(refused.map((events) => events.map(({ address }) => address)), [
    ["roomcast.c.lobby"],
    ["roomcast.c2"],
  ]);
  assertEquals(nodes.map(({ stats }) => stats.dropped), [1, 1]);
  await Promise.all([
    ...nodes.map((node) => node.shutdown()),
    turn().then(() => connection.confirm()),
  ]);
});

Deno.test("nats: a refused subscription is asked for again on the next connection", async () => {
  const { connection, backplane } = fakeNode({ interest: "room" });
  backplane.openRoom?.("secret");
  const error = new Error("Permissions Violation");
  connection.subjects.get("roomcast.c.secret")?.(error, { data: new Uint8Array() });
  connection.subjects.delete("roomcast.c.secret");
  await connection.happens({ type: "disconnect" });
  await connection.happens({ type: "reconnect" });
  assertEquals([...connection.subjects.keys()], ["roomcast.c.secret"]);
});

Deno.test("nats: ready rejects once the connection has been closed", async () => {
  const { connection, backplane } = fakeNode();
  // The client never settles a flush that the server has not answered.
  const waiting = assertRejects(() => backplane.ready(), Error, "closed");
  await turn();
  connection.isClosed = () => true;
  connection.end();
  await waiting;
  await assertRejects(() => backplane.ready(), Error, "closed");
});

Deno.test("nats: ready waits for deferred subscriptions", async () => {
  const { connection, backplane } = fakeNode({ interest: "room" });
  for (let i = 0; i < 10_001; i++) backplane.openRoom?.(`room ${i}`);
  await turn();
  let isReady = false;
  const ready = backplane.ready().then(() => isReady = true);
  await turn();
  // The last one is sent now, and its flush comes after that of `ready`.
  await connection.confirm();
  assertEquals([connection.subjects.size, isReady], [10_001, false]);
  await connection.confirm();
  await ready;
});

Deno.test("nats: a publish that the client refuses counts as dropped, and throws nothing", async () => {
  const { connection, backplane } = fakeNode();
  const refused = collect<BrokerEventMap["refused"]>(backplane, "refused");
  connection.failure = new Error("draining");
  assertEquals(backplane.publish(broadcast("hello")), { peers: 0, dropped: 1 });
  await turn();
  assertEquals(refused.map(fieldsOf), [
    { address: "roomcast.c", code: "publish-refused", cause: connection.failure },
  ]);
  assertEquals(backplane.stats.queuedBytes, 0);
});

Deno.test("nats: a subscription that the server refuses is reported, and retried with the next member", () => {
  const { connection, backplane, timers } = fakeNode({ interest: "room" });
  const refused = collect<BrokerEventMap["refused"]>(backplane, "refused");
  backplane.openRoom?.("secret");
  const error = new Error("Permissions Violation");
  connection.subjects.get("roomcast.c.secret")?.(error, { data: new Uint8Array() });
  connection.subjects.delete("roomcast.c.secret");
  assertEquals(refused.map(fieldsOf), [
    { address: "roomcast.c.secret", code: "subscribe-refused", cause: error },
  ]);
  assertEquals(timers.pending, 1);
  backplane.closeRoom?.("secret");
  assertEquals(timers.pending, 0);
  backplane.openRoom?.("secret");
  assertEquals([...connection.subjects.keys()], ["roomcast.c.secret"]);
});

/** What was published: each subject, and the message in its envelope. */
function copiesIn(connection: FakeNats): [string, RoomMessage | RoomBroadcast][] {
  return connection.published.map(({ subject, payload }) => {
    const message = payload.subarray(9);
    const copy = message[0] === 0x1e ? decodeRoomBroadcast(message) : decodeRoomMessage(message);
    return [subject, copy];
  });
}

Deno.test("nats: a message for several rooms travels as one copy for each topic, and counts once", () => {
  const { connection, backplane } = fakeNode({ interest: "room" });
  const message = encodeRoomMessage({ rooms: ["a", "b"], except: [], message: "hi" });
  assertEquals(backplane.publish(message), { peers: 1, dropped: 0 });
  assertEquals(copiesIn(connection), [
    ["roomcast.c.a", { room: "a", message: "hi" }],
    ["roomcast.c.b", { rooms: ["b"], except: ["a"], message: "hi" }],
  ]);
  const { messagesOut, queuedBytes, bytesOut } = backplane.stats;
  const sizes = connection.published.map(({ payload }) => payload.length);
  assertEquals([messagesOut, bytesOut], [2, sizes[0] + sizes[1]]);
  assertEquals(queuedBytes, bytesOut);
});

Deno.test("nats: a message for several rooms travels unchanged on the topic of the cluster", () => {
  const { connection, backplane } = fakeNode();
  const message = encodeRoomMessage({ rooms: ["a", "b"], except: ["c"], message: "hi" });
  backplane.publish(message);
  assertEquals(connection.published.map(({ subject, payload }) => [subject, payload.slice(9)]), [
    ["roomcast.c", message],
  ]);
});

Deno.test("nats: the copies of a message fit the queue together, or none is sent", async () => {
  const { connection, backplane } = fakeNode({ interest: "room", maxQueuedBytes: 100 });
  assertEquals(backplane.publish(broadcast("", "lobby")).dropped, 0);
  const both = encodeRoomMessage({ rooms: ["a", "b"], except: [], message: "x".repeat(30) });
  assertEquals(backplane.publish(both), { peers: 0, dropped: 1 });
  assertEquals([connection.published.length, backplane.stats.dropped], [1, 1]);
  await turn();
  await connection.confirm();
  // A single message always fits, whatever its copies add up to.
  assertEquals(backplane.publish(both), { peers: 1, dropped: 0 });
  assertEquals(connection.published.length, 3);
});

Deno.test("nats: a message with one refused copy counts as sent and dropped", async () => {
  const { connection, backplane } = fakeNode({ interest: "room" });
  const refused = collect<BrokerEventMap["refused"]>(backplane, "refused");
  const publish = connection.publish.bind(connection);
  connection.publish = (subject, payload) => {
    if (subject === "roomcast.c.a") throw new Error("not this one");
    publish(subject, payload);
  };
  const both = encodeRoomMessage({ rooms: ["a", "b"], except: [], message: "hi" });
  assertEquals(backplane.publish(both), { peers: 1, dropped: 1 });
  await turn();
  assertEquals(refused.map(({ address, code }) => [address, code]), [
    ["roomcast.c.a", "publish-refused"],
  ]);
  assertEquals([backplane.stats.dropped, backplane.stats.messagesOut], [1, 1]);
});

Deno.test("nats: a message whose rooms are all excluded reaches nobody, and is not dropped", () => {
  const { connection, backplane } = fakeNode({ interest: "room" });
  const nobody = encodeRoomMessage({ rooms: ["a", "b"], except: ["a", "b"], message: "hi" });
  assertEquals(backplane.publish(nobody), { peers: 0, dropped: 0 });
  assertEquals([connection.published.length, backplane.stats.dropped], [0, 0]);
});

Deno.test("nats: missed follows up after an outage, but not at the start", async () => {
  const { connection, backplane } = fakeNode();
  const order: string[] = [];
  for (const type of ["up", "down", "missed"] as const) {
    backplane.addEventListener(type, (event) => order.push(event.type));
  }
  await turn();
  await connection.confirm();
  await connection.happens({ type: "disconnect" });
  await connection.happens({ type: "reconnect" });
  assertEquals(order, ["up", "down"]);
  await connection.confirm();
  assertEquals(order, ["up", "down", "up", "missed"]);
});

Deno.test("nats: the backplane is subscribed to the rooms that are open in any of several Rooms", () => {
  const rooms = fc.constantFrom("", "lobby", "a b", "*", ">", "x.y", "部屋", "x".repeat(1_000));
  const step = fc.tuple(fc.nat(2), fc.nat(3), rooms, fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
      const { connection, backplane } = fakeNode({ interest: "room" });
      const all = Array.from({ length: 3 }, () => new Rooms<FakeSocket>({ backplane }));
      const sockets = all.map(() => Array.from({ length: 4 }, () => new FakeSocket()));
      const open = new Set<string>();
      for (const [which, who, room, joins] of steps) {
        const socket = sockets[which][who];
        if (joins) all[which].join(socket, room);
        else all[which].leave(socket, room);
        open.clear();
        for (const each of all) {
          for (const s of sockets.flat()) each.roomsOf(s).forEach((r) => open.add(r));
        }
        assertEquals(connection.subjects.size, open.size);
      }
      for (const subject of connection.subjects.keys()) {
        // No wildcard, no space, no empty token, and not too long for NATS.
        assert(/^roomcast\.c\.[\w=-]{1,200}$/.test(subject), subject);
      }
      for (const [i, list] of sockets.entries()) for (const s of list) all[i].leaveAll(s);
      assertEquals(connection.subjects.size, 0);
    }),
  );
});

Deno.test("nats: rooms that come and go while the server does not read do not pile up commands", async () => {
  const { connection, backplane } = fakeNode({ interest: "room" });
  let commands = 0;
  const subscribe = connection.subscribe.bind(connection);
  connection.subscribe = (subject, options) => {
    commands++;
    const { unsubscribe } = subscribe(subject, options);
    return {
      unsubscribe() {
        commands++;
        unsubscribe();
      },
    };
  };
  for (let i = 0; i < 20_000; i++) {
    backplane.openRoom?.("there and gone");
    backplane.closeRoom?.("there and gone");
  }
  for (let i = 0; i < 100; i++) backplane.openRoom?.(`room ${i}`);
  assertEquals(commands, 10_000);
  const isReady = backplane.ready();
  while (connection.subjects.size < 100) {
    await turn();
    await connection.confirm();
  }
  await connection.confirm();
  await isReady;
  assertEquals(commands, 10_100);
  assert(connection.subjects.has("roomcast.c.room=2099"));
});

Deno.test("nats: shutdown waits for confirmation, but not for ever, and releases the connection", async () => {
  const { connection, backplane, timers } = fakeNode();
  backplane.publish(broadcast("last words"));
  await turn();
  let isEnded = false;
  const ended = backplane.shutdown().then(() => isEnded = true);
  assertEquals([...connection.subjects.keys()], []);
  assertEquals(connection.statusStopped, true);
  // The first two flushes follow the subscription, and the last one follows its end.
  const [message] = connection.flushes.splice(2, 1);
  await connection.confirm();
  assertEquals(isEnded, false);
  message.resolve();
  await turn();
  await connection.confirm();
  await ended;
  assertEquals(timers.pending, 0);

  const stuck = fakeNode();
  stuck.backplane.publish(broadcast("nobody confirms this"));
  const end = stuck.backplane.shutdown();
  await turn();
  stuck.timers.advance(2_000);
  await end;
  assertEquals(stuck.timers.pending, 0);
  assertEquals([stuck.backplane.stats.unconfirmed, stuck.backplane.stats.queuedBytes], [1, 0]);
  await assertRejects(() => stuck.backplane.ready(), Error, "shut down");
});

Deno.test("nats: the limit is the server's less the envelope, even without a connection", () => {
  const { connection, backplane } = fakeNode();
  assertEquals(backplane.maxMessageBytes, 1024 - 9);
  connection.info = undefined;
  assertEquals(backplane.maxMessageBytes, 1024 - 9);
  connection.info = { max_payload: 2048 };
  assertEquals(backplane.maxMessageBytes, 2048 - 9);
  assertEquals(fakeNode({ maxMessageBytes: 100 }).backplane.maxMessageBytes, 100);
});

Deno.test("nats: invalid options are refused, and the error names the option and what is allowed", () => {
  const connection = new FakeNats();
  const attempts: [unknown, string][] = [
    [
      { cluster: "c", connection: undefined },
      "connection must be an object with the methods publish",
    ],
    [{ cluster: "c", connection: {} }, "connection must have a method publish"],
    [{ cluster: "a.b", connection }, "cluster must be 1 to 64"],
    [{ cluster: "c", connection, interest: "rooms" }, 'interest must be "cluster" or "room"'],
    [
      { cluster: "c", connection, maxQueuedBytes: 0 },
      "maxQueuedBytes must be a whole number of at least 1",
    ],
  ];
  for (const [options, part] of attempts) {
    assertThrows(() => natsBackplane(options as NatsOptions), Error, part);
  }
});

const ignore = isSkipped("nats");

Deno.test({
  name: 'nats: a node with interest "room" and without members gets nothing',
  ignore,
  async fn() {
    await using broker = await Broker.start("nats");
    await using a = await natsNode(broker, { interest: "room" });
    await using b = await natsNode(broker, { interest: "room" });
    await using c = await natsNode(broker, { interest: "room" });
    b.backplane.openRoom?.("lobby");
    c.backplane.openRoom?.("kitchen");
    await Promise.all([b, c].map(({ backplane }) => backplane.ready()));
    const inbox = new Inbox(b.backplane);
    for (let i = 0; i < 100; i++) a.backplane.publish(broadcast(String(i)));
    await inbox.has(100);
    await c.backplane.ready();
    assertEquals(c.backplane.stats.bytesIn, 0);

    // Nor is it once the last member has left.
    b.backplane.closeRoom?.("lobby");
    await b.backplane.ready();
    const { bytesIn } = b.backplane.stats;
    a.backplane.publish(broadcast("nobody there"));
    await a.backplane.ready();
    await b.backplane.ready();
    assertEquals(b.backplane.stats.bytesIn, bytesIn);
  },
});

Deno.test({
  name:
    "nats: a reply to a message that was published after the join is heard, without waiting for ready",
  ignore,
  async fn() {
    await using broker = await Broker.start("nats");
    await using a = await natsNode(broker, { interest: "room" });
    await using b = await natsNode(broker, { interest: "room" });
    b.backplane.openRoom?.("question");
    await b.backplane.ready();
    const answering = b.backplane.subscribe(() => {
      b.backplane.publish(broadcast("answer", "answer 99"), answering);
    });
    const inbox = new Inbox(a.backplane);
    // A hundred subscriptions are under way, and the one that matters is the last.
    for (let i = 0; i < 100; i++) a.backplane.openRoom?.(`answer ${i}`);
    inbox.publish(broadcast("?", "question"));
    await inbox.has(1);
    assertEquals(inbox.heard, [{ room: "answer 99", message: "answer" }]);
  },
});

Deno.test({
  name: "nats: a message above the limit of the server is refused with a clear error",
  ignore,
  async fn() {
    const config = await Deno.makeTempFile({ suffix: ".conf" });
    await Deno.writeTextFile(config, "max_payload: 4096\n");
    await using broker = await Broker.start("nats", ["--config", config]);
    await using a = await natsNode(broker);
    await using b = await natsNode(broker);
    await b.backplane.ready();
    const inbox = new Inbox(b.backplane);
    const rooms = new Rooms({ backplane: a.backplane });
    const largest = "x".repeat(4096 - 9 - 7 - "lobby".length);
    const error = assertThrows(() => rooms.broadcast("lobby", `${largest}x`), FrameError);
    assertEquals((error as FrameError).code, "message-too-long");
    assertEquals(rooms.broadcast("lobby", largest).peers, 1);
    await inbox.has(1);
    assertEquals(inbox.messages, [largest]);
    await Deno.remove(config);
  },
});

Deno.test({
  name: "nats: a permission withdrawn during an outage keeps the node down until it is repaired",
  ignore,
  async fn() {
    const config = await Deno.makeTempFile({ suffix: ".conf" });
    const allow = (subscribe: string) =>
      Deno.writeTextFile(
        config,
        `authorization { users = [ { user: a, password: a,
           permissions: { publish: ">", subscribe: "${subscribe}" } } ] }`,
      );
    await allow(">");
    await using broker = await Broker.start("nats", ["--config", config]);
    const timers = new FakeTimers();
    await using node = await natsNode(broker, { timers }, { user: "a", pass: "a" });
    const { backplane } = node;
    await backplane.ready();

    // The client subscribes again by itself, and is refused.
    const refused = nextEvent<BrokerEventMap["refused"]>(backplane, "refused");
    await broker.stop();
    await allow("nothing");
    await broker.start();
    assertEquals((await refused).code, "subscribe-refused");
    await assertRejects(() => backplane.ready(), BrokerError);
    assertEquals(backplane.connected, false);

    const missed = nextEvent(backplane, "missed");
    await broker.stop();
    await allow(">");
    await broker.start();
    await missed;
    await backplane.ready();
    assertEquals([backplane.connected, timers.pending], [true, 0]);
    await Deno.remove(config);
  },
});

Deno.test({
  name: "nats: a refusal by the server is reported, and a room is heard once the server permits it",
  ignore,
  async fn() {
    const config = await Deno.makeTempFile({ suffix: ".conf" });
    const allow = (publish: string, subscribe: string) =>
      Deno.writeTextFile(
        config,
        `authorization { users = [ { user: a, password: a,
           permissions: { publish: "${publish}", subscribe: "${subscribe}" } } ] }`,
      );
    await allow("roomcast.test.kitchen", "roomcast.test.kitchen");
    await using broker = await Broker.start("nats", ["--config", config]);
    const login = { user: "a", pass: "a" };
    await using a = await natsNode(broker, { interest: "room" }, login);
    await using b = await natsNode(broker, { interest: "room" }, login);
    const refused = [a, b].map(({ backplane }) =>
      collect<BrokerEventMap["refused"]>(backplane, "refused")
    );
    b.backplane.openRoom?.("lobby");
    await b.backplane.ready();
    a.backplane.publish(broadcast("not permitted"));
    await a.backplane.ready();
    await turn();
    const topics = refused.map((events) => events.map(({ address }) => address));
    assertEquals(topics, [["roomcast.test.lobby"], ["roomcast.test.lobby"]]);
    assertEquals(a.backplane.stats.dropped, 1);

    const ups = [a, b].map(({ backplane }) => nextEvent(backplane, "up"));
    await broker.stop();
    await allow("roomcast.>", "roomcast.>");
    await broker.start();
    await Promise.all(ups);
    const inbox = new Inbox(b.backplane);
    a.backplane.publish(broadcast("permitted"));
    await inbox.has(1);
    assertEquals(inbox.messages, ["permitted"]);
    await Deno.remove(config);
  },
});

Deno.test({
  name: "nats: nodes on two servers of a cluster hear each other, with either interest",
  ignore,
  async fn() {
    const route = freePort();
    const cluster = ["--cluster_name", "test", "--cluster"];
    await using one = await Broker.start("nats", [...cluster, `nats://127.0.0.1:${route}`]);
    await using two = await Broker.start("nats", [
      ...cluster,
      `nats://127.0.0.1:${freePort()}`,
      "--routes",
      `nats://127.0.0.1:${route}`,
    ]);
    for (const interest of ["cluster", "room"] as const) {
      await using a = await natsNode(one, { interest });
      await using b = await natsNode(two, { interest });
      b.backplane.openRoom?.("lobby");
      const inbox = new Inbox(b.backplane);
      // The servers need some time to find each other and to exchange interest.
      const repeat = setInterval(() => a.backplane.publish(broadcast("hello")), 10);
      await inbox.has(3);
      clearInterval(repeat);
      assertEquals(new Set(inbox.messages), new Set(["hello"]));
    }
  },
});

Deno.test({
  name:
    "nats: two clusters on one connection do not hear each other, and two nodes of one cluster do",
  ignore,
  async fn() {
    await using broker = await Broker.start("nats");
    await using one = await natsNode(broker);
    const other = natsBackplane({ connection: one.connection, cluster: "other" });
    const same = natsBackplane({ connection: one.connection, cluster: "test" });
    await same.ready();
    const inboxes = [other, same].map((each) => new Inbox(each));
    one.backplane.publish(broadcast("hello"));
    await inboxes[1].has(1);
    assertEquals(inboxes.map(({ messages }) => messages), [[], ["hello"]]);
    await Promise.all([other, same].map((each) => each.shutdown()));
  },
});

Deno.test({
  name: "nats: a node with waitOnFirstConnect may start before the server",
  ignore,
  async fn() {
    const broker = await Broker.start("nats");
    await broker.stop();
    const connecting = connectNats(broker, { waitOnFirstConnect: true });
    await using _ = broker;
    await broker.start();
    const connection = await connecting;
    const backplane = natsBackplane({ connection, cluster: "test" });
    await backplane.ready();
    await backplane.shutdown();
    await connection.close();
  },
});
