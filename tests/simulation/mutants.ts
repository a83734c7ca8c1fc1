/**
 * Shows that the simulation has teeth: puts each fault of `mutations.ts` into a copy of the tree, and
 * has the simulation find it within a minute. Ends with 1 if one survives or no longer applies.
 */

import { type Mutation, MUTATIONS } from "./mutations.ts";

const ROOT = new URL("../../", import.meta.url);
const LIMIT_SECONDS = 60;
const COPIED = ["mod.ts", "codec", "rooms", "mesh", "tests/simulation", "tests/rooms", "deno.json"];

async function copy(from: URL, to: string): Promise<void> {
  const { isDirectory } = await Deno.stat(from);
  if (!isDirectory) {
    await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
    return await Deno.copyFile(from, to);
  }
  for await (const { name } of Deno.readDir(from)) {
    await copy(new URL(`${from.href.replace(/\/$/, "")}/${name}`), `${to}/${name}`);
  }
}

/** How a mutation fared: the violation that gave it away, or undefined if it survived. */
async function hunt({ file, find, replace }: Mutation): Promise<string | undefined> {
  const directory = await Deno.makeTempDir({ prefix: "roomcast_mutant_" });
  try {
    for (const path of COPIED) await copy(new URL(path, ROOT), `${directory}/${path}`);
    const source = await Deno.readTextFile(`${directory}/${file}`);
    if (source.split(find).length !== 2) throw new Error(`no longer applies to ${file}: ${find}`);
    await Deno.writeTextFile(`${directory}/${file}`, source.replace(find, () => replace));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-check", "--no-lock", "tests/simulation/simulate.ts"],
        `--seconds=${LIMIT_SECONDS}`,
      ],
      cwd: directory,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    const said = decoder.decode(stderr);
    if (code === 0) return undefined;
    // A program that does not even run has shown nothing.
    if (!said.includes("Replay: ")) throw new Error(`cannot run: ${said}${decoder.decode(stdout)}`);
    return said.slice(said.lastIndexOf("\n\n", said.lastIndexOf("\n\nReplay: ") - 1)).split(
      "\n",
    )[2];
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

let survived = 0;
for (const mutation of MUTATIONS) {
  const startedAt = performance.now();
  const violation = await hunt(mutation);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
  if (violation === undefined) survived++;
  console.log(`${seconds} s  ${mutation.name}: ${violation ?? "SURVIVED"}`);
}
console.log(`${MUTATIONS.length - survived} found, ${survived} survived`);
if (survived > 0) Deno.exit(1);
