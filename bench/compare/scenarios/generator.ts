/** Whether the load generator could be what limits a contender. */

import { Generator } from "../load/generator.ts";
import { cpuSecondsOf } from "../proc.ts";
import { Program } from "../program.ts";
import { HOSTNAME } from "../running.ts";
import type { Context, Step } from "../scenario.ts";

const CLIENTS = [100, 1_000];
/** Frames in one write, as what can be written singly the generator is not busy with. */
const FRAMES_PER_WRITE = [20, 200];
const MS = 1_000;
const SWEEP_MS = 5;
const SECONDS = 2;

/** Has it count what a blaster writes. */
export function generatorSteps(context: Context): Step[] {
  return CLIENTS.flatMap((clients) =>
    FRAMES_PER_WRITE.map((frames) => ({
      contender: "generator",
      what: `${clients} sockets, ${frames} frames in a write`,
      seconds: SECONDS,
      async run() {
        const listening = Promise.withResolvers<number>();
        const blaster = new Program({
          command: Deno.execPath(),
          args: ["run", "-A", "--quiet", BLASTER, HOSTNAME, String(frames)],
          onLine: ({ port }) => listening.resolve(Number(port)),
        });
        const generator = new Generator();
        try {
          const port = await listening.promise;
          const before = cpuSecondsOf(generator.pid);
          const order = { hostname: HOSTNAME, port, clients, sweepMs: SWEEP_MS, ms: MS };
          const { messages, ms } = await generator.run({ op: "absorb", ...order });
          const cpu = cpuSecondsOf(generator.pid) - before;
          context.record({
            contender: "generator",
            case: { clients, frames },
            values: { perSecond: messages / ms * 1000, cpuSeconds: cpu },
          });
        } finally {
          await Promise.all([generator.stop(), blaster.stop()]);
        }
      },
    }))
  );
}

const BLASTER = new URL("../load/blaster.ts", import.meta.url).pathname;
