/** The package that npm gets from JSR, on Node.js and in a project with TypeScript. */

import { assertEquals } from "@std/assert";
import { join } from "node:path/posix";
import config from "../../deno.json" with { type: "json" };
import { findDrivers, findRuntime, install } from "./_find.ts";
import { type Manifest, writePackage } from "./_package.ts";
import { run } from "./_run.ts";

/** The last compiler that is written in TypeScript, and the one that is current. */
const COMPILERS = ["5.9.3", "7.0.2"] as const;
const NODE_TYPES = { "@types/node": "26.6.6" } as const;

/** Uses what most people use, and writes what it has found. */
const PROGRAM = `
import { acceptWebSocket, FrameError, Presence, Rooms, startMesh, type Mesh } from "NAME";
import { decodeRoomBroadcast } from "NAME/codec";

const cookie = "a secret of at least 16 bytes";
const a: Mesh = await startMesh({ name: "a@127.0.0.1:0", cookie });
const b: Mesh = await startMesh({ name: "b@127.0.0.1:0", cookie });
const { encrypted } = await a.connect(b.name);
const rooms = new Rooms({ backplane: a });
const elsewhere = new Rooms({ backplane: b });
const heard = new Promise<string>((resolve) => {
  elsewhere.listen("lobby", (message) => resolve(String(message)));
});
const presence = new Presence<{ color: string }>(rooms);
const { peers }: { peers: number } = rooms.broadcast("lobby", "hello");
b.addEventListener("peerdown", ({ peer, reason }) => void [peer.name.length, reason]);
let code = "";
try {
  decodeRoomBroadcast(new Uint8Array(3));
} catch (error) {
  if (error instanceof FrameError) code = error.code;
}
console.log(JSON.stringify([encrypted, peers, await heard, presence.count("lobby"), code, typeof acceptWebSocket]));
presence[Symbol.dispose]();
await Promise.all([a.shutdown(), b.shutdown()]);
`.replaceAll("NAME", config.name);

/** Passes the clients of the drivers, so it shows that their types fit. */
const OVER_BROKERS = `
import { connect } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { natsBackplane } from "NAME/nats";
import { redisBackplane } from "NAME/redis";

const [publisher, subscriber] = [new Redis(), new Redis()];
export const redis = redisBackplane({ publisher, subscriber, cluster: "chat" });
export const nats = natsBackplane({ connection: await connect(), cluster: "chat" });
`.replaceAll("NAME", config.name);

const MODULES = Object.keys(config.exports).map((path) => join(config.name, path));

/** Imports all of it, so the compiler reads every declaration. A wrong use has to be an error. */
const ALL = `
${MODULES.map((path, i) => `import * as module${i} from "${path}";`).join("\n")}
export const all = [${MODULES.map((_, i) => `module${i}`)}];

import type { Rooms } from "NAME";
// @ts-expect-error: a text is no socket
export const wrong = (rooms: Rooms) => rooms.join("no socket", "lobby");
`.replaceAll("NAME", config.name);

const NODE_NEXT = { module: "nodenext", moduleResolution: "nodenext" } as const;

/** Settings of projects, and what is compiled in them. The types of ioredis need @types/node. */
const PROJECTS = {
  "with @types/node": {
    compilerOptions: { ...NODE_NEXT, target: "es2022", types: ["node"] },
    include: ["main.ts", "all.ts", "over_brokers.ts"],
  },
  "without @types/node": {
    compilerOptions: { ...NODE_NEXT, target: "esnext", lib: ["esnext", "dom"], types: [] },
    include: ["main.ts", "all.ts"],
  },
  "for a bundler": {
    compilerOptions: {
      module: "esnext",
      moduleResolution: "bundler",
      target: "es2022",
      types: ["node"],
    },
    include: ["main.ts", "all.ts"],
  },
};

/** A project that has installed the package. */
async function withProject(
  body: (folder: string, manifest: Manifest) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "roomcast_package_" });
  const modules = join(folder, "node_modules");
  try {
    const manifest = await writePackage(join(modules, config.name));
    const installed = [await findDrivers(), await install("types", NODE_TYPES)];
    for (const packages of installed.map((path) => join(path, "node_modules"))) {
      for await (const { name } of Deno.readDir(packages)) {
        if (!name.startsWith(".")) await Deno.symlink(join(packages, name), join(modules, name));
      }
    }
    const files = {
      "package.json": JSON.stringify({ type: "module" }),
      "main.ts": PROGRAM,
      "all.ts": ALL,
      "over_brokers.ts": OVER_BROKERS,
      "load.js": `for (const x of ${JSON.stringify(MODULES)}) console.log(typeof await import(x));`,
    };
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), text);
    }
    await body(folder, manifest);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the package that npm gets from JSR works", async (t) => {
  await withProject(async (folder, { dependencies }) => {
    await t.step("the package depends on nothing", () => assertEquals(dependencies, {}));

    for (const name of ["node", "bun"] as const) {
      await t.step(`the package runs on ${name}, and all of it can be loaded`, async () => {
        const program = await findRuntime(name);
        const expected = [true, 1, "hello", 0, "wrong-tag", "function"];
        assertEquals(await run(program, ["main.ts"], folder), `${JSON.stringify(expected)}\n`);
        assertEquals(await run(program, ["load.js"], folder), "object\n".repeat(MODULES.length));
      });
    }

    for (const typescript of COMPILERS) {
      const compiler = await install("compiler", { typescript });
      const tsc = join(compiler, "node_modules", ".bin", "tsc");
      for (const [label, { compilerOptions, include }] of Object.entries(PROJECTS)) {
        await t.step(`tsc ${typescript} accepts the types of the package, ${label}`, async () => {
          const common = { strict: true, noEmit: true, skipLibCheck: false };
          const project = { compilerOptions: { ...common, ...compilerOptions }, include };
          await Deno.writeTextFile(join(folder, "tsconfig.json"), JSON.stringify(project));
          await run(tsc, ["--pretty", "false"], folder);
        });
      }
    }
  });
});
