/** The servers of README and docs, each as it stands there, as processes that form a cluster. */

import { assertEquals } from "@std/assert";
import { within } from "./_chat_cluster.ts";
import { ExampleProcess } from "./_example_process.ts";
import { exampleOf, programOf } from "./_recipe.ts";

/** What logEvents prints when there is a link. */
const LINKED = /chat-1@\S+ is linked/;

function next<T extends Event>(target: EventTarget, type: string): Promise<T> {
  const event = new Promise<T>((resolve) => {
    target.addEventListener(type, (event) => resolve(event as T), { once: true });
  });
  return within(type, event);
}

async function open(server: ExampleProcess, path: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`);
  await next(socket, "open");
  return socket;
}

/** Has `speaker` talk until `listener` hears it: the nodes may still be shaking hands. */
async function hears(listener: WebSocket, speaker: WebSocket, text: string): Promise<void> {
  const heard = next<MessageEvent>(listener, "message");
  const talking = setInterval(() => speaker.send(text), 20);
  try {
    assertEquals((await heard).data, text);
  } finally {
    clearInterval(talking);
  }
}

async function close(...sockets: WebSocket[]): Promise<void> {
  for (const socket of sockets) {
    const closed = next(socket, "close");
    socket.close();
    await closed;
  }
}

Deno.test("the README's first server is a chat on one node", async () => {
  await using server = await ExampleProcess.start(await exampleOf("README.md", /new Rooms\(\)/));
  const [one, two] = [await open(server, "/lobby"), await open(server, "/lobby")];
  await hears(two, one, "hello");
  await close(one, two);
});

Deno.test("two processes of the README's cluster form one chat", async () => {
  const example = await exampleOf("README.md", /startMesh/);
  await using first = await ExampleProcess.start(example);
  await using second = await ExampleProcess.start(example, { seeds: [first.address] });

  const plain = await fetch(`http://127.0.0.1:${first.port}/lobby`);
  assertEquals([plain.status, await plain.text()], [426, "WebSockets only"]);

  const [one, two] = [await open(first, "/lobby"), await open(second, "/lobby")];
  await hears(two, one, "hello");
  await hears(one, two, "hello yourself");

  const rude = await open(first, "/lobby");
  const closed = next<CloseEvent>(rude, "close");
  rude.send("x".repeat(10_001));
  assertEquals((await closed).code, 1009);
  await close(one, two);
});

Deno.test("two processes of the recipe for deno serve form one chat", async () => {
  const example = await exampleOf("docs/recipes.md", /Deno\.upgradeWebSocket/);
  await using first = await ExampleProcess.start(example);
  await using second = await ExampleProcess.start(example, { seeds: [first.address] });
  const [one, two] = [await open(first, "/lobby"), await open(second, "/lobby")];
  await hears(two, one, "hello");
  await close(one, two);
});

Deno.test("the recipe for signing out closes all sockets of that user, on all nodes", async () => {
  const example = await exampleOf("docs/recipes.md", /\.disconnect\(/);
  await using first = await ExampleProcess.start(example);
  await using second = await ExampleProcess.start(example, { seeds: [first.address] });
  await within("the link", Promise.all([first, second].map((node) => node.says(LINKED))));
  const sockets = [
    await open(first, "/ann"),
    await open(second, "/ann"),
    await open(second, "/bo"),
  ];
  const closed = sockets.slice(0, 2).map((socket) => next<CloseEvent>(socket, "close"));
  sockets[0].send("sign out");
  for (const event of closed) {
    const { code, reason } = await event;
    assertEquals([code, reason], [4001, "signed out"]);
  }
  assertEquals(sockets[2].readyState, WebSocket.OPEN);
  await close(sockets[2]);
});

Deno.test("Server-Sent Events of the recipe carry messages posted to another node, until a node drains", async () => {
  const program = await programOf("docs/recipes.md", /text\/event-stream/);
  await using first = await ExampleProcess.start(program);
  await using second = await ExampleProcess.start(program, { seeds: [first.address] });
  await within("the link", Promise.all([first, second].map((node) => node.says(LINKED))));
  const url = ({ port }: ExampleProcess) => `http://127.0.0.1:${port}/lobby`;
  const stream = await fetch(url(second));
  assertEquals(stream.headers.get("content-type"), "text/event-stream");
  const post = async (body: string) => {
    const response = await fetch(url(first), { method: "POST", body });
    await response.body?.cancel();
    return response.status;
  };

  assertEquals(await post("x".repeat(10_001)), 413);
  assertEquals(await post("one\ntwo"), 204);
  const reader = (stream.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())
    .getReader();
  assertEquals((await within("an event", reader.read())).value, "data: one\ndata: two\n\n");

  const { code } = await second.stop();
  assertEquals(code, 0, second.said.join("\n"));
  assertEquals((await within("the end of the stream", reader.read())).done, true);
});
