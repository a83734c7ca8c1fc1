import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };

/**
 * Who may import whom, held against every file of the library:
 *
 * | in | imports | |
 * | --- | --- | --- |
 * | `mod.ts` | the `mod.ts` of the folders that most people need | no broker |
 * | `codec/` | `codec/` | and no clock, randomness, I/O or global of the platform |
 * | `backplane/` | `codec/` | |
 * | `websocket/` | `codec/` | |
 * | `rooms/` | `backplane/`, `codec/` | |
 * | `presence/` | `rooms/`, `backplane/`, `codec/` | |
 * | `mesh/`, `brokers/` | `backplane/`, `codec/` | |
 * | `telemetry/` | types of everything; `backplane/` | |
 * | `testing/` | `mesh/`, `backplane/` | |
 *
 * All by relative specifiers with `.ts`, or `node:` outside `codec/`; from another folder never a
 * file whose name begins with `_`. `Deno` stands in four files only, which have something in its place
 * on other runtimes.
 */

const ROOT = new URL("../", import.meta.url);

/** For each folder, beside itself: what it may import, and what of it types only. */
const FOLDERS: ReadonlyMap<string, { values: string[]; types: string[] }> = new Map([
  ["codec", { values: [], types: [] }],
  ["backplane", { values: ["codec/"], types: [] }],
  ["websocket", { values: ["codec/"], types: [] }],
  ["rooms", { values: ["backplane/", "codec/"], types: [] }],
  ["presence", { values: ["rooms/", "backplane/", "codec/"], types: [] }],
  ["mesh", { values: ["backplane/", "codec/"], types: [] }],
  ["brokers", { values: ["backplane/", "codec/"], types: [] }],
  ["telemetry", { values: ["backplane/"], types: ["mesh/", "rooms/", "presence/", "brokers/"] }],
  ["testing", { values: ["backplane/", "mesh/"], types: [] }],
]);
const MOD_IMPORTS = ["backplane", "codec", "mesh", "presence", "rooms", "telemetry", "websocket"]
  .map((
    folder,
  ) => `${folder}/mod.ts`);

/** What the codec has no business with. */
const PLATFORM: ReadonlySet<string> = new Set([
  ...["Deno", "process", "Buffer", "self", "window", "navigator", "console", "require", "eval"],
  ...["setTimeout", "setInterval", "setImmediate", "queueMicrotask"],
  ...["clearTimeout", "clearInterval", "clearImmediate"],
  ...["Date", "performance", "Temporal", "crypto"],
  ...["fetch", "WebSocket", "EventSource", "BroadcastChannel", "Worker", "localStorage"],
]);

/** The files that may use `Deno`. On other runtimes they use something else. */
const KNOW_DENO: ReadonlySet<string> = new Set([
  "backplane/clock.ts",
  "mesh/deno_tcp.ts",
  "mesh/dns_seeds.ts",
  "mesh/platform.ts",
]);

/** Something in a file that matters here. */
type Find =
  /** An import, or an export from another module. Without a specifier it is computed. */
  | { readonly kind: "import"; readonly specifier: string | undefined; readonly typeOnly: boolean }
  | { readonly kind: "global"; readonly name: string };

/** Reads a source by the parser of `deno lint`: comments and strings do not mislead it. */
function scan(path: string, source: string): Find[] {
  const finds: Find[] = [];
  const add = (specifier: unknown, typeOnly: boolean) => {
    const text = typeof specifier === "string" ? specifier : undefined;
    finds.push({ kind: "import", specifier: text, typeOnly });
  };
  const visitor: Deno.lint.LintVisitor = {
    // `import { type A }` is not elided by every compiler, so it does not count as type only.
    ImportDeclaration: (node) => add(node.source.value, node.importKind === "type"),
    ExportAllDeclaration: (node) => add(node.source.value, node.exportKind === "type"),
    ExportNamedDeclaration(node) {
      if (node.source) add(node.source.value, node.exportKind === "type");
    },
    ImportExpression(node) {
      add(node.source.type === "Literal" ? node.source.value : undefined, false);
    },
    // `import("./a.ts").A` as a type: the tree does not tell its specifier.
    TSImportType: () => add(undefined, true),
    TSExternalModuleReference: (node) => add(node.expression.value, false),
    MetaProperty: () => finds.push({ kind: "global", name: "import.meta" }),
    Identifier(node) {
      if (isName(node)) return;
      if (isGlobalThis(node) && !isPlainGlobalThis(node) || PLATFORM.has(node.name)) {
        finds.push({ kind: "global", name: node.name });
      }
      if (node.name === "Math" && !isMathWithoutChance(node.parent)) {
        finds.push({ kind: "global", name: "Math.random" });
      }
    },
  };
  const plugin: Deno.lint.Plugin = { name: "imports", rules: { scan: { create: () => visitor } } };
  Deno.lint.runPlugin(plugin, path, source);
  return finds;
}

