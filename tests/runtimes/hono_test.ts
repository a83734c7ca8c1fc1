/** The Hono example on Node.js and on Bun, beside the one on Deno that tests/cluster attacks. */

import { assertEquals } from "@std/assert";
import { join } from "node:path/posix";
import config from "../../deno.json" with { type: "json" };
import { freePort } from "../cluster/_process.ts";
import { COOKIE } from "../mesh/_cluster.ts";
import { findRuntime, install, type RuntimeName } from "./_find.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const PACKAGES = ["hono", "@hono/node-server"] as const;
const PARTS = [
  ...["mod.ts", "backplane", "codec", "mesh", "presence", "rooms", "telemetry", "websocket"],
  "examples/hono",
];

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}

/** A copy of the tree, where the packages can be found. */
async function copyTree(): Promise<string> {
  const versions = PACKAGES.map((name) => [name, config.imports[name].split("@").at(-1) ?? ""]);
  const folder = await install("hono", Object.fromEntries(versions));
  const tree = await Deno.makeTempDir({ dir: folder });
  await Deno.mkdir(join(tree, "examples"));
  for (const part of PARTS) await copy(join(ROOT, part), join(tree, part));
  await Deno.writeTextFile(join(tree, "package.json"), `{ "type": "module" }`);
  return tree;
}

function opened(url: string): Promise<WebSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  const socket = new WebSocket(url);
  socket.onopen = () => resolve(socket);
  socket.onerror = () => reject(new Error(`no WebSocket at ${url}`));
  return promise;
}

/** Connects once the server listens. */
async function connect(url: string): Promise<WebSocket> {
  for (;;) {
    try {
      return await opened(url);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

Deno.test("the hono example on Node.js and the one on Bun form one cluster", async () => {
  const tree = await copyTree();
  const meshPorts = [freePort(), freePort()];
  const ports = [freePort(), freePort()];
  const names: RuntimeName[] = ["node", "bun"];
  const servers: Deno.ChildProcess[] = [];
  for (const [i, name] of names.entries()) {
    const command = new Deno.Command(await findRuntime(name), {
      args: [join(tree, "examples/hono/server.ts")],
      env: {
        NODE_NAME: `${name}@127.0.0.1:${meshPorts[i]}`,
        ROOMCAST_COOKIE: COOKIE,
        PORT: String(ports[i]),
        SEEDS: meshPorts.map((port) => `127.0.0.1:${port}`).join(),
        NODE_NO_WARNINGS: "1",
      },
      stdout: "null",
    });
    servers.push(command.spawn());
  }
  const sockets = await Promise.all(ports.map((port) => {
    return connect(`ws://127.0.0.1:${port}/rooms/lobby`);
  }));
  const heard = sockets.map((socket) => {
    return new Promise((resolve) => socket.onmessage = ({ data }) => resolve(data));
  });

  // The link may still be in the making: a request to Hono tells when it is up.
  const post = async () => {
    const url = `http://127.0.0.1:${ports[0]}/rooms/lobby`;
    return await (await fetch(url, { method: "POST", body: "hello" })).json();
  };
  while ((await post()).peers === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(await Promise.all(heard), ["hello", "hello"]);

  const closed = sockets.map((socket) => {
    return new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  });
  for (const server of servers) server.kill("SIGTERM");
  assertEquals((await Promise.all(closed)).map(({ code }) => code), [1012, 1012]);
  for (const server of servers) assertEquals((await server.status).success, true);
  await Deno.remove(tree, { recursive: true });
});
