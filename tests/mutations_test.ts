import { assertEquals } from "@std/assert";
import { MUTATIONS as FUZZ } from "./fuzz/mutations.ts";
import { MUTATIONS as PRESENCE } from "./presence/mutations.ts";
import { MUTATIONS as SIMULATE } from "./simulation/mutations.ts";

const ROOT = new URL("../", import.meta.url);

Deno.test("every mutation applies, to one place: what `deno task mutants` takes long to say", async () => {
  for (const { name, file, find } of [...SIMULATE, ...FUZZ, ...PRESENCE]) {
    const source = await Deno.readTextFile(new URL(file, ROOT));
    assertEquals(source.split(find).length, 2, `${name}: ${file}`);
  }
});