/** True for `b` in `a.b` and in `{ b: c }`, which stand for no variable. */
function isName(node: Deno.lint.Identifier): boolean {
  const parent: Deno.lint.Node = node.parent;
  switch (parent.type) {
    case "MemberExpression":
      return !parent.computed && isSame(parent.property, node) && !isGlobalThis(parent.object);
    case "Property":
      return !parent.computed && !parent.shorthand && isSame(parent.key, node) &&
        parent.parent.type === "ObjectExpression";
    default:
      return false;
  }
}

function isGlobalThis(node: Deno.lint.Node): boolean {
  return node.type === "Identifier" && node.name === "globalThis";
}

/** True in `globalThis.a` and `const { a } = globalThis`: then what is taken is judged by its name. */
function isPlainGlobalThis(node: Deno.lint.Identifier): boolean {
  let parent: Deno.lint.Node = node.parent;
  if (parent.type === "MemberExpression") return !parent.computed && isSame(parent.object, node);
  if (parent.type === "TSAsExpression") parent = parent.parent;
  return parent.type === "VariableDeclarator" && parent.id.type === "ObjectPattern" &&
    parent.id.properties.every((property) => property.type === "Property" && !property.computed);
}

function isSame(a: Deno.lint.Node, b: Deno.lint.Node): boolean {
  return a.range[0] === b.range[0] && a.range[1] === b.range[1];
}

/** True for `Math.min` and the like. */
function isMathWithoutChance(node: Deno.lint.Node): boolean {
  return node.type === "MemberExpression" && !node.computed &&
    node.property.type === "Identifier" && node.property.name !== "random";
}

/** The path in the tree that a relative specifier in `path` means; undefined if it leads out. */
function resolve(path: string, specifier: string): string | undefined {
  const { pathname } = new URL(specifier, `file:///tree/${path}`);
  return pathname.startsWith("/tree/") ? pathname.slice("/tree/".length) : undefined;
}

/** What is wrong with one file of the library. */
function violationsOf(path: string, source: string): string[] {
  const folder = path.slice(0, Math.max(0, path.indexOf("/")));
  return scan(path, source).flatMap((find) => {
    if (find.kind === "global") {
      const mustNot = folder === "codec" || find.name === "Deno" && !KNOW_DENO.has(path);
      return mustNot ? [`${path} uses ${find.name}`] : [];
    }
    const reason = objectionTo(path, folder, find.specifier, find.typeOnly);
    return reason === undefined ? [] : [`${path} imports ${find.specifier ?? "…"}: ${reason}`];
  });
}

function objectionTo(
  path: string,
  folder: string,
  specifier: string | undefined,
  typeOnly: boolean,
): string | undefined {
  if (specifier === undefined) return "no plain specifier";
  if (specifier.startsWith("node:")) return folder === "codec" ? "not in codec/" : undefined;
  if (!/^\.{1,2}\//.test(specifier)) return "not relative";
  if (!specifier.endsWith(".ts")) return "not a .ts file";
  const target = resolve(path, specifier);
  if (target === undefined) return "outside of the tree";
  if (folder === "") return MOD_IMPORTS.includes(target) ? undefined : "not for mod.ts";
  if (target.startsWith(`${folder}/`)) return undefined;
  const { values, types } = FOLDERS.get(folder) ?? { values: [], types: [] };
  const mayImport = values.some((allowed) => target.startsWith(allowed));
  const mayImportTypes = types.some((allowed) => target.startsWith(allowed));
  if (!mayImport && !mayImportTypes) return `not from ${folder}/`;
  if (target.includes("/_")) return "another folder's internals";
  return mayImport || typeOnly ? undefined : "types only";
}

/** Every file of the library, by its path in the tree. */
function readLibrary(): Map<string, string> {
  const files = new Map<string, string>();
  const read = (path: string) => files.set(path, Deno.readTextFileSync(new URL(path, ROOT)));
  const walk = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
      if (isDirectory) walk(`${folder}${name}/`);
      else read(`${folder}${name}`);
    }
  };
  read("mod.ts");
  const topFolders = new Set([...Deno.readDirSync(ROOT)].map(({ name }) => name));
  for (const folder of FOLDERS.keys()) if (topFolders.has(folder)) walk(`${folder}/`);
  return files;
}

