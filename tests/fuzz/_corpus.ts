/**
 * The inputs that are kept: for each kind of outcome that a target has shown, the shortest that showed it.
 * A file for each target, in `tests/testdata/fuzz`, from outcome to input in hexadecimal.
 */

import type { Target } from "./_target.ts";

const FOLDER = new URL("../testdata/fuzz/", import.meta.url);

export type Corpus = Map<string, Uint8Array>;

export function readCorpus({ name }: Target): Corpus {
  let text: string;
  try {
    text = Deno.readTextFileSync(new URL(`${name}.json`, FOLDER));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
  const entries: [string, string][] = Object.entries(JSON.parse(text));
  return new Map(entries.map(([outcome, hex]) => [outcome, Uint8Array.fromHex(hex)]));
}

export function writeCorpus({ name }: Target, corpus: Corpus): void {
  const entries = [...corpus].sort(([a], [b]) => a < b ? -1 : 1);
  const text = JSON.stringify(
    Object.fromEntries(entries.map(([outcome, input]) => [outcome, input.toHex()])),
    undefined,
    1,
  );
  Deno.mkdirSync(FOLDER, { recursive: true });
  Deno.writeTextFileSync(new URL(`${name}.json`, FOLDER), `${text}\n`);
}
