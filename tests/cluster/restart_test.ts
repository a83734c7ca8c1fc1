import { killAndRestart } from "./_restart.ts";

Deno.test("a node that is killed and restarted under load takes part again, and the others go on", () =>
  killAndRestart());
