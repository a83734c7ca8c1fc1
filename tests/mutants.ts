/**
 * Checks that simulation and fuzzing catch faults planted in the library. Each fault of their
 * `mutations.ts` is put into a copy of the tree, and they must find it within a minute. Each core
 * hunts one at a time.
 *
 * `mutants.ts fuzz` tries the faults of one only. With `--one-in 4` a run tries a quarter of the
 * faults, another quarter each day. It ends with 1 if a fault survives or no longer applies.
 */

import { parseArgs } from "node:util";
import config from "../deno.json" with { type: "json" };
import { MUTATIONS as FUZZ } from "./fuzz/mutations.ts";
import { MUTATIONS as PRESENCE } from "./presence/mutations.ts";
import type { Mutation } from "./mutation.ts";
import { MUTATIONS as SIMULATE } from "./simulation/mutations.ts";

interface Hunt {
  readonly script: string;
  readonly args?: readonly string[];
  readonly mutations: readonly Mutation[];
}

/** One hunt has one core. */
const ONE_CORE = ["--workers=1"];

/** Each with what has to find them. */
const HUNTS: Readonly<Record<string, Hunt>> = {
  simulate: { script: "tests/simulation/simulate.ts", args: ONE_CORE, mutations: SIMULATE },
  fuzz: { script: "tests/fuzz/fuzz.ts", args: ONE_CORE, mutations: FUZZ },
  presence: { script: "tests/presence/simulate.ts", mutations: PRESENCE },
};

const ROOT = new URL("../", import.meta.url);
const LIMIT_SECONDS = 60;
const COPIED = [
  ...config.publish.include,
  ...[
    "tests/_fake_timers.ts",
    "tests/_workers.ts",
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
  { script, args = [] }: Hunt,
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
        ...[script, `--seconds=${LIMIT_SECONDS}`, ...args],
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

const DAY_MS = 24 * 60 * 60 * 1000;

const { values, positionals } = parseArgs({
  // `deno task mutants -- --one-in 4` passes the `--` on as well.
  args: Deno.args.filter((arg) => arg !== "--"),
  options: { "one-in": { type: "string", default: "1" } },
  allowPositionals: true,
});
const [only] = positionals;
const oneIn = Number(values["one-in"]);
if (only !== undefined && !(only in HUNTS) || !Number.isInteger(oneIn) || oneIn < 1) {
  console.error(`Usage: mutants.ts [${Object.keys(HUNTS).join(" | ")}] [--one-in N]`);
  Deno.exit(2);
}
const today = Math.floor(Date.now() / DAY_MS);
const waiting = Object.entries(HUNTS)
  .filter(([name]) => only === undefined || name === only)
  .flatMap(([name, by]) => by.mutations.map((mutation) => ({ name, by, mutation })))
  .filter((_, i) => i % oneIn === today % oneIn)
  .values();
let found = 0;
let survived = 0;

async function huntAll(): Promise<void> {
  for (const { name, by, mutation } of waiting) {
    const startedAt = performance.now();
    const violation = await hunt(by, mutation);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
    if (violation === undefined) survived++;
    else found++;
    console.log(`${seconds} s  ${name}: ${mutation.name}: ${violation ?? "SURVIVED"}`);
  }
}

await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, huntAll));
console.log(`${found} found, ${survived} survived`);
if (survived > 0) Deno.exit(1);
