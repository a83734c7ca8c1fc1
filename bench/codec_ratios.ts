/**
 * How the codec compares, as two tables in Markdown: `deno run -A bench/codec_ratios.ts`.
 *
 * All contenders take turns in short blocks within one process, and the median block counts. What
 * else the machine does meanwhile, and how fast its clock runs, so meets everybody alike.
 *
 * Below 1 KiB the codec is to take half the time of the fastest rival and less than the bare calls
 * of the platform for the two texts; from 1 KiB up no more than 1.3 times those calls.
 */

import { contenders, ROOMS, type Run, scripts, textsOf } from "./codec_contenders.ts";

const SIZES = [16, 64, 256, 512, 1023, 1024, 16 * 1024, 256 * 1024];
const ROUNDS = 41;
const BLOCK_NS = 1_500_000;
const WARM_UP_MS = 30;

const KIB = 1024;
const RIVAL_TARGET = 2;
const PLATFORM_TARGET = 1.3;

/** Keeps results from being optimised away. */
export let sink: unknown;

const rivals = contenders.filter(({ name, bare }) => name !== "roomcast" && !bare);

const directions = ["encode", "decode"] as const;
const rows = { encode: [] as string[][], decode: [] as string[][] };

// From small to large: the garbage of large texts makes all that comes after it slower.
for (const size of SIZES) {
  for (const script of scripts) {
    const texts = textsOf(script, size);
    for (const direction of directions) {
      const medians = measure(contenders.map((contender) => contender[direction](texts)));
      const ns = new Map(contenders.map(({ name }, i) => [name, medians[i]]));
      const nsOf = (name: string) => ns.get(name) ?? NaN;
      const rivalRatio = Math.min(...rivals.map(({ name }) => nsOf(name))) / nsOf("roomcast");
      const platformRatio = nsOf("roomcast") / nsOf("platform");
      rows[direction].push([
        `${script.name} ${size} B`,
        ...medians.map((median) => median.toFixed(0)),
        rivalRatio.toFixed(2),
        platformRatio.toFixed(2),
        verdict(size, rivalRatio, platformRatio),
      ]);
    }
  }
}

for (const direction of directions) {
  console.log(`\n### ${direction}, ns\n`);
  const names = ["text", ...contenders.map(({ name }) => name)];
  printRow([...names, "fastest rival / roomcast", "roomcast / platform", "targets"]);
  printRow(["---", ...Array(contenders.length + 2).fill("--:"), "---"]);
  for (const cells of rows[direction]) printRow(cells);
}

/** The median time of each, in nanoseconds. */
function measure(runs: readonly Run[]): number[] {
  const entrants = runs.map((run) => {
    const deadline = performance.now() + WARM_UP_MS;
    let ns = Infinity;
    while (performance.now() < deadline) ns = block(run, 10);
    return { run, times: Math.ceil(BLOCK_NS / ns), blocks: [] as number[] };
  });
  for (let round = 0; round < ROUNDS; round++) {
    for (const { run, times, blocks } of entrants) blocks.push(block(run, times));
  }
  return entrants.map(({ blocks }) => blocks.sort((a, b) => a - b)[ROUNDS >> 1]);
}

function block(run: Run, times: number): number {
  const start = performance.now();
  for (let i = 0; i < times; i++) sink = run(i % ROOMS);
  return (performance.now() - start) * 1e6 / times;
}

function verdict(size: number, rivalRatio: number, platformRatio: number): string {
  if (size >= KIB) return platformRatio <= PLATFORM_TARGET ? "met" : "missed";
  const rivalMet = rivalRatio >= RIVAL_TARGET;
  const platformMet = platformRatio < 1;
  if (rivalMet && platformMet) return "met";
  if (!rivalMet && !platformMet) return "both missed";
  return rivalMet ? "rival met, platform missed" : "platform met, rival missed";
}

function printRow(cells: readonly string[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}
