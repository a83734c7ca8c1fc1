/** The package that npm gets from JSR, on Node.js and in a project with TypeScript. */

import { assertEquals } from "@std/assert";
import { join } from "node:path/posix";
import config from "../../deno.json" with { type: "json" };
import { findRuntime, install } from "./_find.ts";
import { writePackage } from "./_package.ts";

const COMPILER = { typescript: "5.9.3", "@types/node": "24.19.2" } as const;

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

/** Settings of projects: of a server on Node.js, and of one that has no types but the language's own. */
const PROJECTS = {
  "with @types/node": { target: "es2022", types: ["node"] },
  "without @types/node": { target: "esnext", lib: ["esnext", "dom"], types: [] },
};

/** Mentions `Buffer`, as its driver does, which needs @types/node as well. */
const NEEDS_NODE_TYPES = "./redis";

/** A project that has installed the package. */
async function withProject(body: (folder: string) => Promise<void>): Promise<void> {
  const modules = join(await install("compiler", COMPILER), "node_modules");
  const folder = await Deno.makeTempDir({ prefix: "roomcast_package_" });
  try {
    const own = join(folder, "node_modules");
    await writePackage(join(own, config.name), join(modules, "@types"));
    for (const name of ["@types", "undici-types"]) {
      await Deno.symlink(join(modules, name), join(own, name));
    }
    await Deno.writeTextFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    await Deno.writeTextFile(join(folder, "main.ts"), PROGRAM);
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(program: string, args: string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  const decoder = new TextDecoder();
  assertEquals(code, 0, `${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

Deno.test("the npm package works", async (t) => {
  const node = await findRuntime("node");
  const tsc = join(await install("compiler", COMPILER), "node_modules/typescript/bin/tsc");
  await withProject(async (folder) => {
    const expected = `${JSON.stringify([true, 1, "hello", 0, "wrong-tag", "function"])}\n`;
    const all = Object.keys(config.exports).map((path) => join(config.name, path));
    const load = `for (const x of ${JSON.stringify(all)}) console.log(typeof await import(x));`;
    await Deno.writeTextFile(join(folder, "load.js"), load);
    for (const name of ["node", "bun"] as const) {
      await t.step(`the package runs on ${name}, and all of it can be loaded`, async () => {
        const program = await findRuntime(name);
        assertEquals(await run(program, ["main.ts"], folder), expected);
        assertEquals(await run(program, ["load.js"], folder), "object\n".repeat(all.length));
      });
    }

    for (const [label, settings] of Object.entries(PROJECTS)) {
      await t.step(`the types of the package pass tsc under nodenext, ${label}`, async () => {
        const compilerOptions = {
          ...settings,
          module: "nodenext",
          moduleResolution: "nodenext",
          strict: true,
          noEmit: true,
          skipLibCheck: false,
        };
        const hasNode = settings.types.length > 0;
        const paths = Object.keys(config.exports).filter((path) =>
          hasNode || path !== NEEDS_NODE_TYPES
        );
        const types = paths.map((path, i) =>
          `import type * as module${i} from "${join(config.name, path)}";\n` +
          `export type Names${i} = keyof typeof module${i};\n`
        );
        await Deno.writeTextFile(join(folder, "all.ts"), types.join(""));
        const project = { compilerOptions, include: ["main.ts", "all.ts"] };
        await Deno.writeTextFile(join(folder, "tsconfig.json"), JSON.stringify(project));
        await run(node, [tsc], folder);
        // It has looked: a wrong use is an error.
        const wrong =
          `import { Rooms } from "${config.name}";\nnew Rooms().join("no socket", 1);\n`;
        await Deno.writeTextFile(join(folder, "all.ts"), wrong);
        const { code } = await new Deno.Command(node, { args: [tsc], cwd: folder }).output();
        assertEquals(code, 2);
      });
    }
  });
});
