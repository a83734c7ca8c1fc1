import { assert, assertEquals } from "@std/assert";

/**
 * The tree is served over HTTP, and a process that has nothing else (no configuration, no import
 * map, no cache, no npm, an empty directory) imports it by URL.
 */

const ROOT = new URL("../", import.meta.url);

/** What the process runs. `HOST` stands for where the tree is. */
const PROGRAM = `
import { encodeFrame, FrameDecoder } from "HOST/codec/mod.ts";
import {
  decodeRoomBroadcast,
  encodeRoomBroadcast,
  FrameError,
  type MeshOptions,
  type RoomSocket,
  Rooms,
  startMesh,
} from "HOST/mod.ts";

class Socket implements RoomSocket {
  readonly readyState = 1;
  readonly bufferedAmount = 0;
  readonly #heard = Promise.withResolvers<string>();
  readonly heard: Promise<string> = this.#heard.promise;
  send(data: string): void {
    this.#heard.resolve(data);
  }
  close(): void {}
  addEventListener(): void {}
}

const [payload] = new FrameDecoder().push(encodeFrame(encodeRoomBroadcast("部屋", "héllo 🎉")));
const decoded = decodeRoomBroadcast(payload);
let code = "";
try {
  decodeRoomBroadcast(payload.subarray(0, 5));
} catch (error) {
  if (error instanceof FrameError) code = error.code;
}

const cookie = "a secret of 16 bytes or more";
const options: MeshOptions = { name: "a@127.0.0.1:0", cookie };
await using a = await startMesh(options);
await using b = await startMesh({ name: "b@127.0.0.1:0", cookie, seeds: [] });
const roomsOnA = new Rooms<Socket>({ backplane: a });
const roomsOnB = new Rooms<Socket>({ backplane: b });
const [near, far] = [new Socket(), new Socket()];
roomsOnA.join(near, "lobby");
roomsOnB.join(far, "lobby");
const { name } = await a.connect(b.name);
const report = roomsOnA.broadcast("lobby", "from a to b");
const heard = await Promise.all([near.heard, far.heard]);

console.log(JSON.stringify({ decoded, code, linked: name === b.name, report, heard }));
`;

