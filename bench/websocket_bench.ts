/**
 * Measures the WebSocket endpoint with 1,000 sockets on one node beside the same idea with nothing around
 * it, and Bun's `publish`: `websocket_bench.ts [--quick]`. Node.js and Bun come from npm. Contenders run
 * in turn, several times; read the ratios, of which each is the median of the rounds, and the CPU time,
 * which depends least on what else runs.
 */

import { findRuntime } from "../tests/runtimes/_find.ts";

const SOCKETS = 1_000;
const isQuick = Deno.args.includes("--quick");
const SECONDS = isQuick ? 2 : 5;
const REPEATS = isQuick ? 3 : 5;

/** Broadcasts in a turn, and bytes of each. */
const LOADS: readonly (readonly [burst: number, bytes: number])[] = [
  [1, 64],
  [20, 64],
  [20, 1024],
  [5, 32_768],
];

interface Result {
  perSecond: number;
  cpuMicros: number;
}

const node = await findRuntime("node");
const bun = await findRuntime("bun");
const SERVER = new URL("websocket/server.ts", import.meta.url).pathname;
const deno = [Deno.execPath(), "run", "--quiet", "-A", "--no-check"];
const CONTENDERS: readonly (readonly [name: string, command: string[], kind: string])[] = [
  ["roomcast", deno, "endpoint"],
  ["prototype", deno, "prototype"],
  ["Bun's publish", [bun], "bun"],
  ["roomcast on Node.js", [node], "endpoint"],
  ["roomcast on Bun", [bun], "endpoint"],
];

/** The one that the others are compared with. */
const BUN = 2;

async function measure(
  command: string[],
  kind: string,
  burst: number,
  bytes: number,
): Promise<Result> {
  const args = [...command.slice(1), SERVER, kind, SOCKETS, burst, bytes, SECONDS, node].map(
    String,
  );
  const { success, stdout } = await new Deno.Command(command[0], { args, stderr: "inherit" })
    .output();
  if (!success) throw new Error(`${kind} has failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1];

for (const [burst, bytes] of LOADS) {
  const results = CONTENDERS.map((): Result[] => []);
  for (let i = 0; i < REPEATS; i++) {
    for (let turn = 0; turn < CONTENDERS.length; turn++) {
      // Nobody always comes first, or after the same other.
      const c = (i + turn) % CONTENDERS.length;
      const [, command, kind] = CONTENDERS[c];
      results[c].push(await measure(command, kind, burst, bytes));
    }
  }
  console.log(`\n${burst} broadcast${burst === 1 ? "" : "s"} of ${bytes} B in a turn`);
  const rates = results.map((all) => median(all.map(({ perSecond }) => perSecond)));
  // Of each round by itself: what disturbs a while disturbs all of a round.
  const ratios = results.map((all) =>
    median(all.map(({ perSecond }, i) => perSecond / results[BUN][i].perSecond))
  );
  for (const [c, [name]] of CONTENDERS.entries()) {
    const cpu = median(results[c].map(({ cpuMicros }) => cpuMicros));
    console.log(
      `${name.padEnd(20)} ${(rates[c] / 1e6).toFixed(3).padStart(8)} M deliveries/s, ` +
        `${cpu.toFixed(3).padStart(7)} µs of CPU each, ${ratios[c].toFixed(2)} × Bun's publish`,
    );
  }
}
