/**
 * What JSR makes of roomcast for `npm install`: each module as JavaScript beside a tree of
 * declarations in `_dist`, with specifiers to match, and a `package.json`. As with JSR, declarations
 * are made of what is written, so an export whose type must be inferred cannot pass.
 */

import { dirname, join, relative } from "node:path/posix";
import ts from "typescript";
import config from "../../deno.json" with { type: "json" };

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** Writes the package into a folder. `types` is a folder that has `@types/node` in it. */
export async function writePackage(folder: string, types: string): Promise<void> {
  const paths: string[] = [];
  for (const entry of config.publish.include) {
    // Nothing imports the examples, so JSR makes no declarations of them.
    if (entry === "examples") continue;
    for await (const path of sources(entry)) paths.push(path);
  }
  for (const path of paths) {
    const source = await Deno.readTextFile(join(ROOT, path));
    await write(join(folder, path.replace(/\.ts$/, ".js")), translate(path, source));
  }
  for (const [path, text] of declarationsOf(paths, types)) {
    await write(join(folder, "_dist", path), respecified(text));
  }
  const exports = Object.entries(config.exports).map(([name, path]) => {
    const module = path.replace(/^\.\//, "").replace(/\.ts$/, "");
    return [name, { types: `./_dist/${module}.d.ts`, default: `./${module}.js` }];
  });
  await write(
    join(folder, "package.json"),
    JSON.stringify({
      name: config.name,
      version: config.version,
      type: "module",
      exports: Object.fromEntries(exports),
    }),
  );
}

/** The TypeScript files of a file or folder. */
async function* sources(path: string): AsyncIterable<string> {
  if (path.endsWith(".ts")) yield path;
  const { isDirectory } = await Deno.stat(join(ROOT, path));
  if (!isDirectory) return;
  for await (const { name } of Deno.readDir(join(ROOT, path))) yield* sources(join(path, name));
}

const LANGUAGE: ts.CompilerOptions = {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  verbatimModuleSyntax: true,
  strict: true,
};

function translate(path: string, source: string): string {
  const { outputText, diagnostics = [] } = ts.transpileModule(source, {
    compilerOptions: LANGUAGE,
    fileName: path,
    reportDiagnostics: true,
  });
  throwFirst(diagnostics);
  return respecified(outputText);
}

/** Declarations by their path. `deno check` is what checks the sources, which use `Deno` inside. */
function declarationsOf(paths: readonly string[], types: string): Map<string, string> {
  const declarations = new Map<string, string>();
  const program = ts.createProgram(paths.map((path) => join(ROOT, path)), {
    ...LANGUAGE,
    allowImportingTsExtensions: true,
    declaration: true,
    emitDeclarationOnly: true,
    isolatedDeclarations: true,
    typeRoots: [types],
    types: ["node"],
  });
  const { diagnostics } = program.emit(undefined, (path, text) => {
    declarations.set(relative(ROOT, path), text);
  });
  throwFirst(diagnostics);
  return declarations;
}

function throwFirst([fault]: readonly ts.Diagnostic[]): void {
  if (fault === undefined) return;
  const text = ts.flattenDiagnosticMessageText(fault.messageText, "\n");
  throw new Error(`${fault.file?.fileName}: ${text}`);
}

/**
 * JavaScript's extension in what is imported. JSR writes `.d.ts` among declarations, which leads to the
 * same files, but which the compiler takes for an error unless it skips the check of libraries.
 */
function respecified(text: string): string {
  return text.replaceAll(/((?:from|import)\s*\(?\s*")(\.\.?\/[^"]+)\.ts"/g, '$1$2.js"');
}

async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text);
}
