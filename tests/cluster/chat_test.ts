/**
 * The example chat, as people use it: in a browser, on three nodes, some of which die.
 *
 * Needs Chromium on the PATH. Without it the tests in a browser are skipped, except where `CI` is
 * `true`: there they fail.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { planCluster } from "../../examples/chat/cluster_plan.ts";
import { NodeProcess } from "../../examples/chat/node_process.ts";
import { Middle } from "../mesh/_middle.ts";
import { ChatClient } from "./_chat_client.ts";
import { ChatCluster, within } from "./_chat_cluster.ts";
import { ChatDemo } from "./_chat_demo.ts";
import { hears, inBrowser, say, seesNode, skipped } from "./_chat_page.ts";

Deno.test({
  name: "chat: pages on two nodes talk, and a message shows the node it came in through",
  ignore: skipped,
  fn: () =>
    inBrowser(async (cluster, visit) => {
      const ada = await visit(cluster.url(0), "Ada");
      const mateo = await visit(cluster.url(1), "Mateo");
      await seesNode(ada, "chat-1", "here");
      await seesNode(ada, "chat-2", "connected");
      await seesNode(mateo, "chat-2", "here");

      await say(ada, "hello from one");
      await hears(mateo, { text: "hello from one", author: "Ada", node: "chat-1" });
      await say(mateo, "and from two");
      await hears(ada, { text: "and from two", author: "Mateo", node: "chat-2" });

      const markup = `<img src=x onerror="document.title='owned'"><b>bold</b>`;
      await say(ada, markup);
      await hears(mateo, { text: markup, author: "Ada", node: "chat-1" });
      assertEquals(await mateo.locator(".log :is(img, b)").count(), 0);

      await ada.getByLabel("Join another room").fill("garden");
      await ada.getByRole("button", { name: "Join", exact: true }).click();
      await say(ada, "is anybody here?");
      await hears(ada, { text: "is anybody here?", author: "Ada", node: "chat-1" });
      await ada.getByRole("button", { name: "lobby", exact: true }).click();
      await say(ada, "nobody there");
      await hears(mateo, { text: "nobody there", author: "Ada", node: "chat-1" });
      assertEquals(await mateo.getByText("is anybody here?").count(), 0);
    }),
});

Deno.test({
  name:
    "chat: the other nodes go on when a node is killed, and its pages take part when it returns",
  ignore: skipped,
  fn: () =>
    inBrowser(async (cluster, visit) => {
      const ada = await visit(cluster.url(0), "Ada");
      const mateo = await visit(cluster.url(1), "Mateo");
      await seesNode(ada, "chat-3", "connected");

      await cluster.nodes[2].kill();
      await seesNode(ada, "chat-3", "away");
      await seesNode(mateo, "chat-3", "away");
      await say(ada, "we go on");
      await hears(mateo, { text: "we go on", author: "Ada", node: "chat-1" });

      await cluster.startAgain(2);
      await seesNode(ada, "chat-3", "connected");
      await seesNode(mateo, "chat-3", "connected");
      const noor = await visit(cluster.url(2), "Noor");
      await say(noor, "here I am");
      await hears(ada, { text: "here I am", author: "Noor", node: "chat-3" });
      await say(mateo, "welcome back");
      await hears(noor, { text: "welcome back", author: "Mateo", node: "chat-2" });
    }),
});

Deno.test({
  name: "chat: a page whose node is killed moves to another, and loses no typed message",
  ignore: skipped,
  fn: () =>
    inBrowser(async (cluster, visit) => {
      const ada = await visit(cluster.url(0), "Ada");
      const mateo = await visit(cluster.url(1), "Mateo");
      await say(mateo, "soon I'll be gone");
      await hears(ada, { text: "soon I'll be gone", author: "Mateo", node: "chat-2" });

      await cluster.nodes[1].kill();
      await say(mateo, "said in between");
      await mateo.getByRole("textbox", { name: "Message" }).fill("half a sente");

      // It tries the other nodes first: which of them is left to chance.
      await mateo.getByText("You are back").waitFor();
      await mateo.locator(".message:not(.pending)").getByText("said in between").waitFor();
      const node = await mateo.locator('#nodes [data-state="here"]').getAttribute("data-node");
      assertMatch(node ?? "", /^chat-[13]@/);
      await hears(ada, { text: "said in between", author: "Mateo", node: node?.slice(0, 6) ?? "" });
      assertEquals(
        await mateo.getByRole("textbox", { name: "Message" }).inputValue(),
        "half a sente",
      );
      await say(ada, "there you are");
      await hears(mateo, { text: "there you are", author: "Ada", node: "chat-1" });
    }),
});

Deno.test("chat: an eavesdropper between two nodes can read none of their messages", async () => {
  const { cookie, nodes: [one, two] } = planCluster(2);
  const heard = "the password is swordfish";
  await using first = new NodeProcess(one, { cookie, nodes: [one] });
  await within("the first node", first.ready(0));
  const [, port] = one.name.split(":");
  await using middle = await Middle.start({ hostname: "127.0.0.1", port: Number(port) });
  // The second node knows the first by an address that is not its own.
  const detour = { ...one, name: middle.address };
  await using second = new NodeProcess(two, { cookie, nodes: [two, detour] });
  await within("two nodes linked", Promise.all([first.ready(1), second.ready(1)]));

  await using ada = await ChatClient.join(one.url, "Ada", "lobby");
  await using mateo = await ChatClient.join(two.url, "Mateo", "lobby");
  ada.send({ type: "say", room: "lobby", text: heard, id: "12345678" });
  assertEquals((await mateo.next("said")).text, heard);
  for (const text of [heard, "lobby", one.name]) assertEquals(middle.hasRead(text), false);
  // What was recorded is this very conversation: there is no other link.
  assertEquals(middle.connections, 1);
});

Deno.test("chat: bad input gets an answer, and does not affect anybody else", async () => {
  await using cluster = await ChatCluster.start();
  await using here = await ChatClient.join(cluster.url(0), "Ada", "lobby");
  await using there = await ChatClient.join(cluster.url(1), "Mateo", "lobby");

  const closing: [string | Uint8Array<ArrayBuffer>, number][] = [
    [new Uint8Array([1, 2, 3]), 1003],
    [new Uint8Array(16 * 1024), 1003],
    [new Uint8Array(1_000_000), 1009],
    ["x".repeat(16 * 1024 + 1), 1009],
    ["x".repeat(5_000_000), 1009],
  ];
  for (const [data, code] of closing) {
    await using client = await ChatClient.join(cluster.url(0), "Eve", "elsewhere");
    client.sendRaw(data);
    assertEquals((await client.closed()).code, code);
  }

  for (const [json, message] of BAD_FRAMES) {
    await using client = await ChatClient.join(cluster.url(0), "Eve", "elsewhere");
    client.sendRaw(json);
    const error = await client.next("error");
    assertEquals(error.code, "bad-frame", json);
    assertStringIncludes(error.message, message, json);
    await client.ping();
  }

  // All of them came from one address, and so do these: the node serves it no worse.
  here.send({ type: "say", room: "lobby", text: "x".repeat(2000), id: "12345678" });
  assertEquals((await there.next("said")).text.length, 2000);
  there.send({ type: "say", room: "lobby", text: "\0<&>\n", id: "12345679" });
  assertEquals((await here.next("said")).name, "Ada");
  assertEquals((await here.next("said")).text, "\0<&>\n");
});

const BAD_FRAMES: [json: string, message: string][] = [
  ["", "JSON"],
  ["{", "JSON"],
  ["null", "object"],
  ["[]", "object"],
  ["7", "object"],
  ["{}", "type"],
  [`{"type":"constructor"}`, "type"],
  [`{"type":"hello"}`, "name must be a string"],
  [`{"type":"hello","name":{}}`, "name must be a string"],
  [`{"type":"hello","name":" "}`, "name must not be empty"],
  [`{"type":"hello","name":"${"x".repeat(41)}"}`, "name must have at most 40"],
  [`{"type":"hello","name":"\\ud800"}`, "name must be well-formed"],
  [`{"type":"join","room":"\\u0000"}`, "room must have no control characters"],
  [`{"type":"join","room":["lobby"]}`, "room must be a string"],
  [`{"type":"leave","room":"${"x".repeat(61)}"}`, "room must have at most 60"],
  [`{"type":"say","room":"elsewhere","text":1,"id":"12345678"}`, "text must be a string"],
  [
    `{"type":"say","room":"elsewhere","text":"${"x".repeat(2001)}","id":"12345678"}`,
    "text must have at most 2000",
  ],
  [
    `{"type":"say","room":"elsewhere","text":"\\udc00","id":"12345678"}`,
    "text must be well-formed",
  ],
  [`{"type":"say","room":"elsewhere","text":"hi","id":"no"}`, "id must be"],
];

Deno.test("chat: a client can speak only after saying hello, in rooms that it has joined", async () => {
  await using cluster = await ChatCluster.start();
  await using client = await ChatClient.connect(cluster.url(0));
  const say = { type: "say", room: "lobby", text: "hi", id: "12345678" } as const;
  client.send(say);
  assertEquals((await client.next("error")).message, "say hello first");
  client.send({ type: "hello", name: "Eve" });
  client.send(say);
  const error = await client.next("error");
  assertEquals([error.message, error.id], ["join lobby first", say.id]);
  client.send({ type: "hello", name: "Ada" });
  assertEquals((await client.next("error")).code, "not-allowed");
});

Deno.test("chat: a client that sends too much is slowed down and then closed, and the others are not", async () => {
  await using cluster = await ChatCluster.start();
  await using here = await ChatClient.join(cluster.url(0), "Ada", "lobby");
  await using there = await ChatClient.join(cluster.url(1), "Mateo", "lobby");
  await using eve = await ChatClient.join(cluster.url(0), "Eve", "lobby");
  const answers = new Set<string>();
  eve.send({ type: "ping" });
  for (let frame; (frame = await eve.nextOrClosed());) {
    answers.add(frame.type === "error" ? frame.code : frame.type);
    eve.send({ type: "ping" });
  }
  assertEquals(answers, new Set(["pong", "slow-down"]));
  assertEquals((await eve.closed()).code, 1008);

  // One who does not even listen is cut off, and may not hear the reason.
  await using flood = await ChatClient.join(cluster.url(0), "Eve", "lobby");
  for (let count = 0; count < 10_000; count++) flood.send({ type: "ping" });
  await flood.closed();
  here.send({ type: "say", room: "lobby", text: "quiet again", id: "12345678" });
  assertEquals((await there.next("said")).text, "quiet again");
});

Deno.test("chat: a WebSocket is for pages of the chat, not for those of other sites", async () => {
  await using cluster = await ChatCluster.start();
  const [own, other] = [cluster.url(0), cluster.url(1)];
  assertEquals(await upgrade(own, own), 101);
  assertEquals(await upgrade(own, other), 101);
  assertEquals(await upgrade(own, other.replace("127.0.0.1", "localhost")), 101);
  assertEquals(await upgrade(own, "http://127.0.0.1:1"), 403);
  assertEquals(await upgrade(own, "https://example.com"), 403);
  assertEquals(await upgrade(own, "null"), 403);

  const page = await fetch(own);
  assertEquals(page.status, 200);
  assertStringIncludes(page.headers.get("content-security-policy") ?? "", "default-src 'none'");
  assertEquals(page.headers.get("x-content-type-options"), "nosniff");
  await page.body?.cancel();
  const plain = await fetch(new URL("/chat", own));
  assertEquals(plain.status, 426);
  await plain.body?.cancel();
});

Deno.test("chat: a node without a cookie says so and does not start", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-env=ROOMCAST_COOKIE",
      new URL("../../examples/chat/server.ts", import.meta.url).href,
      "--name=chat-1@127.0.0.1:9001",
      "--http=8001",
    ],
    env: { ROOMCAST_COOKIE: "" },
  }).output();
  assertEquals(code, 1);
  assertStringIncludes(new TextDecoder().decode(stderr), "ROOMCAST_COOKIE is not set");
});

Deno.test("chat: Ctrl-C ends the demo with all its nodes, even one that is stuck", async () => {
  await using demo = await ChatDemo.start();
  demo.signalNode(1, "SIGSTOP");
  demo.signal("SIGINT");
  assertEquals((await demo.ended()).code, 0);
  await demo.nodesEnd();
});

Deno.test("chat: a demo that is killed leaves no node behind", async () => {
  await using demo = await ChatDemo.start();
  demo.signal("SIGKILL");
  await demo.ended();
  await demo.nodesEnd();
});

Deno.test("chat: the demo goes on when a node is killed", async () => {
  await using demo = await ChatDemo.start();
  demo.signalNode(2, "SIGKILL");
  await demo.prints(/The chat goes on with chat-1 and chat-2/);
  const page = await fetch(demo.urls[0]);
  assertEquals(page.status, 200);
  await page.body?.cancel();
});

/** Asks for a WebSocket on behalf of a page from `origin`. Gives the status of the answer. */
async function upgrade(url: string, origin: string): Promise<number> {
  const { hostname, port, host } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const request = [
    "GET /chat HTTP/1.1",
    `Host: ${host}`,
    `Origin: ${origin}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  await connection.write(new TextEncoder().encode(request.join("\r\n") + "\r\n\r\n"));
  const answer = new Uint8Array(64);
  await connection.read(answer);
  return Number(new TextDecoder().decode(answer).split(" ")[1]);
}
