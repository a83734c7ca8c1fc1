/** The pages of this repository: their links lead somewhere, and their code is correct. */

import { assert, assertEquals } from "@std/assert";
import { dirname, join, relative } from "node:path/posix";
import config from "../deno.json" with { type: "json" };
import { codeBlocks } from "./cluster/_example_servers.ts";

const ROOT = decodeURIComponent(new URL("../", import.meta.url).pathname);
const PLACES = [".", "docs", "examples", "bench", "tests"];

/** Pages that people also read at JSR, where only published files can be linked to. */
const PUBLISHED = /^(README|SECURITY|CHANGELOG)\.md$|^docs\//;

async function pages(): Promise<string[]> {
  const found: string[] = [];
  for (const place of PLACES) await search(place, place === "." ? 0 : 2, found);
  return found.sort();
}

async function search(folder: string, depth: number, found: string[]): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    if (name.endsWith(".md")) found.push(join(folder, name));
    if (isDirectory && depth > 0 && name !== "node_modules" && name !== "peers") {
      await search(join(folder, name), depth - 1, found);
    }
  }
}

/** A page without its blocks of code. */
async function proseOf(page: string): Promise<string> {
  const text = await Deno.readTextFile(join(ROOT, page));
  return text.replace(/^ *```[^]*?^ *```$/gm, "");
}

/** The anchors that GitHub and JSR give to the headings of a page. */
async function anchorsOf(page: string): Promise<Set<string>> {
  const anchors = new Set<string>();
  for (const [, heading] of (await proseOf(page)).matchAll(/^#+ (.+)$/gm)) {
    const text = heading.toLowerCase().replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const anchor = text.replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
    let name = anchor;
    for (let number = 1; anchors.has(name); number++) name = `${anchor}-${number}`;
    anchors.add(name);
  }
  return anchors;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(join(ROOT, path));
    return true;
  } catch {
    return false;
  }
}

function isPublished(path: string): boolean {
  return config.publish.include.some((entry) => path === entry || path.startsWith(`${entry}/`));
}

/** What is wrong with a link of a page; undefined if nothing is. */
async function faultOf(page: string, link: string): Promise<string | undefined> {
  const [path, anchor] = link.split("#", 2);
  const target = path === "" ? page : relative("", join(dirname(page), path));
  if (!await exists(target)) return "leads nowhere";
  if (PUBLISHED.test(page) && !isPublished(target)) return "leads to a file that is not published";
  if (anchor === undefined) return undefined;
  return (await anchorsOf(target)).has(anchor) ? undefined : "names no heading";
}

Deno.test("every relative link in a page leads to a file and a heading that exist", async () => {
  const faults: string[] = [];
  let count = 0;
  for (const page of await pages()) {
    for (const [, link] of (await proseOf(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      count++;
      const fault = await faultOf(page, link);
      if (fault !== undefined) faults.push(`${page}: ${link} ${fault}`);
    }
  }
  assertEquals(faults, []);
  assert(count > 50, `only ${count} links found`);
});

/** An import map by which the pages' specifiers lead into this tree. */
function importsOfPages(): Record<string, string> {
  const imports: Record<string, string> = { ...config.imports };
  for (const [name, path] of Object.entries(config.exports)) {
    const specifier = join(config.name, name);
    imports[specifier] = imports[`jsr:${specifier}`] = join(ROOT, path);
  }
  return imports;
}

Deno.test("the code of a page type-checks, or says why it cannot", async () => {
  const folder = await Deno.makeTempDir({ prefix: "roomcast_docs_" });
  try {
    const { compilerOptions } = config;
    const settings = JSON.stringify({ imports: importsOfPages(), compilerOptions });
    await Deno.writeTextFile(join(folder, "deno.json"), settings);
    const files: string[] = [];
    for (const page of await pages()) {
      const text = await Deno.readTextFile(join(ROOT, page));
      const lines = text.split("\n");
      for (const { line, code } of codeBlocks(text)) {
        // The reason stands after the word: "```ts ignore two lines of a server".
        if (/^```ts ignore \S/.test(lines[line - 2])) continue;
        const file = `${page.replaceAll("/", "_")}_${line}.ts`;
        await Deno.writeTextFile(join(folder, file), `export {};\n${code}`);
        files.push(file);
      }
    }
    assert(files.length > 10, `only ${files.length} blocks found`);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--no-lock", ...files],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
