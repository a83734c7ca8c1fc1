/**
 * What Socket.IO promises of several servers, over the mesh: three servers with one client each. Guest
 * n is on server n.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { within } from "../cluster/_chat_cluster.ts";
import { IoCluster } from "./_socket_io_cluster.ts";

/** What each guest hears if all of them hear one event without arguments. */
const ONCE = [[]];

Deno.test("io.emit reaches the clients of all servers, with bytes, dates and JSON values", async () => {
  await using cluster = await IoCluster.start();
  const bytes = Uint8Array.of(0, 1, 254, 255);
  const date = new Date(0);
  cluster.servers[0].io.emit("news", 1.5, "é😀", { list: [null, true], bytes }, date);

  const heard = [1.5, "é😀", { list: [null, true], bytes }, date.toJSON()];
  for (const [news] of await cluster.heard("news")) {
    const { bytes: got, ...rest } = (news as unknown[])[2] as { bytes: Uint8Array };
    assertEquals(new Uint8Array(got), bytes);
    (news as unknown[])[2] = { ...rest, bytes };
    assertEquals(news, heard);
  }
});

Deno.test("a room has members on all servers, and a member of two rooms hears a message once", async () => {
  await using cluster = await IoCluster.start();
  const [{ io }] = cluster.servers;
  io.to([cluster.guests[1].id, cluster.guests[2].id]).socketsJoin("red");
  io.to(cluster.guests[2].id).socketsJoin("blue");
  await cluster.settled();

  io.to("red").emit("red");
  io.to(["red", "blue"]).emit("both");
  io.to("nobody's").emit("nothing");
  assertEquals(await cluster.heard("red"), [[], ONCE, ONCE]);
  assertEquals(await cluster.heard("both"), [[], ONCE, ONCE]);
  assertEquals(await cluster.heard("nothing"), [[], [], []]);
});

Deno.test("except leaves a room out, wherever its members are", async () => {
  await using cluster = await IoCluster.start();
  const [{ io }] = cluster.servers;
  io.to([cluster.guests[0].id, cluster.guests[2].id]).socketsJoin("away");
  await cluster.settled();

  io.except("away").emit("all but away");
  io.to([cluster.guests[1].id, cluster.guests[2].id]).except("away").emit("one");
  io.except([cluster.guests[0].id, cluster.guests[1].id]).emit("two");
  assertEquals(await cluster.heard("all but away"), [[], ONCE, []]);
  assertEquals(await cluster.heard("one"), [[], ONCE, []]);
  assertEquals(await cluster.heard("two"), [[], [], ONCE]);
});

Deno.test("a socket that sends to everybody, or to a room of its own, does not hear itself", async () => {
  await using cluster = await IoCluster.start();
  cluster.guests[1].client.emit("relay");
  await within("guest 0 hearing guest 1", cluster.guests[0].hears("said"));
  assertEquals(await cluster.heard("said"), [[["broadcast"]], [], [["broadcast"]]]);

  cluster.servers[0].io.socketsJoin("all");
  await cluster.settled();
  cluster.guests[2].client.emit("relay", "all");
  await within("guest 1 hearing guest 2", cluster.guests[1].hears("said"));
  assertEquals(await cluster.heard("said"), [
    [["broadcast"], ["to"]],
    [["to"]],
    [["broadcast"]],
  ]);
});

Deno.test("local keeps a message on its server", async () => {
  await using cluster = await IoCluster.start();
  cluster.servers[1].io.local.emit("here");
  assertEquals(await cluster.heard("here"), [[], ONCE, []]);
  assertEquals((await cluster.servers[1].io.local.fetchSockets()).length, 1);
});

Deno.test("messages of one server arrive in their order", async () => {
  await using cluster = await IoCluster.start();
  const numbers = Array.from({ length: 500 }, (_, i) => [i]);
  for (const [number] of numbers) cluster.servers[2].io.emit("number", number);
  assertEquals(await cluster.heard("number"), [numbers, numbers, numbers]);
});