/** What is loaded at run time when `entry` is imported. */
function loadedBy(entry: string, files: ReadonlyMap<string, string>): Set<string> {
  const loaded = new Set([entry]);
  for (const path of loaded) {
    for (const find of scan(path, files.get(path) ?? "")) {
      if (find.kind !== "import" || find.typeOnly || find.specifier === undefined) continue;
      const target = find.specifier.startsWith(".") ? resolve(path, find.specifier) : undefined;
      loaded.add(target ?? find.specifier);
    }
  }
  return loaded;
}

Deno.test("every file of the library imports only what its folder allows", () => {
  const files = readLibrary();
  assert(files.size > 30, `only ${files.size} files found`);
  const entries = Object.values<string>(config.exports).map((entry) => entry.replace("./", ""));
  for (const entry of [...entries, ...MOD_IMPORTS]) assert(files.has(entry), `no ${entry}`);
  const violations = [...files].flatMap(([path, source]) => violationsOf(path, source));
  assertEquals(violations, []);
});

Deno.test("the library consists of TypeScript", () => {
  const others = [...readLibrary().keys()].filter((path) => !path.endsWith(".ts"));
  assertEquals(others, []);
});

Deno.test("mod.ts loads neither a broker nor the simulation", () => {
  const loaded = loadedBy("mod.ts", readLibrary());
  for (const path of MOD_IMPORTS) assert(loaded.has(path), path);
  const expected = /^(mod\.ts$|(codec|backplane|rooms|presence|websocket|mesh|telemetry)\/|node:)/;
  assertEquals([...loaded].filter((path) => !expected.test(path)), []);
});

Deno.test("each part can be loaded without those that it does not need", () => {
  const files = readLibrary();
  const foldersOf = (entry: string) => {
    const paths = [...loadedBy(entry, files)].filter((path) => !path.startsWith("node:"));
    return [...new Set(paths.map((path) => path.slice(0, path.indexOf("/"))))].sort();
  };
  assertEquals(foldersOf("codec/mod.ts"), ["codec"]);
  assertEquals(foldersOf("backplane/mod.ts"), ["backplane", "codec"]);
  assertEquals(foldersOf("rooms/mod.ts"), ["backplane", "codec", "rooms"]);
  assertEquals(foldersOf("websocket/mod.ts"), ["codec", "websocket"]);
  assertEquals(foldersOf("presence/mod.ts"), ["backplane", "codec", "presence", "rooms"]);
  assertEquals(foldersOf("mesh/mod.ts"), ["backplane", "codec", "mesh"]);
  for (const name of ["nats", "redis"]) {
    assertEquals(foldersOf(`brokers/${name}.ts`), ["backplane", "brokers", "codec"], name);
  }
});

Deno.test("each broker's backplane can be loaded without the other, and without a client", () => {
  const files = readLibrary();
  for (const [name, other] of [["nats", "redis"], ["redis", "nats"]]) {
    const loaded = [...loadedBy(`brokers/${name}.ts`, files)];
    assert(!loaded.includes(`brokers/${other}.ts`), name);
    const foreign = loaded.filter((path) => !files.has(path));
    assertEquals(foreign.filter((path) => !/^node:(buffer|crypto)$/.test(path)), []);
  }
});

// The checker itself.