/** Serves the files of the tree, and remembers what was asked for. */
function serveTree(): { server: Deno.HttpServer<Deno.NetAddr>; requested: string[] } {
  const requested: string[] = [];
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  const server = Deno.serve(options, async ({ url }) => {
    const { pathname } = new URL(url);
    requested.push(pathname);
    try {
      const source = await Deno.readTextFile(new URL(`.${pathname}`, ROOT));
      return new Response(source, { headers: { "content-type": "application/typescript" } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
  return { server, requested };
}

/** Runs a program in an empty directory with an empty cache. It may import from `host` only. */
async function runAlone(
  program: string,
  host: string,
): Promise<{ success: boolean; stdout: string; stderr: string }> {
  const directory = await Deno.makeTempDir({ prefix: "roomcast_import_" });
  const cache = await Deno.makeTempDir({ prefix: "roomcast_cache_" });
  try {
    await Deno.writeTextFile(`${directory}/main.ts`, program);
    const command = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        ...["--no-config", "--no-lock", "--no-npm", "--no-prompt", "--check=all"],
        `--allow-import=${host}`,
        "--allow-net=127.0.0.1",
        "main.ts",
      ],
      cwd: directory,
      clearEnv: true,
      env: { DENO_DIR: cache, NO_COLOR: "1", HOME: directory, PATH: "" },
      stdin: "null",
    });
    const { success, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } finally {
    await Deno.remove(directory, { recursive: true });
    await Deno.remove(cache, { recursive: true });
  }
}

Deno.test("mod.ts can be imported by URL, without an import map", async () => {
  const { server, requested } = serveTree();
  await using _ = server;
  const host = `127.0.0.1:${server.addr.port}`;
  const program = PROGRAM.replaceAll("HOST", `http://${host}`);
  const { success, stdout, stderr } = await runAlone(program, host);

  assert(success, stderr);
  assertEquals(JSON.parse(stdout), {
    decoded: { room: "部屋", message: "héllo 🎉" },
    code: "truncated",
    linked: true,
    report: { sent: 1, slow: 0, failed: 0, peers: 1, dropped: 0 },
    heard: ["from a to b", "from a to b"],
  });

  const allowed =
    /^\/(mod\.ts|(codec|backplane|brokers|rooms|websocket|presence|mesh|telemetry)\/\w+\.ts)$/;
  assertEquals(requested.filter((path) => !allowed.test(path)), []);
  for (const path of ["/mod.ts", "/codec/mod.ts", "/rooms/mod.ts", "/mesh/mod.ts"]) {
    assert(requested.includes(path), `${path} was not loaded`);
  }
});

Deno.test("a server may send modules with each of the types that the docs name", async () => {
  const page = await Deno.readTextFile(new URL("docs/deploy.md", ROOT));
  const [, list = ""] = /must send `\.ts` files as (.*?) or\s+without a type/s.exec(page) ?? [];
  const types = Array.from(list.matchAll(/`(\S+\/\S+)`/g), ([, type]) => type);
  assert(types.length >= 4, `docs/deploy.md names only ${types}`);
  const bad = "text/vnd.trolltech.linguist";
  await Promise.all([...types, undefined, bad].map(async (type) => {
    const headers = new Headers(type === undefined ? {} : { "content-type": type });
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    await using server = Deno.serve(options, () => {
      // Bytes, as a text would be given a type.
      const module = new TextEncoder().encode(`export const text: string = "imported";`);
      return new Response(module, { headers });
    });
    const host = `127.0.0.1:${server.addr.port}`;
    const program = `import { text } from "http://${host}/mod.ts"; console.log(text);`;
    const { stdout, stderr } = await runAlone(program, host);
    assertEquals(stdout, type === bad ? "" : "imported\n", `${type}: ${stderr}`);
  }));
});

/** Imports each broker's backplane by itself. `HOST` stands for where the tree is. */
const BROKERS_PROGRAM = `
import { type NatsConnection, natsBackplane } from "HOST/brokers/nats.ts";
import { redisBackplane, type RedisPublisher } from "HOST/brokers/redis.ts";

const types: [NatsConnection?, RedisPublisher?] = [];
const functions = [natsBackplane, redisBackplane].map((each) => typeof each);
console.log(JSON.stringify({ functions, types }));
`;

Deno.test("the brokers' backplanes can be imported by URL, and load no broker's client", async () => {
  const { server, requested } = serveTree();
  await using _ = server;
  const host = `127.0.0.1:${server.addr.port}`;
  const program = BROKERS_PROGRAM.replaceAll("HOST", `http://${host}`);
  const { success, stdout, stderr } = await runAlone(program, host);

  assert(success, stderr);
  assertEquals(JSON.parse(stdout), { functions: ["function", "function"], types: [] });
  const allowed = /^\/(codec|backplane|brokers)\/\w+\.ts$/;
  assertEquals(requested.filter((path) => !allowed.test(path)), []);
});

/** A cluster of two in a simulation. `HOST` stands for where the tree is. */
const TESTING_PROGRAM = `
import { startMesh } from "HOST/mod.ts";
import { Simulation } from "HOST/testing/mod.ts";

const simulation = new Simulation({ seed: 7 });
const cookie = "a secret of 16 bytes or more";
const seeds = ["10.0.0.1:9000"];
const [a, b] = await Promise.all(["10.0.0.1", "10.0.0.2"].map((hostname) =>
  startMesh({ name: "n@" + hostname + ":9000", cookie, seeds, ...simulation.startHost(hostname).options })
));
await simulation.runUntil(() => a.peers.length === 1 && b.peers.length === 1);
await simulation.complete(Promise.all([a.shutdown(), b.shutdown()]));
console.log("linked");
`;

Deno.test("the simulation for users' own tests can be imported by URL too", async () => {
  const { server, requested } = serveTree();
  await using _ = server;
  const host = `127.0.0.1:${server.addr.port}`;
  const program = TESTING_PROGRAM.replaceAll("HOST", `http://${host}`);
  const { success, stdout, stderr } = await runAlone(program, host);

  assert(success, stderr);
  assertEquals(stdout, "linked\n");
  const allowed =
    /^\/(mod\.ts|(codec|backplane|brokers|rooms|websocket|presence|mesh|telemetry|testing)\/\w+\.ts)$/;
  assertEquals(requested.filter((path) => !allowed.test(path)), []);
});

Deno.test("the process of these tests can import from nowhere else", async () => {
  const { server, requested } = serveTree();
  await using _ = server;
  const host = `127.0.0.1:${server.addr.port}`;
  for (const specifier of ["@std/assert", "npm:fast-check@4.10.2", "jsr:@std/assert"]) {
    const { success } = await runAlone(`import * as it from "${specifier}"; it;`, host);
    assertEquals(success, false, specifier);
  }
  assertEquals(requested, []);
});
