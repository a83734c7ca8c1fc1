/**
 * roomcast beside what people would use instead: `deno task bench:compare`.
 *
 * Runs the scenarios, keeps what was measured in `bench/results/`, a file for each, and makes the
 * report of all that is there. `--help` tells how to run a part of it.
 */

import { parseArgs } from "node:util";
import { type Contender, CONTENDERS, obstacle, PEERS_FOLDER } from "./contenders.ts";
import { describeMachine } from "./machine.ts";
import { Progress } from "./progress.ts";
import { writeReport } from "./report.ts";
import { type Failure, type Sample, writeResults } from "./results.ts";
import type { Running } from "./running.ts";
import type { Context, Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/mod.ts";

const RESULTS_FOLDER = new URL("../results", import.meta.url).pathname;
/** Not for the repository. */
const PARTIAL_FOLDER = `${RESULTS_FOLDER}/partial`;
const INTERRUPTED = 130;

const HELP = `Measures roomcast against its alternatives.

  deno task bench:compare                      everything, about a quarter of an hour
  deno task bench:compare --quick              a few minutes, to see that it works
  deno task bench:compare --scenario 3         one scenario; may be given several times
  deno task bench:compare --contender ws-redis one contender; may be given several times
  deno task bench:compare --report             only the report, from stored results

Scenarios:
${SCENARIOS.map(({ number, title }) => `  ${number}  ${title}`).join("\n")}

Contenders:
${CONTENDERS.map(({ key, name, place }) => `  ${key.padEnd(22)} ${name} (${place})`).join("\n")}
`;

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    help: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    report: { type: "boolean", default: false },
    scenario: { type: "string", multiple: true, default: [] },
    contender: { type: "string", multiple: true, default: [] },
  },
});

async function installPeers(): Promise<void> {
  const installed = new URL("node_modules/.package-lock.json", PEERS_FOLDER);
  try {
    await Deno.stat(installed);
    return;
  } catch {
    console.error("Installing the peers from npm, once.");
  }
  const npm = new Deno.Command("npm", { args: ["ci"], cwd: PEERS_FOLDER, stdout: "inherit" });
  const { success } = await npm.output();
  if (!success) throw new Error("npm ci has failed: the peers cannot be installed");
}

/** Those that were asked for, without those that cannot run here. */
async function chooseContenders(onFailure: (failure: Failure) => void): Promise<Contender[]> {
  for (const key of options.contender) {
    if (!CONTENDERS.some((contender) => contender.key === key)) {
      throw new Error(`there is no contender ${key}; see --help`);
    }
  }
  const wanted = CONTENDERS.filter(({ key }) =>
    options.contender.length === 0 || options.contender.includes(key)
  );
  const able: Contender[] = [];
  for (const contender of wanted) {
    const reason = await obstacle(contender);
    if (reason === undefined) able.push(contender);
    else {
      console.error(`Skipping ${contender.name}: ${reason}.`);
      onFailure({ contender: contender.key, what: "all", reason });
    }
  }
  return able;
}

function chooseScenarios(): readonly Scenario[] {
  const numbers = options.scenario.map(Number);
  for (const number of numbers) {
    if (!SCENARIOS.some((scenario) => scenario.number === number)) {
      throw new Error(`there is no scenario ${number}; see --help`);
    }
  }
  return SCENARIOS.filter(({ number }) => numbers.length === 0 || numbers.includes(number));
}

async function runAll(folder: string): Promise<void> {
  await installPeers();
  const missing: Failure[] = [];
  const contenders = await chooseContenders((failure) => missing.push(failure));
  const machine = await describeMachine();
  const started = new Set<Running>();
  const stopAll = () => Promise.all([...started].map((running) => running.stop()));
  const interrupt = () => void stopAll().then(() => Deno.exit(INTERRUPTED));
  Deno.addSignalListener("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", interrupt);

  const planned = chooseScenarios().map((scenario) => {
    const samples: Sample[] = [];
    const failures = [...missing];
    const context: Context = {
      contenders: contenders.filter(({ scenarios }) =>
        scenarios?.includes(scenario.number) ?? true
      ),
      started,
      quick: options.quick,
      record: (sample) => samples.push(sample),
      fail(failure) {
        failures.push(failure);
        progress.note(`FAILED  ${failure.contender}: ${failure.what}: ${failure.reason}`);
      },
    };
    return { scenario, samples, failures, steps: scenario.steps(context) };
  });
  const progress = new Progress(planned.flatMap(({ steps }) => steps));
  try {
    for (const { scenario: { number, title }, samples, failures, steps } of planned) {
      const start = performance.now();
      for (const step of steps) {
        progress.begin(`${number} ${title}`, step);
        await step.run();
      }
      const minutes = (performance.now() - start) / 60_000;
      const [date] = new Date().toISOString().split("T");
      const about = { scenario: number, title, date, quick: options.quick, minutes, machine };
      await writeResults(folder, { ...about, samples, failures });
    }
  } finally {
    await stopAll();
    Deno.removeSignalListener("SIGINT", interrupt);
    Deno.removeSignalListener("SIGTERM", interrupt);
  }
  progress.end();
}

if (options.help) {
  console.log(HELP);
} else {
  const isPartial = options.quick || options.contender.length > 0;
  const folder = isPartial ? PARTIAL_FOLDER : RESULTS_FOLDER;
  if (!options.report) await runAll(folder);
  console.log(await writeReport(folder));
}