/** A file, a source that breaks a rule there, and what must be said about it. */
const BROKEN: readonly (readonly [path: string, source: string, part: string])[] = [
  ["codec/a.ts", `import { Rooms } from "../rooms/mod.ts";`, "not from codec/"],
  ["codec/a.ts", `import type { Backplane } from "../backplane/mod.ts";`, "not from codec/"],
  ["codec/a.ts", `import { inspect } from "node:util";`, "not in codec/"],
  ["codec/a.ts", `export const now = Date.now();`, "uses Date"],
  ["codec/a.ts", `export const now = () => new Date();`, "uses Date"],
  ["codec/a.ts", `export const at = performance.now();`, "uses performance"],
  ["codec/a.ts", `setTimeout(() => {}, 1);`, "uses setTimeout"],
  ["codec/a.ts", `const id = crypto.randomUUID();`, "uses crypto"],
  ["codec/a.ts", `const chance = Math.random();`, "uses Math.random"],
  ["codec/a.ts", `const chance = Math["random"]();`, "uses Math.random"],
  ["codec/a.ts", `const { random } = Math;`, "uses Math.random"],
  ["codec/a.ts", `const os = Deno.build.os;`, "uses Deno"],
  ["codec/a.ts", `const os = globalThis.Deno.build.os;`, "uses Deno"],
  ["codec/a.ts", `const { Deno: platform } = globalThis;`, "uses Deno"],
  ["codec/a.ts", `const { Deno } = globalThis as { Deno?: unknown };`, "uses Deno"],
  ["codec/a.ts", `const os = globalThis["Deno"].build.os;`, "uses globalThis"],
  ["codec/a.ts", `const platform = globalThis;`, "uses globalThis"],
  ["codec/a.ts", `const { ...platform } = globalThis;`, "uses globalThis"],
  ["codec/a.ts", `const text = \`\${Deno.pid}\`;`, "uses Deno"],
  ["codec/a.ts", `export function f(d: Deno.Conn): void {}`, "uses Deno"],
  ["codec/a.ts", `const here = { Deno };`, "uses Deno"],
  ["codec/a.ts", `await fetch("https://example.com");`, "uses fetch"],
  ["codec/a.ts", `const here = import.meta.url;`, "uses import.meta"],
  ["codec/sub/a.ts", `export * from "../../mesh/mod.ts";`, "not from codec/"],

  ["rooms/a.ts", `import { startMesh } from "../mesh/mod.ts";`, "not from rooms/"],
  ["rooms/a.ts", `import type { Mesh } from "../mesh/mod.ts";`, "not from rooms/"],
  ["rooms/a.ts", `export { x } from "../brokers/nats.ts";`, "not from rooms/"],
  ["rooms/a.ts", `import { Reader } from "../codec/_reader.ts";`, "another folder's internals"],
  ["rooms/a.ts", `import "../mod.ts";`, "not from rooms/"],

  ["websocket/a.ts", `import { Rooms } from "../rooms/mod.ts";`, "not from websocket/"],
  ["websocket/a.ts", `import { Reader } from "../codec/_reader.ts";`, "another folder's internals"],
  ["websocket/a.ts", `const os = Deno.build.os;`, "uses Deno"],
  ["mesh/a.ts", `const os = Deno.build.os;`, "uses Deno"],
  ["telemetry/a.ts", `const os = Deno.build.os;`, "uses Deno"],

  ["mesh/a.ts", `import { Rooms } from "../rooms/mod.ts";`, "not from mesh/"],
  ["mesh/a.ts", `import type { Rooms } from "../rooms/mod.ts";`, "not from mesh/"],
  ["telemetry/a.ts", `import { x } from "../rooms/rooms.ts";`, "types only"],
  ["telemetry/a.ts", `import { type Rooms } from "../rooms/rooms.ts";`, "types only"],
  ["telemetry/a.ts", `import "../rooms/rooms.ts";`, "types only"],
  ["telemetry/a.ts", `export * from "../rooms/rooms.ts";`, "types only"],
  ["backplane/a.ts", `import type { Mesh } from "../mesh/mod.ts";`, "not from backplane/"],
  ["websocket/a.ts", `import type { Rooms } from "../rooms/mod.ts";`, "not from websocket/"],
  ["rooms/a.ts", `import { log } from "../telemetry/mod.ts";`, "not from rooms/"],
  ["mesh/a.ts", `const rooms = await import("../rooms/rooms.ts");`, "not from mesh/"],
  ["mesh/a.ts", `let x: import("../rooms/rooms.ts").Rooms;`, "no plain specifier"],
  ["mesh/a.ts", `await import("./" + "b.ts");`, "no plain specifier"],
  ["mesh/a.ts", `await import(\`./b.ts\`);`, "no plain specifier"],

  ["brokers/a.ts", `import { Rooms } from "../rooms/mod.ts";`, "not from brokers/"],
  ["brokers/a.ts", `import { startMesh } from "../mesh/mod.ts";`, "not from brokers/"],

  ["mesh/a.ts", `import { bench } from "../bench/link_bench.ts";`, "not from mesh/"],
  ["rooms/a.ts", `import { chat } from "../examples/chat/server.ts";`, "not from rooms/"],
  ["mesh/a.ts", `import { FakeTimers } from "../tests/_fake_timers.ts";`, "not from mesh/"],
  ["mesh/a.ts", `import { b } from "../../elsewhere/b.ts";`, "outside of the tree"],

  ["mesh/a.ts", `import { assert } from "@std/assert";`, "not relative"],
  ["rooms/a.ts", `import fc from "npm:fast-check";`, "not relative"],
  ["rooms/a.ts", `import { x } from "jsr:@std/bytes";`, "not relative"],
  ["rooms/a.ts", `import { x } from "https://deno.land/x/y.ts";`, "not relative"],
  ["rooms/a.ts", `import { x } from "/elsewhere/y.ts";`, "not relative"],
  ["mesh/a.ts", `import fs = require("fs");`, "not relative"],
  ["mesh/a.ts", `import { b } from "./b";`, "not a .ts file"],
  ["mesh/a.ts", `import data from "./b.json" with { type: "json" };`, "not a .ts file"],

  ["mod.ts", `export * from "./brokers/nats.ts";`, "not for mod.ts"],
  ["mod.ts", `export * from "./codec/framing.ts";`, "not for mod.ts"],
];