Deno.test("an acknowledgement is collected from the clients of all servers", async () => {
  await using cluster = await IoCluster.start();
  for (const [i, { client }] of cluster.guests.entries()) {
    client.on("who?", (answer) => answer(`guest ${i}`));
  }
  const [{ io }] = cluster.servers;
  const answers = await io.timeout(1_000).emitWithAck("who?");
  assertEquals(answers.sort(), ["guest 0", "guest 1", "guest 2"]);

  const few = await io.except(cluster.guests[0].id).timeout(1_000).emitWithAck("who?");
  assertEquals(few.sort(), ["guest 1", "guest 2"]);

  cluster.guests[2].client.off("who?");
  await assertRejects(() => io.timeout(300).emitWithAck("who?"));
  // Socket.IO keeps a timer for each question until its time has passed.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
});

Deno.test("an acknowledgement may be bytes, and a room without sockets gives none", async () => {
  await using cluster = await IoCluster.start();
  for (const [i, { client }] of cluster.guests.entries()) {
    client.on("bytes?", (answer) => answer(Uint8Array.of(i, 255)));
  }
  const [{ io }] = cluster.servers;
  const answers = await io.timeout(500).emitWithAck("bytes?");
  const bytes = answers.map((answer) => [...answer as Uint8Array]);
  assertEquals(bytes.sort(([a], [b]) => a - b), [[0, 255], [1, 255], [2, 255]]);
  assertEquals(await io.to("nobody's").timeout(500).emitWithAck("bytes?"), []);
  await new Promise((resolve) => setTimeout(resolve, 500));
});

Deno.test("a single socket of another server can acknowledge", async () => {
  await using cluster = await IoCluster.start();
  for (const [i, { client }] of cluster.guests.entries()) {
    client.on("who?", (answer) => answer(`guest ${i}`));
  }
  const [socket] = await cluster.servers[0].io.to(cluster.guests[1].id).fetchSockets();
  assertEquals(await socket.timeout(500).emitWithAck("who?"), "guest 1");
  assertEquals(await cluster.heard("who?"), [[], ONCE, []]);
  await new Promise((resolve) => setTimeout(resolve, 500));
});

Deno.test("a message that the mesh refuses still reaches the clients of its own server", async () => {
  await using cluster = await IoCluster.start();
  const tooLong = "x".repeat(17 * 1024 * 1024);
  cluster.servers[1].io.emit("long", tooLong);
  cluster.servers[1].io.emit("short");
  assertEquals(await cluster.heard("long"), [[], [[tooLong]], []]);
  assertEquals(await cluster.heard("short"), [ONCE, ONCE, ONCE]);
});

Deno.test("socketsJoin and socketsLeave move sockets of all servers", async () => {
  await using cluster = await IoCluster.start();
  const [{ io }, two] = cluster.servers;
  io.socketsJoin(["red", "blue"]);
  await cluster.settled();
  two.io.to("red").except(cluster.guests[0].id).socketsLeave("blue");
  for (const { io } of cluster.servers) await io.serverSideEmitWithAck("settled?");

  io.to("red").emit("red");
  io.to("blue").emit("blue");
  assertEquals(await cluster.heard("red"), [ONCE, ONCE, ONCE]);
  assertEquals(await cluster.heard("blue"), [ONCE, [], []]);
});

Deno.test("disconnectSockets ends the sockets of a room on all servers", async () => {
  await using cluster = await IoCluster.start();
  const [{ io }] = cluster.servers;
  io.except(cluster.guests[1].id).disconnectSockets(true);
  for (const i of [0, 2]) await within("a guest being gone", cluster.guests[i].isGone());
  await cluster.settled();
  assert(cluster.guests[1].client.connected);
});

Deno.test("sockets hear the messages that were sent before they are disconnected", async () => {
  await using cluster = await IoCluster.start();
  const [{ io }] = cluster.servers;
  io.emit("bye");
  io.disconnectSockets(true);
  for (const guest of cluster.guests) await within("a guest being gone", guest.isGone());
  assertEquals(cluster.guests.map(({ heard }) => heard), [
    [["bye"], ["disconnect"]],
    [["bye"], ["disconnect"]],
    [["bye"], ["disconnect"]],
  ]);
});

