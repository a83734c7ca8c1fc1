/** The Hono example on Node.js and on Bun, beside the one on Deno that tests/cluster attacks. */

import { assertEquals } from "@std/assert";
import { join } from "node:path/posix";
import config from "../../deno.json" with { type: "json" };
import { copyTree, ExampleServer } from "./_example.ts";

const PACKAGES = ["hono", "@hono/node-server"] as const;

Deno.test("the hono example on Node.js and the one on Bun form one cluster", async () => {
  await using stack = new AsyncDisposableStack();
  const versions = PACKAGES.map((name) => [name, config.imports[name].split("@").at(-1) ?? ""]);
  const tree = await copyTree("hono", Object.fromEntries(versions), ["examples/hono"]);
  stack.defer(() => Deno.remove(tree, { recursive: true }));
  const file = join(tree, "examples/hono/server.ts");
  const one = stack.use(await ExampleServer.start("node", file));
  const two = stack.use(await ExampleServer.start("bun", file, [one.address]));
  const sockets = [await one.connect("/rooms/lobby"), await two.connect("/rooms/lobby")];
  const heard = sockets.map((socket) => {
    return new Promise((resolve) => socket.onmessage = ({ data }) => resolve(data));
  });

  // The link may still be in the making: a request to Hono tells when it is up.
  const post = async () => {
    const url = `http://127.0.0.1:${one.port}/rooms/lobby`;
    return await (await fetch(url, { method: "POST", body: "hello" })).json();
  };
  while ((await post()).peers === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(await Promise.all(heard), ["hello", "hello"]);

  const closed = sockets.map((socket) => {
    return new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  });
  await Promise.all([one.stop(), two.stop()]);
  assertEquals((await Promise.all(closed)).map(({ code }) => code), [1012, 1012]);
});