Deno.test("the checker finds a violation of every rule, and names the file", () => {
  for (const [path, source, part] of BROKEN) {
    const found = violationsOf(path, source);
    assertEquals(new Set(found).size, 1, `${source} in ${path}: ${found}`);
    assertStringIncludes(found[0], part);
    assert(found[0].startsWith(`${path} `));
  }
});

Deno.test("the checker allows valid imports, and code that only looks like a violation", () => {
  const sources: [path: string, source: string][] = [
    ["codec/a.ts", `import { Reader } from "./_reader.ts";\nexport type { A } from "./b.ts";`],
    [
      "codec/a.ts",
      `const { TextEncoder } = globalThis; globalThis.TextDecoder;`,
    ],
    ["codec/a.ts", `// Deno.now()\n/** import "../mesh/mod.ts"; */\nconst text = "Date";`],
    ["codec/a.ts", `const least = Math.min(1, 2); const names = { Date: 1, fetch: 2 }.Date;`],
    ["codec/a.ts", "const pattern = /`Deno`|'fetch()'/;"],
    ["codec/a.ts", 'const code = `import "npm:x"; Deno.exit()`;'],
    ["codec/sub/a.ts", `import "../a.ts";`],
    [
      "rooms/a.ts",
      `import { FrameError } from "../codec/mod.ts";\nsetTimeout(() => {}, Date.now());`,
    ],
    ["telemetry/a.ts", `import type { Rooms } from "../rooms/mod.ts";`],
    ["telemetry/a.ts", `export type { Rooms } from "../rooms/mod.ts";`],
    ["mesh/a.ts", `import { connect } from "node:tls";`],
    ["mesh/platform.ts", `export const isDeno = typeof Deno !== "undefined";`],
    ["mesh/a.ts", `await import("./b.ts");`],
    [
      "brokers/a.ts",
      `import type { Backplane } from "../backplane/mod.ts";\nimport "../codec/mod.ts";`,
    ],
    ["mod.ts", `export * from "./mesh/mod.ts";`],
  ];
  for (const [path, source] of sources) assertEquals(violationsOf(path, source), [], source);
});

Deno.test("the loaded files are found through any number of imports, but not through types", () => {
  const files = new Map([
    ["mod.ts", `export * from "./mesh/mod.ts";`],
    ["mesh/mod.ts", `import type { X } from "../rooms/x.ts";\nexport { a } from "./a.ts";`],
    ["mesh/a.ts", `import "./mod.ts";\nawait import("../brokers/nats.ts");\nimport "node:tls";`],
  ]);
  assertEquals(
    loadedBy("mod.ts", files),
    new Set(["mod.ts", "mesh/mod.ts", "mesh/a.ts", "brokers/nats.ts", "node:tls"]),
  );
});