Deno.test("fetchSockets lists the sockets of all servers, with data, rooms and handshake", async () => {
  await using cluster = await IoCluster.start();
  const [{ io }] = cluster.servers;
  io.to([cluster.guests[1].id, cluster.guests[2].id]).socketsJoin("red");
  await cluster.settled();

  const all = await io.fetchSockets();
  assertEquals(all.map(({ id }) => id).sort(), cluster.guests.map(({ id }) => id).sort());
  const red = await io.to("red").except(cluster.guests[1].id).fetchSockets();
  assertEquals(red.length, 1);
  const [{ id, data, rooms, handshake }] = red;
  assertEquals(id, cluster.guests[2].id);
  assertEquals(data, { number: 2 });
  assertEquals(handshake.auth, { number: 2 });
  assertEquals(new Set(rooms), new Set([id, "red"]));
  assertEquals(await io.to("nobody's").fetchSockets(), []);
});

Deno.test("a server can send to, move and disconnect a socket of another server", async () => {
  await using cluster = await IoCluster.start();
  const [{ io }] = cluster.servers;
  const [two] = await io.to(cluster.guests[1].id).fetchSockets();
  two.emit("you");
  two.join("red");
  await cluster.settled();
  io.to("red").emit("red");
  two.leave("red");
  await cluster.settled();
  io.to("red").emit("red");
  assertEquals(await cluster.heard("you"), [[], ONCE, []]);
  assertEquals(await cluster.heard("red"), [[], ONCE, []]);
  two.disconnect(true);
  await within("guest 1 being gone", cluster.guests[1].isGone());
});

Deno.test("serverSideEmit reaches the other servers, and not the sender", async () => {
  await using cluster = await IoCluster.start();
  const heard: unknown[][] = [[], [], []];
  for (const [i, { io }] of cluster.servers.entries()) {
    io.on("tell", (...args) => heard[i].push(args));
    if (i > 0) io.on("sum", (a, b, answer) => (answer as (sum: number) => void)(+`${a}` + +`${b}`));
  }
  cluster.servers[0].io.serverSideEmit("tell", "x", 2);
  await cluster.settled();
  assertEquals(heard, [[], [["x", 2]], [["x", 2]]]);
  assertEquals(await cluster.servers[0].io.serverSideEmitWithAck("sum", 1, 2), [3, 3]);
});

Deno.test("serverSideEmit reports the answers that came if a server does not answer in 5 s", async () => {
  await using cluster = await IoCluster.start();
  const [one, two, three] = cluster.servers.map(({ io }) => io);
  two.on("question", (answer) => (answer as (text: string) => void)("two"));
  three.on("question", () => {});
  const outcome = new Promise((resolve) => {
    one.serverSideEmit("question", (error: unknown, answers: unknown) => resolve([error, answers]));
  });
  const [error, answers] = await within("the question ending", outcome) as unknown[];
  assert(error instanceof Error);
  assertEquals(answers, ["two"]);
});

Deno.test("namespaces do not hear each other", async () => {
  await using cluster = await IoCluster.start("/chat");
  const [{ io }] = cluster.servers;
  io.emit("main");
  io.of("/chat").emit("chat");
  assertEquals(await cluster.heard("chat", "/chat"), [ONCE, ONCE, ONCE]);
  assertEquals(await cluster.heard("main", "/chat"), [[], [], []]);
  assertEquals((await io.of("/chat").fetchSockets()).length, 3);
  assertEquals(await io.fetchSockets(), []);
});

Deno.test("nobody waits for a server that has gone", async () => {
  await using cluster = await IoCluster.start();
  const [{ io }, two, three] = cluster.servers;
  // The third never answers. The question ends as soon as its node has gone, not after 5 s.
  two.io.on("question", (answer) => (answer as (text: string) => void)("two"));
  const asked = new Promise((resolve) => three.io.on("question", resolve));
  const started = performance.now();
  const answers = io.serverSideEmitWithAck("question");
  await within("the third server being asked", asked);
  await cluster.cutOff(2);
  assertEquals(await answers, ["two"]);

  assertEquals((await io.fetchSockets()).length, 2);
  assert(performance.now() - started < 4_000, "it has waited for a server that has gone");
});
