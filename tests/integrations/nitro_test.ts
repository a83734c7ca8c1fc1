/** The Nitro example, built with Nitro, as two servers on Node.js. */

import { assertEquals } from "@std/assert";
import { join } from "node:path/posix";
import manifest from "../../examples/nitro/package.json" with { type: "json" };
import { within } from "../cluster/_chat_cluster.ts";
import { attacks } from "../cluster/_hostile_client.ts";
import { visit } from "../cluster/_visitor.ts";
import { copyTree, ExampleServer } from "../runtimes/_example.ts";
import { run } from "../runtimes/_run.ts";

const PATH = "/chat";

/** Builds the example, and gives the server's file and the folder to be removed. */
async function build(): Promise<{ tree: string; file: string }> {
  const examples = ["examples/nitro", "examples/crossws"];
  const tree = await copyTree("nitro", manifest.dependencies, examples);
  const folder = join(tree, "examples/nitro");
  await run(join(tree, "../node_modules/.bin/nitro"), ["build"], folder);
  return { tree, file: join(folder, ".output/server/index.mjs") };
}

function closeCode(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => socket.onclose = ({ code }) => resolve(code));
}

Deno.test("a message published on a Nitro server reaches the clients of another", async () => {
  await using stack = new AsyncDisposableStack();
  const { tree, file } = await build();
  stack.defer(() => Deno.remove(tree, { recursive: true }));
  const one = stack.use(await ExampleServer.start("node", file));
  const two = stack.use(await ExampleServer.start("node", file, [one.address]));
  const ann = await within("a client of one", one.connect(PATH));
  const ben = await within("a client of the other", two.connect(PATH));

  const heard: unknown[] = [];
  const ended = new Promise<void>((resolve) => {
    ben.onmessage = ({ data }) => {
      heard.push(data);
      if (data === "end") resolve();
    };
  });
  // The link may still be in the making.
  const found = new Promise((resolve) => ben.addEventListener("message", resolve, { once: true }));
  const calling = setInterval(() => ann.send("hello?"), 20);
  await within("the other server hearing", found);
  clearInterval(calling);
  for (const text of ["é😀", "x".repeat(9_000), "end"]) ann.send(text);
  await within("the end", ended);
  assertEquals(heard.filter((text) => text !== "hello?"), ["é😀", "x".repeat(9_000), "end"]);

  // Too long a message, and a route without WebSockets, end only their own client's connection.
  const cem = await within("a third client", one.connect(PATH));
  cem.send("x".repeat(10_001));
  assertEquals(await within("a client being cut off", closeCode(cem)), 1009);
  const elsewhere = new WebSocket(`ws://127.0.0.1:${one.port}/elsewhere`);
  const refused = new Promise((resolve, reject) => {
    elsewhere.onerror = resolve;
    elsewhere.onopen = () => reject(new Error("it is let in"));
  });
  await within("a client being refused", refused);

  // When a server stops, its clients are told to come back.
  const closing = Promise.all([ann, ben].map(closeCode));
  await within("both servers ending", Promise.all([one.stop(), two.stop()]));
  assertEquals(await closing, [1012, 1012]);
});

Deno.test("the Nitro example survives a hostile client", async () => {
  await using stack = new AsyncDisposableStack();
  const { tree, file } = await build();
  stack.defer(() => Deno.remove(tree, { recursive: true }));
  const server = stack.use(await ExampleServer.start("node", file));
  (await within("a first client", server.connect(PATH))).close();
  const target = { port: server.port, path: PATH };
  for (const { name, run } of attacks()) {
    await run(target);
    try {
      await visit(target, "rooms", `after ${name}`);
    } catch (cause) {
      throw new Error(`it does not survive ${name}`, { cause });
    }
  }
});
