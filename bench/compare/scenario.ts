/** What a scenario is: steps, one after another, in which the contenders take turns. */

import type { Contender } from "./contenders.ts";
import type { Failure, Sample } from "./results.ts";
import { Running } from "./running.ts";

/** Something that takes a while. */
export interface Step {
  readonly contender: string;
  readonly what: string;
  /** About how long, for the time that is left. */
  readonly seconds: number;
  run(): Promise<void>;
}

/** What steps have in common. */
export interface Context {
  readonly contenders: readonly Contender[];
  /** A few minutes for everything, to see that it works. */
  readonly quick: boolean;
  record(sample: Sample): void;
  fail(failure: Failure): void;
  /** What is to be stopped whatever happens. */
  readonly started: Set<Running>;
}

/** One of the five. */
export interface Scenario {
  readonly number: number;
  readonly title: string;
  steps(context: Context): Step[];
}

/** Something done to a contender that runs. */
export interface Measurement {
  readonly what: string;
  readonly seconds: number;
  run(running: Running): Promise<Omit<Sample, "contender">>;
}

/** Contenders that run side by side, and are measured in turns. */
export interface Stage {
  readonly what: string;
  readonly contenders: readonly Contender[];
  readonly nodes: number;
  readonly rounds: number;
  readonly setUpSeconds: number;
  /** All at the same time instead: for what takes long and little. */
  readonly together?: true;
  setUp(running: Running): Promise<void>;
  readonly measurements: readonly Measurement[];
}

const STOP_SECONDS = 0.2;

/** Starts all, measures each in turns, stops all. Who fails is left out of what is left. */
export function stageSteps(context: Context, stage: Stage): Step[] {
  const running = new Map<string, Running>();
  const { what, nodes, rounds } = stage;

  const attempt = async (contender: Contender, doing: string, run: () => Promise<void>) => {
    try {
      await run();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      context.fail({ contender: contender.key, what: `${what}: ${doing}`, reason });
      const broken = running.get(contender.key);
      running.delete(contender.key);
      if (broken) await stop(context, broken);
    }
  };

  const start = (contender: Contender): Step => ({
    contender: contender.name,
    what: `${what}: start`,
    seconds: stage.setUpSeconds,
    run: () =>
      attempt(contender, "start", async () => {
        const started = await Running.start(contender, nodes);
        context.started.add(started);
        running.set(contender.key, started);
        await stage.setUp(started);
      }),
  });

  const measure = (contender: Contender, measurement: Measurement): Step => ({
    contender: contender.name,
    what: `${what}: ${measurement.what}`,
    seconds: measurement.seconds,
    run: () =>
      attempt(contender, measurement.what, async () => {
        const subject = running.get(contender.key);
        if (subject === undefined) return;
        context.record({ contender: contender.key, ...await measurement.run(subject) });
      }),
  });

  const end = (contender: Contender): Step => ({
    contender: contender.name,
    what: `${what}: stop`,
    seconds: STOP_SECONDS,
    async run() {
      const subject = running.get(contender.key);
      if (subject) await stop(context, subject);
    },
  });

  const turns = stage.measurements.flatMap((measurement) =>
    Array.from({ length: rounds }, (_, round) => {
      // Nobody always comes first.
      const { contenders } = stage;
      return contenders.map((_, i) => contenders[(i + round) % contenders.length])
        .map((contender) => measure(contender, measurement));
    }).flat()
  );
  const together = stage.measurements.map((measurement): Step => ({
    contender: "all",
    what: `${what}: ${measurement.what}`,
    seconds: measurement.seconds,
    async run() {
      await Promise.all(stage.contenders.map((contender) => measure(contender, measurement).run()));
    },
  }));
  const measured = stage.together ? together : turns;
  return [...stage.contenders.map(start), ...measured, ...stage.contenders.map(end)];
}

async function stop(context: Context, running: Running): Promise<void> {
  context.started.delete(running);
  await running.stop();
}

/** Those of a place. */
export function placed(context: Context, place: Contender["place"]): Contender[] {
  return context.contenders.filter((contender) => contender.place === place);
}
