import { killAndRestart } from "./_restart.ts";

Deno.test("a node killed and restarted under load: the others go on, and it takes part again", () =>
  killAndRestart());
