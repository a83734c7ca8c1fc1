/**
 * What npm gets from JSR. `deno pack` translates modules, and makes declarations of them, with the
 * code that JSR uses (deno_ast, and the fast check of deno_graph). JSR lays them out in another way:
 * declarations are in `_dist`, the sources stay beside the JavaScript, and the package's name is in
 * the scope `@jsr`.
 */

import { dirname, join } from "node:path/posix";
import config from "../../deno.json" with { type: "json" };
import { run } from "./_run.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** What npm reads of a package. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly type: "module";
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
}

/** Writes the package into a folder that does not exist yet. */
export async function writePackage(folder: string): Promise<Manifest> {
  await pack(folder);
  const paths = await Array.fromAsync(filesOf(folder));
  for (const path of paths) {
    // Nothing imports the examples, so they stay as they are.
    if (path.startsWith("examples/")) continue;
    if (path.endsWith(".d.ts")) await move(join(folder, path), join(folder, "_dist", path));
    if (path.endsWith(".js")) {
      const source = path.replace(/\.js$/, ".ts");
      const text = await Deno.readTextFile(join(ROOT, source));
      await Deno.writeTextFile(join(folder, source), respecified(text));
    }
  }
  const manifest = join(folder, "package.json");
  const { dependencies = {} } = JSON.parse(await Deno.readTextFile(manifest));
  const ours = manifestOf(dependencies);
  await Deno.writeTextFile(manifest, JSON.stringify(ours));
  return ours;
}

function manifestOf(dependencies: Manifest["dependencies"]): Manifest {
  const { name, version } = config;
  const exports = Object.entries(config.exports).map(([name, path]) => {
    const module = path.replace(/^\.\//, "").replace(/\.ts$/, "");
    return [name, { types: `./_dist/${module}.d.ts`, default: `./${module}.js` }];
  });
  return {
    name: `@jsr/${name.slice(1).replace("/", "__")}`,
    version,
    type: "module",
    dependencies,
    exports: Object.fromEntries(exports),
  };
}

/** What `deno pack` makes of the tree. */
async function pack(folder: string): Promise<void> {
  const archive = `${folder}.tgz`;
  await Deno.mkdir(folder, { recursive: true });
  const options = ["--quiet", "--allow-dirty", "--no-source-maps", "--output", archive];
  await run(Deno.execPath(), ["pack", ...options], ROOT);
  await run("tar", ["-xzf", archive, "-C", folder, "--strip-components=1"], ROOT);
  await Deno.remove(archive);
}

async function* filesOf(folder: string, under = ""): AsyncIterable<string> {
  for await (const { name, isDirectory } of Deno.readDir(join(folder, under))) {
    const path = join(under, name);
    if (isDirectory) yield* filesOf(folder, path);
    else yield path;
  }
}

async function move(from: string, to: string): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  await Deno.rename(from, to);
}

/** JSR has the sources import JavaScript as well. */
function respecified(text: string): string {
  return text.replaceAll(/((?:from|import)\s*\(?\s*")(\.\.?\/[^"]+)\.ts"/g, '$1$2.js"');
}
