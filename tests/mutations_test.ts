import { assertEquals } from "@std/assert";
import { MUTATIONS as FUZZ } from "./fuzz/mutations.ts";
import { MUTATIONS as PRESENCE } from "./presence/mutations.ts";
import { MUTATIONS as SIMULATE } from "./simulation/mutations.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("every mutation of `deno task mutants` applies to exactly one place", async () => {
  for (const { name, file, find } of [...SIMULATE, ...FUZZ, ...PRESENCE]) {
    const source = await Deno.readTextFile(new URL(file, ROOT));
    assertEquals(source.split(find).length, 2, `${name}: ${file}`);
  }
});
