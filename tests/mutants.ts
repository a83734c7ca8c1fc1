/**
 * Shows that simulation and fuzzing have teeth: puts each fault of their `mutations.ts` into a copy of
 * the tree, and has them find it within a minute. `mutants.ts fuzz` tries those of one only. Ends with
 * 1 if one survives or no longer applies.
 */

import config from "../deno.json" with { type: "json" };
import { MUTATIONS as FUZZ } from "./fuzz/mutations.ts";
import { MUTATIONS as PRESENCE } from "./presence/mutations.ts";
import type { Mutation } from "./mutation.ts";
import { MUTATIONS as SIMULATE } from "./simulation/mutations.ts";

/** Each with what has to find them. */
const HUNTS: Readonly<Record<string, { script: string; mutations: readonly Mutation[] }>> = {
  simulate: { script: "tests/simulation/simulate.ts", mutations: SIMULATE },
  fuzz: { script: "tests/fuzz/fuzz.ts", mutations: FUZZ },
  presence: { script: "tests/presence/simulate.ts", mutations: PRESENCE },
};

const ROOT = new URL("../", import.meta.url);
const LIMIT_SECONDS = 60;
const COPIED = [
  ...config.publish.include,
  ...[
    "tests/_fake_timers.ts",
    "tests/mutation.ts",
    "tests/fuzz",
    "tests/presence",
    "tests/rooms",
    "tests/simulation",
    "tests/testdata",
    "tests/websocket",
  ],
];

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
async function hunt(
  script: string,
  { file, find, replace }: Mutation,
): Promise<string | undefined> {
  const directory = await Deno.makeTempDir({ prefix: "roomcast_mutant_" });
  try {
    for (const path of COPIED) await copy(new URL(path, ROOT), `${directory}/${path}`);
    const source = await Deno.readTextFile(`${directory}/${file}`);
    if (source.split(find).length !== 2) throw new Error(`no longer applies to ${file}: ${find}`);
    await Deno.writeTextFile(`${directory}/${file}`, source.replace(find, () => replace));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", "--no-lock"],
        ...[script, `--seconds=${LIMIT_SECONDS}`],
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

const [only] = Deno.args;
if (only !== undefined && !(only in HUNTS)) {
  console.error(`only ${Object.keys(HUNTS).join(" or ")} can be chosen`);
  Deno.exit(2);
}
let found = 0;
let survived = 0;
for (const [name, { script, mutations }] of Object.entries(HUNTS)) {
  if (only !== undefined && name !== only) continue;
  for (const mutation of mutations) {
    const startedAt = performance.now();
    const violation = await hunt(script, mutation);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
    if (violation === undefined) survived++;
    else found++;
    console.log(`${seconds} s  ${name}: ${mutation.name}: ${violation ?? "SURVIVED"}`);
  }
}
console.log(`${found} found, ${survived} survived`);
if (survived > 0) Deno.exit(1);
