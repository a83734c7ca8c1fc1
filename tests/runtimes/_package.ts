/**
 * What JSR makes of roomcast for `npm install`: each module as JavaScript beside a tree of
 * declarations in `_dist`, with specifiers to match, and a `package.json`. Each file is translated by
 * itself, as JSR does it, so an export whose type must be inferred cannot pass.
 */

import { dirname, join } from "node:path/posix";
import ts from "typescript";
import config from "../../deno.json" with { type: "json" };

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** Writes the package into a folder. */
export async function writePackage(folder: string): Promise<void> {
  for (const entry of config.publish.include) {
    // Nothing imports the examples, so JSR makes no declarations of them.
    if (entry === "examples") continue;
    for await (const path of sources(entry)) {
      const source = await Deno.readTextFile(join(ROOT, path));
      const [code, declarations] = translate(path, source);
      await write(join(folder, path.replace(/\.ts$/, ".js")), code);
      await write(join(folder, "_dist", path.replace(/\.ts$/, ".d.ts")), declarations);
    }
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

function translate(path: string, source: string): [code: string, declarations: string] {
  const compilerOptions: ts.CompilerOptions = {
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    strict: true,
  };
  const options = { fileName: path, reportDiagnostics: true };
  const code = ts.transpileModule(source, { ...options, compilerOptions });
  const declarations = ts.transpileDeclaration(source, {
    ...options,
    compilerOptions: { ...compilerOptions, declaration: true, isolatedDeclarations: true },
  });
  const faults = [...code.diagnostics ?? [], ...declarations.diagnostics ?? []];
  if (faults.length > 0) {
    const texts = faults.map(({ messageText }) =>
      ts.flattenDiagnosticMessageText(messageText, "\n")
    );
    throw new Error(`${path}: ${texts.join("\n")}`);
  }
  return [respecified(code.outputText, ".js"), respecified(declarations.outputText, ".d.ts")];
}

/** Other extensions in what is imported. Relative specifiers stand nowhere but in such places. */
function respecified(text: string, extension: string): string {
  return text.replaceAll(
    /((?:from|import)\s*\(?\s*")(\.\.?\/[^"]+)\.ts(")/g,
    (_, before, specifier, after) => `${before}${specifier}${extension}${after}`,
  );
}

async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text);
}
