/** What a supervisor, a balancer and Prometheus ask of the servers in docs/recipes.md. */

import { assertEquals, assertMatch } from "@std/assert";
import { within } from "./_chat_cluster.ts";
import { ExampleProcess } from "./_example_process.ts";
import { exampleOf, programOf } from "./_recipe.ts";

async function statusOf({ port }: ExampleProcess, path: string): Promise<number> {
  // A connection that is kept would keep the server from ending.
  const headers = { connection: "close" };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  await response.body?.cancel();
  return response.status;
}

/** Asks until the answer is `status`. */
async function becomes(server: ExampleProcess, path: string, status: number): Promise<void> {
  while (await statusOf(server, path) !== status) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Opens a WebSocket. `closed` resolves with its close code. */
async function open({ port }: ExampleProcess): Promise<{ closed: Promise<number> }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  const closed = new Promise<number>((resolve) => socket.onclose = ({ code }) => resolve(code));
  await new Promise((resolve) => socket.onopen = resolve);
  return { closed };
}

Deno.test("a server is alive at once, ready when it has tried its seeds, and not while it drains", async () => {
  const example = await exampleOf("docs/recipes.md", /"\/live"/);
  // A seed that takes the connection and says nothing.
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const dialled = silent.accept();
  const seeds = [`127.0.0.1:${silent.addr.port}`];
  await using server = await ExampleProcess.start(example, { seeds });
  const connection = await within("a dial to the seed", dialled);
  assertEquals([await statusOf(server, "/live"), await statusOf(server, "/ready")], [200, 503]);
  connection.close();
  silent.close();
  await within("readiness", becomes(server, "/ready", 200));

  const sockets = await Promise.all([1, 2, 3, 4].map(() => open(server)));
  const stopped = server.stop();
  await within("draining", becomes(server, "/ready", 503));
  assertEquals(await statusOf(server, "/live"), 200);
  assertEquals(await Promise.all(sockets.map(({ closed }) => closed)), [1012, 1012, 1012, 1012]);
  assertEquals((await stopped).code, 0, server.said.join("\n"));
});

Deno.test("Prometheus gets the metrics from the server of the recipe", async () => {
  const program = await programOf("docs/recipes.md", /PrometheusExporter/);
  await using server = await ExampleProcess.start(program);
  const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
  assertMatch(response.headers.get("content-type") ?? "", /^text\/plain\b/);
  assertMatch(await response.text(), /^roomcast_sockets\{.*\} 0$/m);
  assertEquals(await statusOf(server, "/elsewhere"), 404);
});
