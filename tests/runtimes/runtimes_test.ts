import { assertEquals } from "@std/assert";
import { ALL } from "../websocket/cases/all.ts";
import { findRuntime, type RuntimeName } from "./_find.ts";

const RUN = new URL("run.ts", import.meta.url).pathname;

for (const name of ["node", "bun"] satisfies RuntimeName[]) {
  Deno.test(`the endpoint does on ${name} what it does on Deno`, async () => {
    const program = await findRuntime(name);
    const { code, stdout, stderr } = await new Deno.Command(program, { args: [RUN] }).output();
    const decoder = new TextDecoder();
    assertEquals(code, 0, decoder.decode(stderr));
    assertEquals(decoder.decode(stdout).trim(), `${Object.keys(ALL).length} passed, 0 failed`);
  });
}

Deno.test("a run without any case is a failure, not a success", async () => {
  const args = ["run", "--quiet", "-A", RUN, "no case is called this"];
  const { code } = await new Deno.Command(Deno.execPath(), { args }).output();
  assertEquals(code, 1);
});
