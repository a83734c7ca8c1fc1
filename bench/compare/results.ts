/** What was measured, as it is kept in `results/`, so that the report can be made at any time. */

/** One measurement of one contender. */
export interface Sample {
  /** Its key. */
  readonly contender: string;
  /** What was done to it; the same for all that are compared. */
  readonly case: Readonly<Record<string, string | number>>;
  readonly values: Readonly<Record<string, number>>;
  /** Values one after another: over time, or of a distribution. */
  readonly curves?: Readonly<Record<string, readonly number[]>>;
}

/** Something that did not work, or was not there. */
export interface Failure {
  readonly contender: string;
  readonly what: string;
  readonly reason: string;
}

/** All of one scenario. */
export interface Results {
  readonly scenario: number;
  readonly title: string;
  readonly date: string;
  readonly quick: boolean;
  readonly minutes: number;
  readonly machine: Machine;
  readonly samples: readonly Sample[];
  readonly failures: readonly Failure[];
}

/** On what. */
export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryBytes: number;
  readonly system: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** Where the results of a scenario are. */
export function fileOf(folder: string, scenario: number): string {
  return `${folder}/scenario_${scenario}.json`;
}

/** Writes the results of a scenario. */
export async function writeResults(folder: string, results: Results): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const text = JSON.stringify(results, (_, value) => rounded(value));
  // A line for each sample, so that a new run is a diff that can be read.
  const lines = text.replaceAll(/\{"contender"/g, '\n{"contender"').replaceAll("\n,", ",\n");
  await Deno.writeTextFile(fileOf(folder, results.scenario), `${lines}\n`);
}

/** Reads the results of a scenario; undefined if there are none. */
export async function readResults(folder: string, scenario: number): Promise<Results | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(fileOf(folder, scenario)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** More digits than these say nothing. */
const DIGITS = 5;

function rounded(value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(DIGITS)) : value;
}
