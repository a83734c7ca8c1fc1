import { assertEquals } from "@std/assert";
import { COOKIE } from "../mesh/_cluster.ts";
import { freePort } from "./_process.ts";

/** The README's example as it stands there, but for ports that are free and the tree beside it. */
async function readmeExample(ports: readonly number[]): Promise<string> {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const [, example] = readme.match(/```ts[^\n]*\n(.*?)```/s) ?? [];
  return example
    .replace("jsr:@roomcast/roomcast", new URL("../../mod.ts", import.meta.url).href)
    .replace(
      /seeds: \[.*?\]/,
      `seeds: ${JSON.stringify(ports.map((port) => `127.0.0.1:${port}`))}`,
    );
}

function next<T extends Event>(target: EventTarget, type: string): Promise<T> {
  return new Promise((resolve) => {
    target.addEventListener(type, (event) => resolve(event as T), { once: true });
  });
}

Deno.test("the README's example works as it stands: two processes of it are one chat", async () => {
  const meshPorts = [freePort(), freePort()];
  const httpPorts = [freePort(), freePort()];
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(script, await readmeExample(meshPorts));
  const servers = meshPorts.map((port, i) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--allow-net", "--allow-env", script],
      env: {
        NODE_NAME: `chat-${i + 1}@127.0.0.1:${port}`,
        ROOMCAST_COOKIE: COOKIE,
        PORT: String(httpPorts[i]),
      },
      stdout: "null",
      stderr: "piped",
    }).spawn()
  );
  // "Listening on …": from here on it can be connected to.
  const readers = servers.map((server) => server.stderr.getReader());
  await Promise.all(readers.map((reader) => reader.read()));

  const plain = await fetch(`http://127.0.0.1:${httpPorts[0]}/lobby`);
  assertEquals(await plain.text(), "a WebSocket, please");
  const [one, two, rude] = [0, 1, 0].map((i) => {
    return new WebSocket(`ws://127.0.0.1:${httpPorts[i]}/lobby`);
  });
  await Promise.all([one, two, rude].map((socket) => next(socket, "open")));

  const closed = next<CloseEvent>(rude, "close");
  rude.send(new Uint8Array([1, 2, 3]));
  assertEquals((await closed).code, 1008);

  // The nodes may still be shaking hands: what is said before that is heard by nobody.
  const heard = next<MessageEvent>(two, "message");
  const talking = setInterval(() => one.send("hello"), 20);
  assertEquals((await heard).data, "hello");
  clearInterval(talking);

  for (const socket of [one, two]) {
    socket.close();
    await next(socket, "close");
  }
  for (const [i, server] of servers.entries()) {
    server.kill();
    await readers[i].cancel();
    await server.status;
  }
  await Deno.remove(script);
});
