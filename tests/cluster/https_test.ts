/** The endpoint behind `node:https`, beside an app on the same port: two lines of the examples changed. */

import { assertEquals } from "@std/assert";
import { WebSocket as WsClient } from "ws";
import { within } from "./_chat_cluster.ts";
import { ExampleProcess } from "./_example_process.ts";
import type { ExampleServer } from "./_example_servers.ts";
import { exampleOf } from "./_recipe.ts";

const ROOT = new URL("../../", import.meta.url).href;
const TLS = new URL("../testdata/tls/", import.meta.url);

/** Signed by a CA that nobody knows but this test. */
const CA = Deno.readTextFileSync(new URL("ca.pem", TLS));

async function behindHttps(example: ExampleServer): Promise<ExampleServer> {
  if (!("file" in example.source)) throw new Error(`${example.label} is no file`);
  const read = (name: string) => `Deno.readTextFileSync(new URL("${new URL(name, TLS)}"))`;
  const options = `{ key: ${read("loopback.key")}, cert: ${read("loopback.pem")} }`;
  const code = (await Deno.readTextFile(example.source.file))
    .replace(`from "node:http"`, `from "node:https"`)
    .replace(/, type IncomingMessage, type ServerResponse/, "")
    .replace(/\bcreateServer\((?!\{)/, `createServer(${options}, `)
    .replaceAll(`"../../`, `"${ROOT}`);
  return { ...example, source: { code } };
}

function open(port: number, path: string): Promise<WsClient> {
  const socket = new WsClient(`wss://127.0.0.1:${port}${path}`, { ca: CA });
  const opened = new Promise<WsClient>((resolve, reject) => {
    socket.once("open", () => resolve(socket)).once("error", reject);
  });
  return within("a WebSocket over TLS", opened);
}

for (const name of ["hono", "express"]) {
  Deno.test(`the ${name} example works over node:https`, async () => {
    const example = await behindHttps(await exampleOf(`examples/${name}/`));
    await using server = await ExampleProcess.start(example);
    const url = `https://127.0.0.1:${server.port}`;
    using client = Deno.createHttpClient({ caCerts: [CA] });

    const ready = await fetch(`${url}/ready`, { client });
    assertEquals([ready.status, await ready.text()], [200, ""]);

    const [one, two] = [
      await open(server.port, example.path),
      await open(server.port, example.path),
    ];
    const heard: string[] = [];
    const bothHeard = new Promise<void>((resolve) => {
      two.on("message", (data: unknown) => heard.push(String(data)) === 2 && resolve());
    });
    one.send("over a socket");
    const posted = await fetch(`${url}/rooms/lobby`, {
      method: "POST",
      body: "by request",
      client,
    });
    assertEquals((await posted.json()).sent, 2);
    await within("both messages", bothHeard);
    assertEquals(heard.sort(), ["by request", "over a socket"]);

    for (const socket of [one, two]) {
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.close();
      await closed;
    }
    assertEquals((await server.stop()).code, 0);
  });
}
