/** The report: tables and pictures of whatever was measured, from what is kept of it. */

import { describe, type Section } from "./sections.ts";
import { readResults, type Results } from "./results.ts";
import { SCENARIOS } from "./scenarios/mod.ts";

/** Writes the report of what is in a folder. Returns where. */
export async function writeReport(folder: string): Promise<string> {
  const results: Results[] = [];
  for (const { number } of SCENARIOS) {
    const result = await readResults(folder, number);
    if (result) results.push(result);
  }
  if (results.length === 0) return "Nothing has been measured yet.";
  const sections = results.map((result) => describe(result));
  for (const { pictures } of sections) {
    for (const [name, svg] of pictures) await Deno.writeTextFile(`${folder}/${name}`, svg);
  }
  const path = `${folder}/report.md`;
  await Deno.writeTextFile(path, `# Results\n\n${textOf(sections, results)}\n`);
  return path;
}

function textOf(sections: readonly Section[], results: readonly Results[]): string {
  const parts = sections.map(({ title, text, pictures }) => {
    const images = [...pictures.keys()].map((name) => `![${title}](${name})`);
    return [`## ${title}`, ...images, text].join("\n\n");
  });
  return [about(results), ...parts].join("\n\n");
}

/** On what, when, with which versions, and without whom. */
function about(results: readonly Results[]): string {
  const [{ machine }] = results;
  const { cores, processor, memoryBytes, system, versions } = machine;
  const dates = [...new Set(results.map(({ date }) => date))].join(", ");
  const minutes = results.reduce((sum, result) => sum + result.minutes, 0);
  const list = Object.entries(versions).filter(([, version]) => version !== "")
    .map(([name, version]) => `${name} ${version}`);
  const failures = results.flatMap((result) => result.failures);
  const absent = [
    ...new Set(failures.map(({ contender, what, reason }) => `- ${contender}, ${what}: ${reason}`)),
  ];
  return [
    `Measured on ${dates} in ${Math.round(minutes)} minutes, on ${cores} cores of ${processor}, ` +
    `${Math.round(memoryBytes / 1e9)} GB, ${system}: ${list.join(", ")}.` +
    (results.some(({ quick }) => quick) ? " **A quick run: to see that it works.**" : ""),
    ...absent.length > 0 ? [`Not measured:\n\n${absent.join("\n")}`] : [],
  ].join("\n\n");
}
