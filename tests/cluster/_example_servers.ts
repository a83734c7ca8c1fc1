/** Finds every example of a server: in README and docs, in the library's JSDoc, and in `examples/`. */

const ROOT = new URL("../../", import.meta.url);

/** Where examples may be. Everything in these is looked at, so a new example is found by itself. */
const DOCUMENTS = ["README.md", "docs"];
const LIBRARY = [
  "mod.ts",
  "backplane",
  "brokers",
  "codec",
  "mesh",
  "presence",
  "rooms",
  "telemetry",
  "testing",
  "websocket",
];
const PROGRAMS = "examples";

/** What makes an example a server of WebSockets. */
const ACCEPTS = /\b(acceptWebSocket|upgradeWebSocket|\w+\.handleUpgrade)\(|from "socket\.io"/;

/** What a well-behaved client can expect of an example. */
export type Purpose = "rooms" | "echo" | "nothing";

/** An example of a server, ready to be run. */
export interface ExampleServer {
  /** Where it stands: the path of its file, and its line if it is part of a document. */
  readonly label: string;
  /** Its file. For an example in a document: what to write to a file first. */
  readonly source: { readonly file: URL } | { readonly code: string };
  /** A path at which it takes WebSockets. */
  readonly path: string;
  readonly purpose: Purpose;
  /** Whether it does something when it is told to end. */
  readonly handlesSigterm: boolean;
  /** What its sockets are closed with then. */
  readonly closeCode: number;
  /** What runs it. `deno serve` may or may not be what takes its WebSockets. */
  readonly runner: "run" | "serve" | "serve beside";
}

/** All examples of servers, in the order of their labels. */
export async function findExampleServers(): Promise<ExampleServer[]> {
  const exports = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))).exports;
  const examples: ExampleServer[] = [];
  for (const place of [...DOCUMENTS, ...LIBRARY]) {
    for await (const path of files(place, /\.(md|ts)$/)) {
      const text = await Deno.readTextFile(new URL(path, ROOT));
      for (const { line, code } of codeBlocks(text)) {
        if (!ACCEPTS.test(code)) continue;
        const source = { code: startable(code, exports) };
        examples.push({ label: `${path}:${line}`, source, ...natureOf(code) });
      }
    }
  }
  for await (const path of files(PROGRAMS, /\.ts$/)) {
    const code = await Deno.readTextFile(new URL(path, ROOT));
    // A module that is told its options when it is imported is part of a program, not one itself.
    if (!ACCEPTS.test(code)) continue;
    examples.push({ label: path, source: { file: new URL(path, ROOT) }, ...natureOf(code) });
  }
  return examples.sort((a, b) => a.label < b.label ? -1 : 1);
}

/** All blocks of code in a page, each as {@linkcode ExampleServer} would run it. */
export async function startableBlocks(page: string): Promise<{ line: number; code: string }[]> {
  const exports = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))).exports;
  const blocks = codeBlocks(await Deno.readTextFile(new URL(page, ROOT)));
  return blocks.map(({ line, code }) => ({ line, code: startable(code, exports) })).toArray();
}

type Nature = Pick<ExampleServer, "closeCode" | "handlesSigterm" | "path" | "purpose" | "runner">;

function natureOf(code: string): Nature {
  const isRoom = /\b(broadcast|publish)\(|new Chat\(/.test(code);
  const purpose = isRoom ? "rooms" : /socket\.send\(data\)/.test(code) ? "echo" : "nothing";
  const path = /new Chat\(/.test(code)
    ? "/chat"
    : /from "socket\.io"/.test(code)
    ? "/socket.io/?EIO=4&transport=websocket"
    : /rooms\\\//.test(code)
    ? "/rooms/lobby"
    : "/lobby";
  const isServed = /^export default\b/m.test(code);
  const runner = !isServed ? "run" : /\.listen\(/.test(code) ? "serve beside" : "serve";
  // `Deno.serve` closes its own sockets by itself, as a server that goes away. Socket.IO has a packet
  // of its own for it, and closes without a code.
  const isDenos = runner === "serve" || /\bDeno\.serve\(/.test(code);
  const closeCode = isDenos ? 1001 : /from "socket\.io"/.test(code) ? 1005 : 1012;
  return { closeCode, handlesSigterm: code.includes("SIGTERM"), path, purpose, runner };
}

/**
 * The blocks of TypeScript in a page of Markdown or in the comments of a module. A block of `diff`
 * counts as well: it stands for the block of TypeScript before it, with the changes made.
 */
export function* codeBlocks(text: string): Generator<{ line: number; code: string }> {
  let block: { language: string; start: number; lines: string[] } | undefined;
  let last = "";
  for (const [index, whole] of text.split("\n").entries()) {
    const line = whole.replace(/^\s*\* ?/, "");
    if (block === undefined) {
      const [, language] = /^```(ts|diff)\b/.exec(line) ?? [];
      if (language !== undefined) block = { language, start: index + 2, lines: [] };
    } else if (line.startsWith("```")) {
      last = block.language === "ts" ? block.lines.join("\n") : patched(last, block.lines);
      yield { line: block.start, code: last };
      block = undefined;
    } else block.lines.push(line);
  }
}

/** The code with the changes of a diff. Its lines must be in the code, in their order. */
function patched(code: string, diff: readonly string[]): string {
  const rest = code.split("\n");
  const result: string[] = [];
  for (const line of diff) {
    if (line.startsWith("+")) {
      result.push(line.slice(1));
      continue;
    }
    const place = rest.indexOf(line.slice(1));
    if (place < 0) throw new Error(`A diff changes a line that is not there: ${line.slice(1)}`);
    result.push(...rest.splice(0, place + 1).slice(0, line.startsWith("-") ? -1 : undefined));
  }
  return [...result, ...rest].join("\n");
}

/**
 * The code as it stands, but with imports from this tree, ports that are free, and no other machines. An
 * example that only defines its server or handler is started; one that ends its server keeps it.
 */
function startable(code: string, exports: Record<string, string>): string {
  const port = `Number(Deno.env.get("PORT"))`;
  const ready = code
    .replace(/"(?:jsr:)?@roomcast\/roomcast(\/[a-z]+)?"/g, (_, part = "") => {
      return JSON.stringify(new URL(exports[`.${part}`], ROOT).href);
    })
    .replace(/name: ".*?@[^"]+"/, `name: Deno.env.get("NODE_NAME") ?? ""`)
    .replace(/seeds: \[.*?\]/s, `seeds: Deno.env.get("SEEDS")?.split(",").filter(Boolean)`)
    .replace(/\.listen\(\d+/, `.listen(${port}`)
    .replace(/\bport: \d+/, `port: ${port}`)
    .replace(/^server\.close\(\);$/m, "");
  if (/\.listen\(|Deno\.serve\(|^export default\b/m.test(ready)) return ready;
  if (/^function serve\(/m.test(ready)) {
    return `${ready}\nDeno.serve({ port: ${port}, hostname: "127.0.0.1" }, serve);\n`;
  }
  return `${ready}\nserver.listen(${port}, "127.0.0.1");\n`;
}

async function* files(place: string, pattern: RegExp): AsyncGenerator<string> {
  let isFile: boolean;
  try {
    ({ isFile } = await Deno.stat(new URL(place, ROOT)));
  } catch {
    return;
  }
  if (isFile) {
    if (pattern.test(place)) yield place;
    return;
  }
  for await (const { name } of Deno.readDir(new URL(place, ROOT))) {
    if (name !== "node_modules") yield* files(`${place}/${name}`, pattern);
  }
}
